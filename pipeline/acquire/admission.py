"""Rows whose pictures lie on this machine, admitted in several processes: the common end of every engine."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pipeline import files
from pipeline.acquire.admit import Refused, admit
from pipeline.acquire.raw import RawRow
from pipeline.parallel import ordered_map


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a file: `size` bytes from `offset` on, or the whole file where there is no size."""

    file: Path
    offset: int = 0
    size: int | None = None

    def read(self) -> bytes:
        """Return the bytes.

        Raises:
            OSError: the file is not there or cannot be read.
        """
        with self.file.open("rb") as file:
            file.seek(self.offset)
            return file.read(-1 if self.size is None else self.size)


@dataclass(frozen=True, slots=True)
class Found:
    """A row and the bytes of its picture, or where they lie; a row that has a reason already needs none.

    Attributes:
        sha256: that the bytes must have, in hex; empty where nothing is known.
    """

    row: RawRow
    picture: bytes | Span | None = None
    sha256: str = ""


def admitted(found: Iterable[Found], *, max_pixels: int, workers: int) -> Iterator[RawRow]:
    """Yield each row, in order, with its picture if that is admitted, otherwise with the reason why it has none."""
    yield from ordered_map(partial(_admit, max_pixels), found, workers=workers, crashed=_crashed)


def _admit(max_pixels: int, found: Found) -> RawRow:
    row = found.row
    if row.reason:
        return row
    if found.picture is None:
        return replace(row, status="failed_to_download", reason="missing_file", error_message="there is no picture")
    try:
        data = found.picture if isinstance(found.picture, bytes) else found.picture.read()
    except OSError as error:
        message = error.strerror or "it cannot be read"
        return replace(row, status="failed_to_download", reason="missing_file", error_message=message)
    row = replace(row, original_sha256=files.sha256_bytes(data))
    if found.sha256 and row.original_sha256 != found.sha256:
        return replace(row, status="failed_to_download", reason="hash_mismatch", error_message="not the listed sha256")
    verdict = admit(data, max_pixels=max_pixels)
    if isinstance(verdict, Refused):
        return replace(row, status="failed_to_resize", reason=verdict.reason, error_message=verdict.message)
    return replace(
        row,
        image=verdict.image,
        ext=verdict.ext,
        width=verdict.width,
        height=verdict.height,
        original_width=verdict.original_width,
        original_height=verdict.original_height,
        error_message=verdict.note,
    )


def _crashed(found: Found) -> RawRow:
    return replace(found.row, status="failed_to_resize", reason="decoder_crash", error_message="the decoder died")
