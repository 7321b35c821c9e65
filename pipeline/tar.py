"""Tar archives whose bytes depend on their members alone."""

import contextlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import DataError


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


def member_offsets(path: Path) -> dict[str, tuple[int, int]]:
    """Return offset and length, in bytes, of the content of every regular member, by name."""
    with tarfile.open(path) as tar:
        return {member.name: (member.offset_data, member.size) for member in tar if member.isreg()}


def read_span(path: Path, offset: int, size: int) -> bytes:
    """Return `size` bytes of a file from `offset` on: one member's content.

    Raises:
        DataError: the file is shorter than that.
    """
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(size)
    if len(data) != size:
        raise DataError(f"{path} ends before byte {offset + size}; remove its corpus from raw/ and run again")
    return data
