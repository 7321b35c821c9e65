"""Sets of samples as DataComp's tools name them: a sorted NumPy array of 128-bit identifiers.

An identifier is two unsigned numbers of 64 bits, the upper half of the uid first; its type is called ``u8,u8``.
"""

import io
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import files
from pipeline.errors import DataError

if TYPE_CHECKING:
    import numpy as np

DTYPE = "u8,u8"


def subset_array(uids: Collection[str]) -> "np.ndarray":
    """Return the array (N,) of some uids, each of 32 hex digits: sorted, each once."""
    import numpy as np

    halves = np.frombuffer(bytes.fromhex("".join(sorted(set(uids)))), ">u8")
    return halves.astype(np.uint64).view(DTYPE)


def write_subset(path: Path, uids: Collection[str]) -> None:
    """Write the array of some uids as a ``.npy`` file, atomically."""
    import numpy as np

    out = io.BytesIO()
    np.save(out, subset_array(uids), allow_pickle=False)
    files.write_bytes(path, out.getvalue())


def read_subset(path: Path) -> "np.ndarray":
    """Return the array of a ``.npy`` file.

    Raises:
        DataError: it is no such file, or holds something else.
    """
    import numpy as np

    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError):
        raise DataError(f"{path} is no array that NumPy can load without pickle") from None
    if not isinstance(array, np.ndarray) or array.dtype != np.dtype(DTYPE) or array.ndim != 1:
        raise DataError(f"{path} is not a list of identifiers of the type {DTYPE}")
    return array


def subset_record(uid: str) -> bytes:
    """Return the bytes by which a uid is to be found in the files of `write_subset`."""
    return subset_array([uid]).tobytes()
