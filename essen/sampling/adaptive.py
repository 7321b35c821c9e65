"""Sources drawn by learning progress (after the adaptive data sampling of JAR, arXiv 2305.19924; a design of our own).

Every so many steps the loss of each source's held-out batch is measured. Its progress is the moving average of how much
that loss changes, not the loss itself: a high loss may be noise that nobody can learn, and losses of different sources
are on different scales. ``progress: fall`` averages the signed change, so that neither a noisy measurement nor a loss
that rises counts as progress. With K sources, progress p and temperature τ::

    P(k) = floor/K + (1 - floor)·p_k^(1/τ) / Σ p^(1/τ)
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from essen.config import AdaptiveConfig
from essen.errors import StagesError
from essen.sampling.draw import BatchRule, draw_fitting, draw_shares
from essen.sampling.sampler import EXAMINED, SOURCES, BaseSampler, Floats, Logits, Question, Rows, generator
from essen.sampling.scores import contrastive_loss, same_content

LEAST = 1e-12  # progress of a source that stands still


class AdaptiveSampler(BaseSampler):
    """Learning progress decides how much of a batch comes from each source.

    Args:
        pools: rows of each source that may be drawn, by name.
        held_out: rows of each source that are never trained on, by name.
        rule: of the batches.
        config: how progress is measured and used.
        seed: of all draws.

    Raises:
        StagesError: the held-out rows of a source hold less than two pairs with different pictures and captions.
    """

    def __init__(
        self,
        pools: Mapping[str, Rows],
        held_out: Mapping[str, Rows],
        rule: BatchRule,
        *,
        config: AdaptiveConfig,
        seed: int,
    ) -> None:
        self._names, self._pools = tuple(pools), list(pools.values())
        self._rule, self._config, self._seed = rule, config, seed
        single = BatchRule(images=rule.images, captions=rule.captions, together=1, size=config.pairs)
        self._examined = [
            draw_fitting(generator(seed, EXAMINED, number), held_out[name], config.pairs, single)
            for number, name in enumerate(self._names)
        ]
        for name, rows in zip(self._names, self._examined, strict=True):
            if len(rows) < 2:
                raise StagesError(
                    f"sampling.adaptive: source {name} has too few pictures to hold some out; raise sampling.held_out "
                    "or leave the source away"
                )
        self._loss: list[float | None] = [None] * len(self._names)
        self._progress: list[float | None] = [None] * len(self._names)

    def questions(self, step: int) -> Sequence[Question]:
        """Return the held-out batch of every source, every so many steps from the first one on."""
        return [Question(rows) for rows in self._examined] if step % self._config.every == 0 else ()

    def observe(self, step: int, answers: Sequence[Logits]) -> None:  # noqa: ARG002
        """Update every source's progress; a loss that is no number leaves it as it was."""
        for number, (rows, logits) in enumerate(zip(self._examined, answers, strict=False)):
            loss = contrastive_loss(logits, same_content(rows, self._rule.images, self._rule.captions))
            if not math.isfinite(loss):
                continue
            before, progress = self._loss[number], self._progress[number]
            self._loss[number] = loss
            if before is not None:
                new = before - loss if self._config.progress == "fall" else abs(before - loss)
                past = self._config.smoothing
                self._progress[number] = new if progress is None else past * progress + (1 - past) * new

    def shares(self) -> Floats:
        """Return the probability of every source (K,); even until each has been measured twice."""
        known = [progress for progress in self._progress if progress is not None]
        if len(known) < len(self._progress):
            return np.full(len(self._progress), 1 / len(self._progress))
        # In logarithms: a low temperature takes small numbers to a high power.
        power = np.log(np.maximum(known, LEAST)) / self._config.temperature
        relative = np.exp(power - power.max())
        floor = self._config.floor
        shares: Floats = floor / len(known) + (1 - floor) * relative / relative.sum()
        return shares

    def batch(self, step: int) -> Rows:
        """Return the rows of a step's batch, (batch_size,) int64."""
        return draw_shares(generator(self._seed, SOURCES, step), self._pools, self.shares(), self._rule)

    def report(self, step: int) -> dict[str, Any]:  # noqa: ARG002
        """Return the share and the held-out loss of every source."""
        return {
            "shares": dict(zip(self._names, self.shares().round(6).tolist(), strict=True)),
            "held_out_loss": dict(zip(self._names, self._loss, strict=True)),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return losses and progress by source."""
        return {
            "loss": dict(zip(self._names, self._loss, strict=True)),
            "progress": dict(zip(self._names, self._progress, strict=True)),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._loss = [state["loss"][name] for name in self._names]
        self._progress = [state["progress"][name] for name in self._names]
