"""Uniform batches: in every pass each caption comes once, with some of its pictures, in a new order."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


class Sampler(Protocol):
    """A pure function from the step to a batch: nothing has to be remembered to go on from the middle."""

    def batch(self, step: int) -> Rows:
        """Return the rows of a step's batch, (batch_size,) int64."""
        ...

    def stage(self, step: int) -> int:
        """Return the newest stage that is open at a step; 0 once all stages are one."""
        ...


class CaptionStream:
    """Endless batches over some rows, a pure function of (seed, number of the batch).

    A pass visits every caption once with up to `together` of its pictures, both in an order drawn for that pass; what
    does not fill a batch at its end waits for a later pass. So a batch holds no caption more than `together` times,
    unless the rows have too few captions to fill it: then further pictures of the captions follow, and at last
    repetitions.

    Args:
        rows: the rows to draw from, (n,).
        captions: (n,) equal where the captions are equal.
        size: rows of a batch.
        together: pictures of a caption in a pass.
        seed: integers that name this stream.
    """

    def __init__(self, rows: Rows, captions: Rows, *, size: int, together: int, seed: Sequence[int]) -> None:
        self._rows = rows
        self._caption = np.unique(captions, return_inverse=True)[1]
        self._counts = np.bincount(self._caption)
        self._size, self._together, self._seed = size, together, tuple(seed)
        self.batches_per_pass = max(1, int(np.minimum(self._counts, together).sum()) // size)
        self._cached: tuple[int, Rows] = (-1, rows[:0])

    def batch(self, number: int) -> Rows:
        """Return the rows of a batch, (size,) int64."""
        pass_number, position = divmod(number, self.batches_per_pass)
        if self._cached[0] != pass_number:
            self._cached = (pass_number, self._pass(pass_number))
        order = self._cached[1]
        return np.resize(order[position * self._size :], self._size) if self._size else order[:0]

    def _pass(self, number: int) -> Rows:
        rng = np.random.default_rng([*self._seed, number])
        place = rng.permutation(len(self._counts))[self._caption]
        by_caption = np.lexsort((rng.random(len(self._rows)), self._caption))
        starts = np.cumsum(self._counts) - self._counts
        turn = np.empty(len(self._rows), np.int64)
        turn[by_caption] = (np.arange(len(self._rows)) - np.repeat(starts, self._counts)) // self._together
        return self._rows[np.lexsort((place, turn))]


class RandomSampler:
    """All stages as one from the first step on."""

    def __init__(self, captions: Rows, *, batch_size: int, together: int, seed: int) -> None:
        rows = np.arange(len(captions), dtype=np.int64)
        self._stream = CaptionStream(rows, captions, size=batch_size, together=together, seed=(seed, 0))

    def batch(self, step: int) -> Rows:
        """Return the rows of a step's batch, (batch_size,) int64."""
        return self._stream.batch(step)

    def stage(self, step: int) -> int:  # noqa: ARG002
        """Return 0: all stages are open."""
        return 0
