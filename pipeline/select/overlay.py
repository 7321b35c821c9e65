"""Whether two pictures are one drawing: their lines laid over each other, and the place where they agree least.

Two frames of a story share a background and differ where somebody moves; a copy in other colours, in outlines or cut
differently agrees everywhere. So one picture's lines are laid over a window of the other's, the window being the one
that fits best, and what decides is not only how well they agree in all but how well in the worst places.

Works on the 16 × 16 cells of `pipeline.measure.structure`, so no picture is read again.
"""

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from pipeline.measure.structure import CELLS

if TYPE_CHECKING:
    import numpy as np

GRID = 80  # edges of windows lie on multiples of 1 / GRID of the picture's side
STEPS = (4, 2, 1)  # of the edges, in the grid: those of the windows that are ranked, and those by which one is moved
SMALLEST = 56  # side of the smallest window, in the grid
STRETCH = 1.45  # most by which the sides of a window may differ, as pictures were stretched to squares
TRIED = 6  # windows that are laid over in full, of those that seem to fit best
PLACE, APART = 4, 2  # side of a place and distance between places, in cells
WORST = 5  # places, of 49, whose mean is the weakest agreement
EMPTY = 0.01  # strength, of 1 for the picture, below which two places agree as both are empty
CHUNK = 256  # pairs at once, for memory only
DECIMALS = 6


class Alignment(NamedTuple):
    """How well P pairs agree, 1 at the best: `agreement` of all cells, `weakest` of the worst places; float64."""

    agreement: "np.ndarray"
    weakest: "np.ndarray"


def in_place(left: "np.ndarray", right: "np.ndarray", first: "np.ndarray", second: "np.ndarray") -> Alignment:
    """Compare rows `first` of (N, 513) structures with rows `second` of (M, 513), as they lie."""
    return _in_chunks(_compare, left, right, first, second)


def aligned(
    left: "np.ndarray", right: "np.ndarray", first: "np.ndarray", second: "np.ndarray", *, mirrored: bool = False
) -> Alignment:
    """Compare rows `first` of (N, 513) structures with rows `second` of (M, 513), laid over each other's best windows.

    Args:
        mirrored: also look at the second of each pair in a mirror.
    """
    return _in_chunks(lambda a, b: _aligned(a, b, mirrored), left, right, first, second)


def _in_chunks(
    compare: "Callable[[np.ndarray, np.ndarray], Alignment]",
    left: "np.ndarray",
    right: "np.ndarray",
    first: "np.ndarray",
    second: "np.ndarray",
) -> Alignment:
    import numpy as np

    parts = [Alignment(np.empty(0), np.empty(0))]
    for start in range(0, len(first), CHUNK):
        chunk = slice(start, start + CHUNK)
        parts.append(compare(_fields(left[first[chunk]]), _fields(right[second[chunk]])))
    return Alignment(*(np.round(np.concatenate(column), DECIMALS) for column in zip(*parts, strict=True)))


def _fields(rows: "np.ndarray") -> "np.ndarray":
    """Return (P, 2, 16, 16) fields without the last feature."""
    return rows[:, : 2 * CELLS * CELLS].reshape(-1, 2, CELLS, CELLS)


def _aligned(a: "np.ndarray", b: "np.ndarray", mirrored: bool) -> Alignment:
    import numpy as np

    pairs = [(a, b), (b, a)]
    if mirrored:
        turned = b[..., ::-1] * np.array([1, -1], dtype=b.dtype)[:, None, None]
        pairs += [(a, turned), (turned, a)]
    found = [_compare(x, _best_window(x, y)) for x, y in pairs]
    best = np.argmax([each.agreement for each in found], axis=0)
    rows = np.arange(len(a))
    return Alignment(*(np.stack(column)[best, rows] for column in zip(*found, strict=True)))


def _compare(a: "np.ndarray", b: "np.ndarray") -> Alignment:
    """Return the agreement of (P, 2, 16, 16) fields in all cells, and in the worst places."""
    import numpy as np

    a, b = _unit(a.astype(np.float64)), _unit(b.astype(np.float64))
    both, own, other = (_places((x * y).sum(axis=1)) for x, y in ((a, b), (a, a), (b, b)))
    local = (2 * both + EMPTY) / (own + other + EMPTY)
    worst = np.sort(local, axis=1)[:, :WORST].mean(axis=1)
    a, b = (_unit(x - x.mean(axis=(2, 3), keepdims=True)) for x in (a, b))
    return Alignment((a * b).sum(axis=(1, 2, 3)), worst)


def _unit(fields: "np.ndarray") -> "np.ndarray":
    import numpy as np

    return fields / np.maximum(np.sqrt((fields**2).sum(axis=(1, 2, 3), keepdims=True)), 1e-6)


def _places(cells: "np.ndarray") -> "np.ndarray":
    """Return the (P, 49) sums of (P, 16, 16) cells over all places."""
    import numpy as np

    total = np.pad(cells, ((0, 0), (1, 0), (1, 0))).cumsum(axis=1).cumsum(axis=2)
    low = np.arange(0, CELLS - PLACE + 1, APART)
    high = low + PLACE
    corners = [total[:, rows][:, :, columns] for rows in (low, high) for columns in (low, high)]
    return (corners[3] - corners[2] - corners[1] + corners[0]).reshape(len(cells), -1)


@cache
def _resampling() -> "np.ndarray":
    """Return the (GRID + 1, GRID + 1, 16, 16) matrices that take 16 cells between two edges, by linear interpolation.

    Those of windows that are too small are zero.
    """
    import numpy as np

    matrices = np.zeros((GRID + 1, GRID + 1, CELLS, CELLS), dtype=np.float32)
    cell = np.arange(CELLS)
    for low in range(GRID - SMALLEST + 1):
        for high in range(low + SMALLEST, GRID + 1):
            place = np.clip((low + (high - low) * (cell + 0.5) / CELLS) / GRID * CELLS - 0.5, 0, CELLS - 1)
            before = np.minimum(place.astype(np.int64), CELLS - 2)
            matrices[low, high, cell, before] += 1 - (place - before)
            matrices[low, high, cell, before + 1] += place - before
    return matrices


@cache
def _edges() -> "np.ndarray":
    """Return the (K, 2) edges, in the grid, of the windows that are ranked; the first one is the whole picture."""
    import numpy as np

    step = STEPS[0]
    pairs = [(low, low + side) for side in range(GRID, SMALLEST - 1, -step) for low in range(0, GRID - side + 1, step)]
    return np.array(pairs)


def _best_window(a: "np.ndarray", b: "np.ndarray") -> "np.ndarray":
    """Return, for every pair, the window of `b` that agrees best with the whole of `a`, as (P, 2, 16, 16) fields.

    Coarse windows are ranked by their products with `a` over an estimate of their norms, and the first few are taken;
    the edges of the best of them are then moved a little, rows first, by half a coarse step and by a quarter.
    """
    import numpy as np

    edges, resampling = _edges(), _resampling()
    ranked = np.argpartition(-_scores(a, b), TRIED, axis=1)[:, :TRIED]
    best, window = np.full(len(a), -np.inf), np.zeros((len(a), 4), dtype=np.int64)

    def taken(windows: "np.ndarray") -> "np.ndarray":
        top, bottom, left, right = windows.T
        return resampling[top, bottom][:, None] @ b @ resampling[left, right][:, None].transpose(0, 1, 3, 2)

    def try_out(windows: "np.ndarray") -> None:
        found = taken(windows)
        score = (a * found).sum(axis=(1, 2, 3)) / np.sqrt((found**2).sum(axis=(1, 2, 3)) + 1e-9)
        better = score > best + 1e-6
        best[better], window[better] = score[better], windows[better]

    for place in [np.zeros(len(a), dtype=np.int64), *ranked.T]:
        down, across = divmod(place, len(edges))
        try_out(np.concatenate([edges[down], edges[across]], axis=1))
    for step in STEPS[1:]:
        for side in (0, 2):
            centre = window.copy()
            for low, high in product((-step, 0, step), repeat=2):
                try_out(_moved(centre, side, low, high))
    return taken(window)


def _moved(windows: "np.ndarray", side: int, low: int, high: int) -> "np.ndarray":
    """Return (P, 4) windows with the two edges of a side moved; those that are no windows then stay as they are."""
    import numpy as np

    moved = windows.copy()
    moved[:, side] += low
    moved[:, side + 1] += high
    first, last = moved[:, side], moved[:, side + 1]
    valid = (first >= 0) & (last <= GRID) & (last - first >= SMALLEST)
    return np.where(valid[:, None], moved, windows)


def _scores(a: "np.ndarray", b: "np.ndarray") -> "np.ndarray":
    """Return the (P, K²) scores of all coarse windows, down before across; those that stretch too much come last."""
    import numpy as np

    edges = _edges()
    windows, sides = _resampling()[edges[:, 0], edges[:, 1]], (edges[:, 1] - edges[:, 0]) / GRID
    pairs, number = len(a), len(windows)
    # ⟨a, V b Wᵀ⟩ = ⟨Vᵀ a, b Wᵀ⟩: rows and columns of a window are taken apart, and all their pairs are one product.
    flat = windows.transpose(0, 2, 1).reshape(-1, CELLS)
    down = (flat @ a.transpose(2, 0, 1, 3).reshape(CELLS, -1)).reshape(number, CELLS, pairs, 2, CELLS)
    across = (b.reshape(-1, CELLS) @ windows.reshape(-1, CELLS).T).reshape(pairs, 2, CELLS, number, CELLS)
    left = down.transpose(2, 0, 3, 1, 4).reshape(pairs, number, -1)
    right = across.transpose(0, 1, 2, 4, 3).reshape(pairs, -1, number)
    weight = windows.sum(axis=1)
    norms = weight @ (b**2).sum(axis=1) @ weight.T
    scores = (left @ right) / np.sqrt(norms + 1e-9)
    stretched = np.maximum.outer(sides, sides) / np.minimum.outer(sides, sides) > STRETCH
    return np.where(stretched, -np.inf, scores).reshape(pairs, -1)
