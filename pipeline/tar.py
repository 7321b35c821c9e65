"""Tar archives whose bytes depend on their members alone."""

import contextlib
import hashlib
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import DataError

BLOCK = tarfile.BLOCKSIZE
# The header of an empty regular file without a name: mode 0644, all that says who made it and when is zero. The plain
# USTAR form, as every reader understands it (POSIX.1-2017, pax, "ustar Interchange Format").
_BLANK = tarfile.TarInfo().tobuf(tarfile.USTAR_FORMAT)
_NAME, _SIZE, _CHECKSUM = slice(0, 100), slice(124, 135), slice(148, 156)
_AFTER_NAME, _AFTER_SIZE, _TAIL = _BLANK[100:124], _BLANK[135:148], _BLANK[156:]
_BLANK_SUM = sum(_BLANK) - sum(_BLANK[_SIZE]) - sum(_BLANK[_CHECKSUM]) + 8 * ord(" ")
_LARGEST = 8**11 - 1  # what eleven octal digits can say


def member_header(name: str, size: int) -> bytes:
    """Return what goes before the content of a regular file of mode 0644, made by nobody at no time.

    One USTAR block where name and size fit into one, as `tarfile` writes it; a PAX header where they do not.
    """
    encoded = name.encode("utf-8", "surrogateescape")
    if len(encoded) > 100 or size > _LARGEST:
        return _long_header(name, size)
    digits = b"%011o" % size
    checksum = b"%06o\0 " % (_BLANK_SUM + sum(encoded) + sum(digits))
    return b"".join((encoded.ljust(100, b"\0"), _AFTER_NAME, digits, _AFTER_SIZE, checksum, _TAIL))


def _long_header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    try:
        return info.tobuf(tarfile.USTAR_FORMAT, "utf-8")
    except ValueError:
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8")


class TarWriter:
    """An archive that is being written; see `new_tar`.

    Attributes:
        size: bytes written so far.
        sha256, md5: of these bytes. MD5 is what ``wids`` names shards by, and protects nothing.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0
        self.sha256 = hashlib.sha256()
        self.md5 = hashlib.md5(usedforsecurity=False)

    def add(self, *members: tuple[str, bytes]) -> int:
        """Append regular files one after the other; return the offset of the first one's content, in bytes."""
        parts: list[bytes] = []
        first = 0
        for name, data in members:
            header = member_header(name, len(data))
            first = first or self.size + len(header)
            parts += (header, data, bytes(-len(data) % BLOCK))
        self._append(b"".join(parts))
        return first

    def end(self) -> None:
        """Append the two empty blocks that end an archive, and fill it up to a whole record."""
        self._append(bytes(2 * BLOCK + -(self.size + 2 * BLOCK) % tarfile.RECORDSIZE))

    def _append(self, data: bytes) -> None:
        self._file.write(data)
        self.sha256.update(data)
        self.md5.update(data)
        self.size += len(data)


@contextlib.contextmanager
def new_tar(path: Path) -> Iterator[TarWriter]:
    """Open a new uncompressed archive; it is complete when the block ends, and not before."""
    with path.open("wb") as file:
        writer = TarWriter(file)
        yield writer
        writer.end()


def add_member(tar: TarWriter, name: str, data: bytes) -> int:
    """Append a regular file whose header says nothing about when, where and by whom it was made.

    Returns:
        The offset of the file's content in the archive, in bytes.
    """
    return tar.add((name, data))


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
