"""Batches of one node of the ontology, gated by what the model has learnt (TOnICS, arXiv 2207.14525).

The negatives of a contrastive loss are the other pairs of the batch, so a batch of one noun asks for more than the
noun. The paper names the idea; thresholds and the rule by which nodes open are a design of our own::

    step             n ~ p; the batch is drawn evenly from the rows of n
    every so often   accuracy of each closed node with p(n) > 0 on its held-out batches, averaged over time;
                     from the threshold on, n opens: it keeps a share of p(n), the root at least `keep_root`, and the
                     rest goes to its children in proportion to the square root of their sizes
    patience         a node that was drawn so often opens in any case, so the curriculum is never stuck
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from essen.config import TonicsConfig
from essen.sampling.draw import BatchRule, draw
from essen.sampling.ontology import Node
from essen.sampling.sampler import MEMBERS, NODE, BaseSampler, Floats, Logits, Question, Rows, generator
from essen.sampling.scores import in_batch_accuracy, same_content


class TonicsSampler(BaseSampler):
    """The curriculum over the composition of batches.

    Args:
        nodes: from `essen.sampling.ontology.build_tree`; the root is the first.
        rule: of the batches.
        config: gating.
        seed: of all draws.
    """

    def __init__(self, nodes: Sequence[Node], rule: BatchRule, *, config: TonicsConfig, seed: int) -> None:
        self._nodes, self._rule, self._config, self._seed = list(nodes), rule, config, seed
        self._sizes = np.sqrt([len(node.rows) for node in nodes])
        self.probability = self._start()
        self._opened: dict[int, int] = {}
        self._accuracy: dict[int, float] = {}
        self._drawn = np.zeros(len(nodes), dtype=np.int64)
        self._counted = 0

    def _start(self) -> Floats:
        """Return the first probabilities: all on the root, or on the leaves in proportion to their sizes' roots."""
        if self._config.tree in ("ontology", "shuffled"):
            return np.eye(1, len(self._nodes))[0]
        if self._config.tree == "leaves":
            leaf = np.array([not node.onward for node in self._nodes])
        else:
            leaf = np.ones(len(self._nodes), dtype=np.bool_)
            leaf[[target for node in self._nodes for target in node.onward]] = False
        weight = np.where(leaf, self._sizes, 0.0)
        start: Floats = weight / weight.sum()
        return start

    def questions(self, step: int) -> Sequence[Question]:
        """Return the held-out batches of the nodes that may open, every so many steps."""
        if not self._due(step):
            return ()
        return [Question(rows) for number in self._closed() for rows in self._nodes[number].examined]

    def observe(self, step: int, answers: Sequence[Logits]) -> None:
        """Average the accuracies, and open the nodes that have passed or been drawn often enough."""
        if not self._due(step):
            return
        for earlier in range(self._counted, step):
            self._drawn[self._node(earlier)] += 1
        self._counted = step
        waiting = iter(answers)
        closed = self._closed()
        for number in closed:
            found = [self._accuracy_of(rows, next(waiting)) for rows in self._nodes[number].examined]
            if found:
                mean, past = float(np.mean(found)), self._config.smoothing
                self._accuracy[number] = past * self._accuracy.get(number, mean) + (1 - past) * mean
        for number in closed:
            learnt = self._accuracy.get(number, 0.0) >= self._config.threshold
            if learnt or self._drawn[number] >= self._config.patience:
                self._open(number, step)

    def batch(self, step: int) -> Rows:
        """Return the rows of a step's batch, (batch_size,) int64, all of one node."""
        pool = self._nodes[self._node(step)].rows
        return draw(generator(self._seed, MEMBERS, step), pool, self._rule.size, self._rule)

    def report(self, step: int) -> dict[str, Any]:
        """Return the node of a step, its averaged accuracy, how captions repeat in its batch, and what has opened."""
        number = self._node(step)
        captions = self._rule.captions[self.batch(step)]
        return {
            "node": self._nodes[number].name,
            "node_accuracy": self._accuracy.get(number),
            "repeated_captions": round(1 - len(np.unique(captions)) / len(captions), 6),
            "opened": {self._nodes[node].name: at for node, at in self._opened.items()},
        }

    def state_dict(self) -> dict[str, Any]:
        """Return probabilities, accuracies, draws and openings, by node."""
        name = [node.name for node in self._nodes]
        return {
            "probability": dict(zip(name, self.probability.tolist(), strict=True)),
            "drawn": dict(zip(name, self._drawn.tolist(), strict=True)),
            "accuracy": {name[number]: value for number, value in self._accuracy.items()},
            "opened": {name[number]: step for number, step in self._opened.items()},
            "counted": self._counted,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        number_of = {node.name: number for number, node in enumerate(self._nodes)}
        self.probability = np.array([state["probability"][node.name] for node in self._nodes])
        self._drawn = np.array([state["drawn"][node.name] for node in self._nodes], dtype=np.int64)
        self._accuracy = {number_of[name]: value for name, value in state["accuracy"].items()}
        self._opened = {number_of[name]: step for name, step in state["opened"].items()}
        self._counted = state["counted"]

    def _closed(self) -> list[int]:
        """Return the nodes that are drawn from and can open."""
        if self._config.tree == "leaves":
            return []
        return [
            number
            for number, node in enumerate(self._nodes)
            if node.onward and self.probability[number] > 0 and number not in self._opened
        ]

    def _due(self, step: int) -> bool:
        return step > 0 and step % self._config.every == 0

    def _node(self, step: int) -> int:
        possible = np.flatnonzero(self.probability)
        edges = np.cumsum(self.probability[possible])
        point = generator(self._seed, NODE, step).random() * edges[-1]
        return int(possible[min(np.searchsorted(edges, point, side="right"), len(possible) - 1)])

    def _accuracy_of(self, rows: Rows, logits: Logits) -> float:
        return in_batch_accuracy(logits, same_content(rows, self._rule.images, self._rule.captions))

    def _open(self, number: int, step: int) -> None:
        self._opened[number] = step
        passed = self.probability[number]
        self.probability[number] = 0.0
        self._give(number, passed)

    def _give(self, number: int, share: float) -> None:
        """Add to the probability of a node; an open one keeps its part and passes the rest on."""
        if number not in self._opened:
            self.probability[number] += share
            return
        keep = max(self._config.keep, self._config.keep_root) if number == 0 else self._config.keep
        self.probability[number] += keep * share
        onward = list(self._nodes[number].onward)
        weights = self._sizes[onward] / self._sizes[onward].sum()
        for target, weight in zip(onward, weights.tolist(), strict=True):
            self._give(target, (1 - keep) * share * weight)
