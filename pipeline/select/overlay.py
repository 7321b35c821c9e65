"""Whether two pictures are one drawing: their lines laid over each other, and the place where they agree least.

Two frames of a story share a background and differ where somebody moves; a copy in other colours, in outlines or cut
differently agrees everywhere. So one picture's lines are laid over a window of the other's, the window being the one
that fits best, and what decides is not only how well they agree in all but how well in the worst places.

Works on the 16 × 16 cells of `pipeline.measure.structure`, so no picture is read again.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from pipeline.measure.structure import CELLS

if TYPE_CHECKING:
    import numpy as np

SMALLEST = 0.7  # side of the smallest window, as a share of the picture's
STEP = 0.05  # of sides and places of windows, as a share of the picture's side
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
def _windows() -> "tuple[np.ndarray, np.ndarray]":
    """Return the (K, 16, 16) matrices that take a window of 16 cells, by linear interpolation, and their (K,) sides.

    The first one is the whole picture.
    """
    import numpy as np

    matrices, sides = [], []
    for shrunk in range(round((1 - SMALLEST) / STEP) + 1):
        side = 1 - shrunk * STEP
        for start in range(shrunk + 1):
            place = np.clip((start * STEP + side * (np.arange(CELLS) + 0.5) / CELLS) * CELLS - 0.5, 0, CELLS - 1)
            low = np.minimum(place.astype(np.int64), CELLS - 2)
            matrix = np.zeros((CELLS, CELLS), dtype=np.float32)
            matrix[np.arange(CELLS), low] += 1 - (place - low)
            matrix[np.arange(CELLS), low + 1] += place - low
            matrices.append(matrix)
            sides.append(side)
    return np.stack(matrices), np.array(sides)


def _best_window(a: "np.ndarray", b: "np.ndarray") -> "np.ndarray":
    """Return, for every pair, the window of `b` that agrees best with the whole of `a`, as (P, 2, 16, 16) fields.

    All windows are ranked by their products with `a` over an estimate of their norms; the first few are then taken.
    """
    import numpy as np

    windows, _ = _windows()
    ranked = np.argpartition(-_scores(a, b), TRIED, axis=1)[:, :TRIED]
    tried = np.concatenate([np.zeros((len(a), 1), dtype=np.int64), ranked], axis=1)
    best, taken = np.full(len(a), -np.inf), b
    for down, across in (divmod(tried[:, place], len(windows)) for place in range(TRIED + 1)):
        window = windows[down][:, None] @ b @ windows[across][:, None].transpose(0, 1, 3, 2)
        score = (a * window).sum(axis=(1, 2, 3)) / np.sqrt((window**2).sum(axis=(1, 2, 3)) + 1e-9)
        better = score > best
        best = np.where(better, score, best)
        taken = np.where(better[:, None, None, None], window, taken)
    return taken


def _scores(a: "np.ndarray", b: "np.ndarray") -> "np.ndarray":
    """Return the (P, K²) scores of all windows, down before across; those that stretch too much come last."""
    import numpy as np

    windows, sides = _windows()
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
