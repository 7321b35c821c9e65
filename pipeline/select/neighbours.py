"""All pairs at or above a cosine: exactly those of brute force, for a fraction of its arithmetic.

Vectors are rotated onto their principal axes. Of two rotated vectors the inner product is at most that of their k
leading features plus the product of the norms of what remains (Cauchy and Schwarz). The norm is appended as one more
feature, so one small matrix product bounds all pairs of a block, and only those that can still pass are computed in
full. The rotation, the k and the precision of the first pass change the time and never the result: roundings are
bounded and added to what passes, and a pair that passes is computed again in double precision, on its own.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import DataError
from pipeline.measure.vectors import check_vectors

if TYPE_CHECKING:
    import numpy as np
    import torch

DECIMALS = 12  # of a cosine in double precision, so that it does not depend on the order in which a machine adds
BLOCK = (1_024, 2_048)  # rows and columns of the first pass; a block of bounds stays in a core's cache
CHUNK = 65_536  # candidates that are computed in full at once; rows from which on their features are float32
PART = 4_096  # rows whose features are made at once, in double precision
FEATURES = 2**19  # numbers of either side of the pairs that are computed in full at once; they fit a core's cache
SMALL = 1e11  # multiplications up to which axes cost more than they save,
AXES = 320  # and so many for each cube of the dimension, which is what finding the axes costs
SAMPLE = 20_000  # rows that decide the axes
PROBE = 1_000  # rows whose pairs decide k
LEADING = (16, 24, 32, 40, 48, 64, 96, 128, 192, 256, 384, 512)
MAX_PAIRS = 50_000_000
FLOAT32, BFLOAT16 = 2.0**-24, 2.0**-9  # largest relative rounding error of one number


class Pairs(NamedTuple):
    """Pairs of rows, `first` < `second`, sorted by both; int64, and float64 to twelve decimals."""

    first: "np.ndarray"
    second: "np.ndarray"
    cosine: "np.ndarray"


def pairs_at_or_above(vectors: "np.ndarray", cosine: float, *, max_pairs: int = MAX_PAIRS) -> Pairs:
    """Return every pair of rows whose inner product is at least `cosine`.

    Args:
        vectors: (N, D) float32 of unit length, as `check_vectors` asks.
        cosine: threshold, above -1 and at most 1.
        max_pairs: more are refused: they would fill the memory, and say that the threshold is too low.

    Raises:
        DataError: the vectors are not what they should be, or there are more pairs than `max_pairs`.
    """
    import numpy as np

    check_vectors(vectors, range(len(vectors)))
    bounds = _bounds(vectors, cosine)
    parts, total = [], 0
    waiting: list[tuple[np.ndarray, np.ndarray]] = []
    for candidates in _candidates(*bounds):
        waiting.append(candidates)
        if sum(len(first) for first, _ in waiting) >= CHUNK:
            parts.append(_verified(vectors, waiting, cosine))
            waiting, total = [], total + len(parts[-1].first)
        if total > max_pairs:
            raise DataError(f"more than {max_pairs:,} pairs have a cosine of {cosine:g} or more; raise the threshold")
    parts.append(_verified(vectors, waiting, cosine))
    first, second, cosines = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((second, first))
    return Pairs(first[order], second[order], cosines[order])


def pairs_between(left: "np.ndarray", right: "np.ndarray", cosine: float) -> Pairs:
    """Return every pair of a row of `left` and a row of `right` whose inner product is at least `cosine`.

    Args:
        left: (N, D) float32 of unit length; `Pairs.first` counts its rows.
        right: (M, D) float32 of unit length; `Pairs.second` counts its rows.

    Raises:
        DataError: the vectors are not what they should be.
    """
    import numpy as np

    for vectors in (left, right):
        check_vectors(vectors, range(len(vectors)), right.shape[-1])
    parts = [_verified(left, [], cosine)]
    margin = (left.shape[1] + 2) * FLOAT32 * 1.01
    for top in range(0, len(left), BLOCK[0]):
        for start in range(0, len(right), BLOCK[1]):
            products = left[top : top + BLOCK[0]] @ right[start : start + BLOCK[1]].T
            rows, columns = np.nonzero(products >= cosine - margin)
            parts.append(_verified(left, [(rows + top, columns + start)], cosine, right))
    first, second, cosines = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((second, first))
    return Pairs(first[order], second[order], cosines[order])


def cosines_of(left: "np.ndarray", right: "np.ndarray") -> "np.ndarray":
    """Return the (P,) inner products of (P, D) float32 rows, in double precision and to twelve decimals."""
    import numpy as np

    step = max(1, FEATURES // max(1, left.shape[1]))
    parts = [np.empty(0)]
    for start in range(0, len(left), step):
        chunk = slice(start, start + step)
        parts.append(np.einsum("pd,pd->p", left[chunk].astype(np.float64), right[chunk].astype(np.float64)))
    return np.round(np.concatenate(parts), DECIMALS)


def _verified(
    vectors: "np.ndarray",
    candidates: "Sequence[tuple[np.ndarray, np.ndarray]]",
    cosine: float,
    others: "np.ndarray | None" = None,
) -> Pairs:
    """Compute candidates in full: in single precision to see which are near, and those in double precision."""
    import numpy as np

    others = vectors if others is None else others
    first = np.concatenate([np.empty(0, dtype=np.int64), *(rows for rows, _ in candidates)])
    second = np.concatenate([np.empty(0, dtype=np.int64), *(rows for _, rows in candidates)])
    parts = []
    margin = (vectors.shape[1] + 2) * FLOAT32 * 1.01
    step = max(1, FEATURES // max(1, vectors.shape[1]))
    for start in range(0, max(1, len(first)), step):
        a, b = first[start : start + step], second[start : start + step]
        near = np.einsum("pd,pd->p", vectors[a], others[b]) >= cosine - margin
        a, b = a[near], b[near]
        exact = cosines_of(vectors[a], others[b])
        passed = exact >= cosine
        parts.append(Pairs(a[passed], b[passed], exact[passed]))
    return Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _bounds(vectors: "np.ndarray", cosine: float) -> "tuple[torch.Tensor, float]":
    """Return (N, k + 1) features whose inner products bound those of the vectors, and what a bound must reach.

    Few vectors are their own bounds.
    """
    import numpy as np

    rows = len(vectors)
    if not rows:
        return _as_tensor(np.zeros((0, 1), dtype=np.float64), cosine)
    dim = vectors.shape[1]
    if rows * rows * dim <= max(SMALL, AXES * dim**3):
        return _as_tensor(vectors, cosine - (dim + 8) * FLOAT32 * 1.01)
    axes = _principal_axes(vectors)
    leading = _leading(vectors, axes, cosine)
    axes = axes[:, :leading]
    features = np.empty((rows, leading + 1), dtype=np.float64 if rows <= CHUNK else np.float32)
    for start in range(0, rows, PART):
        block = vectors[start : start + PART].astype(np.float64)
        features[start : start + PART] = _leading_and_rest(block, axes)
    # 1e-7: the axes are orthonormal, and the norms right, to far less; features are rounded to single precision.
    return _as_tensor(features, cosine - (leading + 8) * FLOAT32 * 1.01 - 1e-7)


def _leading_and_rest(block: "np.ndarray", axes: "np.ndarray") -> "np.ndarray":
    """Return the features of float64 vectors along some axes and, last, the norm of what the axes leave out."""
    import numpy as np

    leading = block @ axes
    rest = np.einsum("nd,nd->n", block, block) - np.einsum("nk,nk->n", leading, leading)
    return np.concatenate([leading, np.sqrt(np.maximum(rest, 0) + 1e-15)[:, None]], axis=1)


def _principal_axes(vectors: "np.ndarray") -> "np.ndarray":
    """Return the (D, D) orthonormal axes of a sample of the vectors, the strongest first, in double precision."""
    import numpy as np

    sample = vectors[:: max(1, len(vectors) // SAMPLE)][:SAMPLE]
    _, axes = np.linalg.eigh((sample.T @ sample).astype(np.float64))
    return axes[:, ::-1]


def _leading(vectors: "np.ndarray", axes: "np.ndarray", cosine: float) -> int:
    """Return the number of leading features that costs least, by the bounds of a sample of the pairs.

    The costs are those of a pair, a feature of a pair and a pair that is computed in full, in picoseconds on two cores;
    a wrong one costs time.
    """
    import numpy as np

    dim = vectors.shape[1]
    step = max(1, len(vectors) // PROBE)
    sample = vectors[step // 2 :: step][:PROBE].astype(np.float64)
    rotated = sample @ axes
    pairs = np.triu_indices(len(sample), 1)
    exact = (sample @ sample.T)[pairs] >= cosine
    best, choice = np.inf, dim
    for leading in [k for k in LEADING if k < dim]:
        features = _leading_and_rest(rotated, np.eye(dim)[:, :leading])
        passing = ((features @ features.T)[pairs] >= cosine - 0.005) & ~exact
        cost = 200 + 7 * leading + 4_000 * dim * (passing.sum() + 0.5) / max(1, len(exact))
        if cost < best:
            best, choice = cost, leading
    return choice


def _as_tensor(features: "np.ndarray", least: float) -> "tuple[torch.Tensor, float]":
    """Return features in the fastest precision at hand, and the bound lowered by all that it can round away.

    With x̃ the rounded x, |⟨x, y⟩ - ⟨x̃, ỹ⟩| ≤ |x - x̃||y| + |x̃||y - ỹ|; and the product itself is rounded once.
    """
    import torch

    single = torch.from_numpy(features).float()
    if not len(single) or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return single, least
    half = single.bfloat16()
    error = max(float((part - half[start : start + PART].float()).norm(dim=1).max()) for start, part in _parts(single))
    largest = max(float(part.norm(dim=1).max()) for _, part in _parts(single)) + error
    margin = 1.01 * (2 * error * largest + BFLOAT16 * largest**2)
    product = (half[: BLOCK[0]] @ half[: BLOCK[1]].T).float() - single[: BLOCK[0]] @ single[: BLOCK[1]].T
    if float(product.abs().max()) > margin:  # a machine that adds in half precision
        return single, least
    return half, least - margin


def _parts(rows: "torch.Tensor") -> "list[tuple[int, torch.Tensor]]":
    return [(start, rows[start : start + PART]) for start in range(0, len(rows), PART)]


def _candidates(features: "torch.Tensor", least: float) -> "Iterator[tuple[np.ndarray, np.ndarray]]":
    """Yield rows and columns, first < second, of all bounds that reach `least`, band by band.

    Every thread takes a band of its own and computes in itself alone: threads that share one small product wait for
    each other most of the time, and all of it on a machine that does other work as well.
    """
    import torch

    threads = torch.get_num_threads()
    bands = iter(range(0, len(features), BLOCK[0]))
    waiting: deque[Future[tuple[np.ndarray, np.ndarray]]] = deque()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            torch.set_num_threads(1)
            while True:
                for top in islice(bands, threads + 1 - len(waiting)):
                    waiting.append(pool.submit(_band, features, least, top))
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            torch.set_num_threads(threads)


def _band(features: "torch.Tensor", least: float, top: int) -> "tuple[np.ndarray, np.ndarray]":
    """Return rows and columns, first < second, of the bounds that reach `least`, in a band of rows."""
    import numpy as np
    import torch

    height, width = BLOCK
    rows = features[top : top + height]
    buffer = torch.empty(height * width, dtype=features.dtype)
    found = [(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))]
    for left in range(top - top % width, len(features), width):
        columns = features[left : left + width]
        bounds = buffer[: len(rows) * len(columns)].view(len(rows), len(columns))
        torch.mm(rows, columns.T, out=bounds)
        hit = (bounds.amax(dim=1) >= least).nonzero().view(-1)
        if len(hit):
            row, column = (bounds[hit] >= least).nonzero(as_tuple=True)
            first, second = (hit[row] + top).numpy(), (column + left).numpy()
            found.append((first[first < second], second[first < second]))
    first, second = (np.concatenate(column) for column in zip(*found, strict=True))
    return first, second
