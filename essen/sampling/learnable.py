"""Batches chosen together from larger ones by learnability (JEST, arXiv 2406.17711).

The score of an entry (picture i, caption j) is the learner's loss less that of a reference model: high where much is
left to learn and something can be learnt. A batch is drawn in chunks without replacement; the logarithm of a row's
weight is its own score plus its scores with all that has been chosen before.
"""

from collections.abc import Sequence

import numpy as np

from essen.sampling.draw import BatchRule
from essen.sampling.sampler import JOINT, BaseSampler, Floats, Logits, Question, Rows, generator
from essen.sampling.scores import entry_losses, same_content
from essen.sampling.streams import CaptionStream


class LearnableSampler(BaseSampler):
    """The most learnable part of a larger batch, at every step.

    The larger batch comes from passes as in `RandomSampler` and keeps the rule, so its part does too; it is no larger
    than the rows that keep it. Nothing is remembered from step to step: the models are asked anew at each.

    Args:
        rows: those that may be drawn, (n,).
        rule: of the batches.
        filtered: share of the larger batch that is not taken.
        chunks: parts in which a batch is chosen.
        seed: of all draws.
    """

    def __init__(self, rows: Rows, rule: BatchRule, *, filtered: float, chunks: int, seed: int) -> None:
        self._rule, self._chunks, self._seed = rule, chunks, seed
        wanted = round(rule.size / (1 - filtered))
        possible = CaptionStream(rows, rule, seed=(seed, 0)).rows_per_pass
        self.larger = max(rule.size, min(wanted, possible))
        self._stream = CaptionStream(rows, rule, seed=(seed, 0), size=self.larger)
        self._chosen: tuple[int, Rows] = (-1, rows[:0])

    def questions(self, step: int) -> Sequence[Question]:
        """Return the larger batch of a step, for both models."""
        rows = self._stream.batch(step)
        return Question(rows), Question(rows, of="reference")

    def observe(self, step: int, answers: Sequence[Logits]) -> None:
        """Choose the batch of a step."""
        rows = self._stream.batch(step)
        same = same_content(rows, self._rule.images, self._rule.captions)
        learner, reference = (entry_losses(logits, same) for logits in answers)
        chosen = choose_jointly(
            learner - reference, self._rule.size, chunks=self._chunks, rng=generator(self._seed, JOINT, step)
        )
        self._chosen = (step, rows[chosen])

    def batch(self, step: int) -> Rows:
        """Return the rows of a step's batch, (batch_size,) int64; `observe` must have been told of this step."""
        if self._chosen[0] != step:
            raise RuntimeError(f"the batch of step {step} is asked for before its scores are known")
        return self._chosen[1]


def choose_jointly(scores: Floats, size: int, *, chunks: int, rng: np.random.Generator) -> Rows:
    """Choose rows without replacement, chunk by chunk.

    Weights stay logarithms throughout (Gumbel's top-k trick), so scores of any size are safe. A score that is no number
    counts as 0.

    Args:
        scores: (n, n) of every entry.
        size: rows to choose, at most n.
        chunks: parts of about equal size.
        rng: of the draw.

    Returns:
        (size,) int64, in the order in which they were chosen.
    """
    known = np.nan_to_num(scores, nan=0.0)
    weight = known.diagonal().copy()
    chosen = np.zeros(0, dtype=np.int64)
    for part in np.array_split(np.arange(size), min(chunks, size)):
        key = weight + rng.gumbel(size=len(known))
        key[chosen] = -np.inf
        new = np.argsort(-key, kind="stable")[: len(part)]
        weight += known[new].sum(0) + known[:, new].sum(1)
        chosen = np.concatenate([chosen, new])
    return chosen
