"""Tar archives whose bytes depend on their members alone."""

import contextlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def new_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """Open a new uncompressed archive in the plain USTAR form, which every reader understands."""
    with tarfile.open(path, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        yield tar


def add_member(tar: tarfile.TarFile, name: str, data: bytes) -> int:
    """Append a regular file whose header says nothing about when, where and by whom it was made.

    Returns:
        The offset of the file's content in the archive, in bytes.
    """
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = 0o644
    content = tar.offset + tarfile.BLOCKSIZE
    tar.addfile(info, io.BytesIO(data))
    return content
