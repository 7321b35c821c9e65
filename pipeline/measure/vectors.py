"""Vectors in files: a float32 matrix of unit rows, the names of the rows, and a header that says what made them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import files
from pipeline.errors import DataError

if TYPE_CHECKING:
    import numpy as np

HEADER = "header.json"
UNIT = 1e-3  # how far a length may be from 1
NAMED = 20  # rows that a complaint names


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

    bad = [names[row] for row in np.flatnonzero(~np.isfinite(vectors).all(axis=1)).tolist()]
    if bad:
        encoder = header["encoder"]
        raise DataError(f"the encoder {encoder} gave no finite vector for {len(bad)} {side.things}: {listed(bad)}")
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / side.vectors, np.ascontiguousarray(vectors, dtype=np.float32), allow_pickle=False)
    files.write_json(folder / side.names, list(names))
    files.write_json(folder / HEADER, {**header, "dim": vectors.shape[1], "rows": len(names)})
    return len(names)


def read_vectors(side: Side, folder: Path) -> "tuple[list[str], np.ndarray]":
    """Return the names of the rows and the (N, dim) float32 vectors of unit length.

    Raises:
        DataError: the files are damaged or do not belong together, or a vector cannot be compared.
    """
    names, vectors = load_vectors(side, folder)
    check_vectors(vectors, names)
    return names, vectors


def load_vectors(side: Side, folder: Path) -> "tuple[list[str], np.ndarray]":
    """Return the names of the rows and the matrix as they lie in their files.

    Raises:
        DataError: the files are damaged or do not belong together.
    """
    import numpy as np

    names = files.read_json(folder / side.names)
    try:
        vectors = np.load(folder / side.vectors, allow_pickle=False)
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

    with np.errstate(invalid="ignore", over="ignore"):
        return np.abs(np.linalg.norm(vectors, axis=1) - 1) < UNIT


def listed(names: Sequence[object]) -> str:
    """Return names as text, the first of them where there are many."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(map(str, names[:NAMED])) + more
