"""Endless batches over a fixed set of rows, in passes without repetition."""

from collections.abc import Sequence

import numpy as np

from essen.sampling.draw import BatchRule
from essen.sampling.sampler import Floats, Rows


class CaptionStream:
    """Batches over some rows, a pure function of (seed, number of the batch).

    A pass visits every picture at most once, with one of its captions, and of these every caption once with up to
    ``rule.together`` of its pictures, all in an order drawn for that pass; what does not fill a batch at its end, and
    a picture's other captions, wait for a later pass. So a batch keeps its rule, unless the rows are too few to fill
    it: then further pictures of the captions follow, after them further captions of the pictures, and at last
    repetitions.

    Args:
        rows: the rows to draw from, (n,), n > 0.
        rule: of the batches.
        seed: integers that name this stream.
        size: rows of a batch, where it is but a part of one.
    """

    def __init__(self, rows: Rows, rule: BatchRule, *, seed: Sequence[int], size: int | None = None) -> None:
        self._rows = rows
        self._caption = np.unique(rule.captions[rows], return_inverse=True)[1]
        self._image = np.unique(rule.images[rows], return_inverse=True)[1]
        self._together, self._seed = rule.together, tuple(seed)
        self._size = rule.size if size is None else size
        self._cached: tuple[int, Rows] = (-1, rows[:0])
        # Only rows of these have to be put in an order to tell which of them come first.
        self._often = np.flatnonzero(np.bincount(self._caption)[self._caption] > self._together)
        self._shared = np.flatnonzero(np.bincount(self._image)[self._image] > 1)
        self.rows_per_pass = self._certain()
        self.batches_per_pass = max(1, self.rows_per_pass // self._size)

    def batch(self, number: int) -> Rows:
        """Return the rows of a batch, (size,) int64."""
        pass_number, position = divmod(number, self.batches_per_pass)
        if self._cached[0] != pass_number:
            self._cached = (pass_number, self._pass(pass_number))
        order = self._cached[1]
        return np.resize(order[position * self._size : (position + 1) * self._size], self._size)

    def _certain(self) -> int:
        """Return how many rows of a pass keep the rule, whichever captions of the pictures it takes."""
        often, shared = np.zeros((2, len(self._rows)), dtype=np.bool_)
        often[self._often], shared[self._shared] = True, True
        free = ~np.bincount(self._image, weights=often).astype(np.bool_)
        sole = np.bincount(self._caption[often & ~shared])
        return int(free.sum() + np.minimum(sole, self._together).sum())

    def _pass(self, number: int) -> Rows:
        rng = np.random.default_rng([*self._seed, number])
        place = rng.permutation(int(self._caption.max()) + 1)[self._caption]
        noise = rng.random(len(self._rows))
        waiting, turn = np.zeros((2, len(self._rows)), dtype=np.int64)
        waiting[self._shared] = _turn(self._image[self._shared], rng.random(len(self._shared))) > 0
        turn[self._often] = _turn(self._caption[self._often], (noise + waiting)[self._often]) // self._together
        if self.rows_per_pass < self._size:
            return self._rows[np.lexsort((place, turn, waiting))]
        first = np.flatnonzero((turn == 0) & (waiting == 0))
        return self._rows[first[np.argsort(place[first], kind="stable")]]


def _turn(groups: Rows, noise: Floats) -> Rows:
    """Return the position (n,) of every row in its group, in the order of `noise`."""
    order = np.lexsort((noise, groups))
    counts = np.bincount(groups)
    turn = np.empty(len(groups), np.int64)
    turn[order] = np.arange(len(groups)) - np.repeat(np.cumsum(counts) - counts, counts)
    return turn
