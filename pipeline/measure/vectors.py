"""Vectors in files: a float32 matrix of unit rows, the names of the rows, and a header that says what made them."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import files
from pipeline.errors import DataError

if TYPE_CHECKING:
    import numpy as np

HEADER = "header.json"
UNIT = 1e-3  # how far a length may be from 1
NAMED = 20  # rows that a complaint names
CHUNK = 65_536  # rows at once, for memory only
LARGE = 2**27  # bytes of copies from which on they lie in a file


class Side(NamedTuple):
    """One side of the pairs: where its vectors and their names lie, and how a complaint calls its things."""

    vectors: str
    names: str
    things: str


IMAGES = Side("image.npy", "images.json", "pictures")
CAPTIONS = Side("text.npy", "captions.json", "captions")


def write_vectors(
    side: Side, folder: Path, names: Sequence[str], vectors: "np.ndarray", header: Mapping[str, Any]
) -> int:
    """Write (N, dim) vectors with the names of their rows, and the header with ``dim`` and ``rows``; return N.

    Raises:
        DataError: a vector is not finite.
    """
    import numpy as np

    check_finite(side, header["encoder"], [names[row] for row in np.flatnonzero(~is_finite(vectors)).tolist()])
    with appended(folder / side.vectors, vectors.shape[1]) as append:
        append(vectors)
    return write_names(side, folder, names, header, vectors.shape[1])


def write_names(side: Side, folder: Path, names: Sequence[str], header: Mapping[str, Any], dim: int) -> int:
    """Write what stands beside vectors: the names of the rows, and the header; return the number of rows."""
    files.write_json(folder / side.names, list(names))
    files.write_json(folder / HEADER, {**header, "dim": dim, "rows": len(names)})
    return len(names)


def check_finite(side: Side, encoder: str, bad: Sequence[str]) -> None:
    """Raise if there are names of rows that are not finite.

    Raises:
        DataError: it names them.
    """
    if bad:
        raise DataError(f"the encoder {encoder} gave no finite vector for {len(bad)} {side.things}: {listed(bad)}")


@contextmanager
def appended(path: Path, dim: int) -> "Iterator[Callable[[np.ndarray], None]]":
    """Open a file of (N, dim) float32 rows, and give what appends some of them: no more than these are in memory.

    The bytes are those of `numpy.save`, whose header keeps its length whatever the number of rows is.
    """
    import numpy as np

    def head(rows: int) -> None:
        facts = {"descr": np.dtype(np.float32).str, "fortran_order": False, "shape": (rows, dim)}
        np.lib.format.write_array_header_1_0(file, facts)

    rows = 0

    def append(vectors: "np.ndarray") -> None:
        nonlocal rows
        rows += len(vectors)
        file.write(np.ascontiguousarray(vectors, dtype=np.float32).data)

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        head(0)
        yield append
        file.seek(0)
        head(rows)


def gathered(vectors: "np.ndarray", rows: "np.ndarray", folder: Path | None = None) -> "np.ndarray":
    """Return copies of some rows; many of them lie in a nameless file, so that memory need not hold them all.

    Args:
        folder: where there is room for the file; by default that for temporary files.
    """
    import numpy as np

    shape = (len(rows), vectors.shape[1])
    if shape[0] * shape[1] * vectors.itemsize < LARGE:
        return np.ascontiguousarray(vectors[rows])
    with tempfile.TemporaryFile(dir=folder) as file:
        copies = np.memmap(file, dtype=vectors.dtype, mode="w+", shape=shape)
    for start in range(0, len(rows), CHUNK):
        copies[start : start + CHUNK] = vectors[rows[start : start + CHUNK]]
    return np.asarray(copies)


def read_vectors(side: Side, folder: Path) -> "tuple[list[str], np.ndarray]":
    """Return the names of the rows and the (N, dim) float32 vectors of unit length.

    Raises:
        DataError: the files are damaged or do not belong together, or a vector cannot be compared.
    """
    names, vectors = load_vectors(side, folder)
    check_vectors(vectors, names)
    return names, vectors


def load_vectors(side: Side, folder: Path) -> "tuple[list[str], np.ndarray]":
    """Return the names of the rows and the matrix as they lie in their files; the matrix is not read, but mapped.

    Raises:
        DataError: the files are damaged or do not belong together.
    """
    import numpy as np

    names = files.read_json(folder / side.names)
    try:
        vectors = np.asarray(np.load(folder / side.vectors, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError):
        raise DataError(f"{folder / side.vectors} is damaged; {way_out(folder)}") from None
    if len(vectors) != len(names):
        raise DataError(f"{folder} holds {len(vectors)} vectors for {len(names)} {side.things}; {way_out(folder)}")
    return names, vectors


def way_out(folder: Path) -> str:
    """Return what helps where a folder of vectors is not what it should be."""
    return f"remove {folder} and run the recipe again"


def check_vectors(vectors: "np.ndarray", names: Sequence[object], dim: int | None = None) -> None:
    """Raise unless there is one finite float32 row of unit length (to 1e-3) for every name, in C order.

    Raises:
        DataError: naming what is wrong, and the rows that are not finite or not of unit length.
    """
    import numpy as np

    if fault := layout_fault(vectors, dim):
        raise DataError(fault)
    if len(vectors) != len(names):
        raise DataError(f"there are {len(vectors)} vectors for {len(names)} names")
    if bad := np.flatnonzero(~is_unit(vectors)).tolist():
        raise DataError(
            f"{len(bad)} vectors are not finite or not of unit length: {listed([names[row] for row in bad])}"
        )


def layout_fault(vectors: "np.ndarray", dim: int | None = None) -> str:
    """Return why an array is no float32 matrix in C order, with rows of `dim` features; empty where it is one."""
    import numpy as np

    if vectors.ndim != 2 or vectors.dtype != np.float32:
        return f"vectors must be a float32 matrix, not {vectors.dtype} of {vectors.ndim} dimensions"
    if dim is not None and vectors.shape[1] != dim:
        return f"vectors have {vectors.shape[1]} features and not {dim}: they are of another encoder"
    if not vectors.flags.c_contiguous:
        return "vectors must lie row by row (C order); store them with numpy.ascontiguousarray"
    return ""


def is_unit(vectors: "np.ndarray") -> "np.ndarray":
    """Return which of (N, dim) vectors are finite and of unit length."""
    import numpy as np

    unit = np.empty(len(vectors), dtype=bool)
    for start in range(0, len(vectors), CHUNK):
        with np.errstate(invalid="ignore", over="ignore"):
            unit[start : start + CHUNK] = np.abs(np.linalg.norm(vectors[start : start + CHUNK], axis=1) - 1) < UNIT
    return unit


def is_finite(vectors: "np.ndarray") -> "np.ndarray":
    """Return which of (N, dim) vectors are finite in all their features."""
    import numpy as np

    parts = [np.isfinite(vectors[start : start + CHUNK]).all(axis=1) for start in range(0, len(vectors), CHUNK)]
    return np.concatenate([np.empty(0, dtype=bool), *parts])


def listed(names: Sequence[object]) -> str:
    """Return names as text, the first of them where there are many."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(map(str, names[:NAMED])) + more
