"""What a batch may hold: no two captions of one picture, and of one caption no more than so many pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from essen.sampling.sampler import Bools, Floats, Rows

NONE: Rows = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class BatchRule:
    """Size and content of a batch.

    Attributes:
        images: (n,) int64 of all rows, equal where the picture is equal; a batch holds no two such rows.
        captions: (n,) int64 of all rows, equal where the caption is equal.
        together: most rows of one caption.
        size: rows of a batch.
    """

    images: Rows
    captions: Rows
    together: int
    size: int

    @classmethod
    def of(
        cls, images: Rows, captions: Rows, *, size: int, together: int = 2, allow_same_image: bool = False
    ) -> "BatchRule":
        """Return the rule; where several captions of one picture are allowed, every row is a picture of its own."""
        own = np.arange(len(images), dtype=np.int64) if allow_same_image else images
        return cls(images=own, captions=captions, together=together, size=size)


def fitting(rows: Rows, rule: BatchRule, taken: Rows = NONE) -> Bools:
    """Tell which rows (k,) may follow those before them and the `taken` ones; who comes first stays."""
    every = np.concatenate([taken, rows])
    fits = np.zeros(len(every), dtype=np.bool_)
    fits[np.unique(rule.images[every], return_index=True)[1]] = True
    candidates = np.flatnonzero(fits)
    fits[candidates] = _turn(rule.captions[every[candidates]]) < rule.together
    return fits[len(taken) :]


def draw_fitting(rng: np.random.Generator, pool: Rows, size: int, rule: BatchRule, taken: Rows = NONE) -> Rows:
    """Draw up to `size` rows evenly from a pool (k,) that keep the rule; fewer where the pool has no more of them."""
    return _candidates(rng, pool, size, rule, taken)[0]


def draw(rng: np.random.Generator, pool: Rows, size: int, rule: BatchRule, taken: Rows = NONE) -> Rows:
    """Draw `size` rows evenly from a pool (k,), k > 0, that keep the rule.

    Where the pool has too few, captions are repeated first, then pictures, and at last rows.
    """
    chosen, others = _candidates(rng, pool, size, rule, taken)
    if len(chosen) == size:
        return chosen
    every = np.concatenate([taken, chosen, others])
    new = np.zeros(len(every), dtype=np.bool_)
    new[np.unique(rule.images[every], return_index=True)[1]] = True
    new = new[len(taken) + len(chosen) :]
    return np.resize(np.concatenate([chosen, others[new], others[~new]]), size)


def redraw(rng: np.random.Generator, part: Rows, pool: Rows, rule: BatchRule, taken: Rows) -> Rows:
    """Return a part of a batch with those rows drawn anew from its pool that do not go with the `taken` ones."""
    fits = fitting(part, rule, taken)
    if fits.all():
        return part
    kept = part[fits]
    return np.concatenate([kept, draw(rng, pool, len(part) - len(kept), rule, np.concatenate([taken, kept]))])


def draw_shares(rng: np.random.Generator, pools: Sequence[Rows], shares: Floats, rule: BatchRule) -> Rows:
    """Draw a batch from several pools.

    The expected number of rows of a pool is exactly its share of the batch. What a pool lacks for its share comes from
    the others that have one.

    Args:
        rng: of the draw.
        pools: rows of each source.
        shares: (sources,) adding up to 1; 0 where the pool is empty.
        rule: of the batch.
    """
    edges = np.cumsum(shares) * rule.size
    edges[-1] = rule.size
    counts = np.diff(np.floor(edges + rng.random()), prepend=0)
    rows = NONE
    for pool, count in zip(pools, counts, strict=True):
        if count:
            rows = np.concatenate([rows, draw_fitting(rng, pool, int(count), rule, rows)])
    if len(rows) < rule.size:
        open_pools = [pool for pool, share in zip(pools, shares, strict=True) if share > 0]
        rows = np.concatenate([rows, draw(rng, np.concatenate(open_pools), rule.size - len(rows), rule, rows)])
    return rows


def _candidates(rng: np.random.Generator, pool: Rows, size: int, rule: BatchRule, taken: Rows) -> tuple[Rows, Rows]:
    """Return up to `size` rows that keep the rule, and the rest of the pool where these are fewer."""
    count = 2 * size + 16
    while True:
        count = min(count, len(pool))
        drawn = pool[rng.choice(len(pool), count, replace=False)]
        fits = fitting(drawn, rule, taken)
        if fits.sum() >= size or count == len(pool):
            return drawn[fits][:size], drawn[~fits]
        count *= 8


def _turn(groups: Rows) -> Rows:
    """Return how many rows of the same group stand before each row."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))[: len(ordered)]
    turn = np.empty(len(groups), dtype=np.int64)
    turn[order] = np.arange(len(groups)) - np.repeat(starts, np.diff(starts, append=len(groups)))
    return turn
