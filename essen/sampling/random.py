"""Uniform batches: in every pass each caption comes once, with some of its pictures, in a new order."""

from essen.sampling.draw import BatchRule
from essen.sampling.sampler import BaseSampler, Rows
from essen.sampling.streams import CaptionStream


class RandomSampler(BaseSampler):
    """All stages as one from the first step on.

    Args:
        rows: those that may be drawn, (n,).
        rule: of the batches.
        seed: of all draws.
    """

    def __init__(self, rows: Rows, rule: BatchRule, *, seed: int) -> None:
        self._stream = CaptionStream(rows, rule, seed=(seed, 0))

    def batch(self, step: int) -> Rows:
        """Return the rows of a step's batch, (batch_size,) int64."""
        return self._stream.batch(step)
