"""Rows whose pictures lie on this machine, admitted in several processes: the common end of every engine.

A decoder is a program in C that reads what strangers wrote. With more than one worker, or where it is asked for, it
runs in a process of bounded memory with a deadline: over a picture that crashes it, lets it hang or fills its memory,
that process alone is lost, and the row's reason is ``decoder_crash``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from pipeline import files
from pipeline.acquire.hash_lists import blocked, is_listed
from pipeline.acquire.options import Screen
from pipeline.acquire.pictures.admit import Refused, admit
from pipeline.acquire.raw import SUCCESS, RawRow
from pipeline.acquire.text import MAX_CHARACTERS, judge_caption
from pipeline.parallel import Limits, ordered_map
from pipeline.sample import one_line

SECONDS = 60.0  # for one picture; the largest take two or three
BASE_MEMORY = 512 << 20  # bytes of a process with its libraries and the encoded pictures that it was handed
NO_SCREEN = Screen()
PIXEL_MEMORY = 24  # bytes a pixel while a transparent one is put on white: six pictures of four bytes


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


def admitted(
    found: Iterable[Found],
    *,
    max_pixels: int,
    workers: int,
    isolated: bool = False,
    limits: Limits | None = None,
    screen: Screen = NO_SCREEN,
) -> Iterator[RawRow]:
    """Yield each row, in order, with its picture if that is admitted, otherwise with the reason why it has none.

    Args:
        max_pixels: width × height above which a picture is refused from its header.
        workers: processes; with one, decoders run in this process unless `isolated`.
        isolated: decode in another process also with one worker.
        limits: of one picture; by default `SECONDS`, and memory for a picture of `max_pixels`.
        screen: its lists name pictures that are refused before they are decoded.
    """
    if limits is None and (isolated or workers > 1):
        limits = Limits(SECONDS, BASE_MEMORY + PIXEL_MEMORY * max_pixels)
    yield from ordered_map(partial(_admit, max_pixels, screen), found, workers=workers, crashed=_crashed, limits=limits)


def settled(rows: Iterable[RawRow], *, animated: Literal["first", "drop"] = "first") -> Iterator[RawRow]:
    """Yield rows, in order, under the rules that hold whatever the engine.

    A success whose caption is empty, too long or lost in a wrong encoding is none, nor is an animation that is to be
    dropped. What an error message quotes from data cannot reach beyond its line.
    """
    for row in rows:
        row = _with_sound_caption(row)
        row = replace(row, error_message=one_line(row.error_message))
        if row.animated and row.status == SUCCESS and animated == "drop":
            row = _without_picture(row, "excluded", "animated", "the source leaves animations out")
        yield row


def _with_sound_caption(row: RawRow) -> RawRow:
    """Return a row with its caption repaired; with a reason where the caption cannot be used."""
    if row.reason or row.status != SUCCESS:
        return replace(row, caption=row.caption[:MAX_CHARACTERS])
    caption = judge_caption(row.caption)
    row = replace(row, caption=caption.text)
    if caption.reason:
        # Without a caption there is nothing to use; letters that were lost are a fault of the source.
        status = "failed_to_resize" if caption.reason == "bad_encoding" else "excluded"
        return _without_picture(row, status, caption.reason, caption.message)
    return replace(row, error_message=_joined(row.error_message, caption.message))


def _without_picture(row: RawRow, status: str, reason: str, message: str) -> RawRow:
    return replace(
        row, status=status, reason=reason, error_message=message, image=None, ext="", width=0, height=0, animated=False
    )


def _joined(*notes: str) -> str:
    return ", ".join(note for note in notes if note)


def _admit(max_pixels: int, screen: Screen, found: Found) -> RawRow:
    row = _with_sound_caption(found.row)
    if row.reason:
        return row
    if found.picture is None:
        return replace(row, status="failed_to_download", reason="missing_file", error_message="there is no picture")
    try:
        data = found.picture if isinstance(found.picture, bytes) else found.picture.read()
    except OSError as error:
        message = error.strerror or "it cannot be read"
        return replace(row, status="failed_to_download", reason="missing_file", error_message=message)
    if is_listed(data, screen.hash_lists):
        return blocked(files.sha256_bytes(data))
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
        error_message=_joined(row.error_message, verdict.note),
        animated=verdict.animated,
    )


def _crashed(found: Found) -> RawRow:
    message = "its decoder died, hung or ran out of memory"
    return replace(found.row, status="failed_to_resize", reason="decoder_crash", error_message=message)
