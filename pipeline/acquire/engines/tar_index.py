"""What lies in a tar that others have made: read strictly, by its headers alone, and never extracted.

`tarfile` takes a damaged header for the end of an archive and a missing end for an end, and it reads a header's
extension of any length into memory. Here each of these is an error.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from pipeline.errors import DataError

LONGEST_HEADER = 32_768  # with its extensions, in bytes; paths end at 4,096
KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.CONTTYPE: "a contiguous file",
}
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstandard"}


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive that is no directory.

    Attributes:
        name: as the archive has it, perhaps with surrogates for bytes that are not UTF-8.
        offset, size: of its content in the archive, in bytes.
        fault: why its content is not read, for a person; empty for an ordinary file below the archive's root.
    """

    name: str
    offset: int
    size: int
    fault: str = ""


def read_index(path: Path) -> Iterator[Member]:
    """Yield the members of an uncompressed tar in their order, directories left out.

    Raises:
        DataError: it is no tar, compressed, truncated, damaged, or has something after its end.
    """
    with path.open("rb") as file:
        start = file.read(512)
        kind = next((name for magic, name in COMPRESSED.items() if start.startswith(magic)), "")
        if kind:
            raise DataError(f"{path} is compressed with {kind}; a shard is read in place: decompress it first")
        try:
            yield from _members(path, file)
        except (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError) as error:
            raise DataError(f"{path} is truncated or damaged: {' '.join(str(error).split())}") from None


def _members(path: Path, file: IO[bytes]) -> Iterator[Member]:
    file.seek(0)
    headers = _Headers(file)
    with tarfile.open(fileobj=cast(IO[bytes], headers), mode="r:", encoding="utf-8") as tar:
        last = -1
        while (member := headers.next(tar)) is not None:
            if member.size < 0 or member.offset <= last:
                raise tarfile.ReadError(f"the header at byte {member.offset} points backwards")
            last = member.offset
            if not member.isdir():
                yield Member(member.name, member.offset_data, member.size, _fault(member))
        _check_end(file, tar.offset)


def _fault(member: tarfile.TarInfo) -> str:
    if member.issparse():
        return "a sparse file"
    if not member.isreg() or member.type == tarfile.CONTTYPE:
        return KINDS.get(member.type, f"of the unknown kind {member.type!r}")
    parts = member.name.split("/")
    if member.name.startswith(("/", "\\")) or ".." in parts or "\0" in member.name:
        return "a name that leads out of the archive"
    return ""


def _check_end(file: IO[bytes], offset: int) -> None:
    """Raise unless an archive ends as the format says, with two blocks of zeros, and holds nothing more."""
    file.seek(offset)
    end = file.read(1024)
    if len(end) < 1024:
        raise tarfile.ReadError(f"the end of the archive is missing after byte {offset}")
    if any(end):
        raise tarfile.ReadError(f"no header at byte {offset}")
    while block := file.read(1_048_576):
        if block.count(0) != len(block):
            raise tarfile.ReadError(f"something follows the end of the archive at byte {offset}")


class _Headers:
    """A file through which headers and their extensions are read, and no more than that of any member."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = LONGEST_HEADER
        self.tell, self.seek = file.tell, file.seek

    def next(self, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
        """Return the next member of the archive that is read through this file."""
        self._left = LONGEST_HEADER
        tar.members = []  # type: ignore[attr-defined]  # they would be kept for the whole archive
        return tar.next()

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes."""
        # An empty read counts too: tarfile waits for the end of a sparse file's map in a loop.
        self._left -= max(size, tarfile.BLOCKSIZE)
        if size < 0 or self._left < 0:
            raise tarfile.ReadError(f"a header of more than {LONGEST_HEADER:,} bytes before byte {self._file.tell()}")
        return self._file.read(size)
