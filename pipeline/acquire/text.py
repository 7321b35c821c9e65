"""Text in whatever encoding it came: decoded, repaired where it was decoded wrongly before, otherwise named as broken.

Nothing is guessed from statistics of letters. UTF-8 comes first, then UTF-16 (by its mark, or by the zero bytes of
Latin text), then, line by line, Windows-1252, of which Latin-1's letters are a part. Text that was read in a wrong
encoding once (mojibake) is repaired by ftfy.
"""

import codecs
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.sample import is_empty_caption

MAX_CHARACTERS = 10_000  # of a caption; the longest page of a picture book has some 3,000
UNKNOWN = "\ufffd"  # stands for what no encoding explains
MARKS = (  # longest first, as UTF-16's is the start of UTF-32's
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
ZERO_SHARE = 0.2  # of the bytes, from which text is in UTF-16
NO_WORD = re.compile("[À-ÖØ-öø-ÿ]{4}")  # no language of Windows-1252 writes so many accented letters in a row
GARBLED = 2  # of ftfy's badness; 1 is also reached by a quotation mark before a capital with an accent

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Decoded:
    """Bytes as text.

    Attributes:
        text: with `UNKNOWN` where no encoding fits; without a byte order mark.
        encoding: the name of the encoding, empty for UTF-8.
        lines: number of lines that were not in UTF-8.
    """

    text: str
    encoding: str = ""
    lines: int = 0


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption as it can be used, or why it cannot.

    Attributes:
        text: repaired; of one that is too long the start.
        reason: ``empty_caption``, ``caption_too_long``, ``bad_encoding``, or empty.
        message: for a person: what was repaired, or what is wrong.
    """

    text: str
    reason: str = ""
    message: str = ""


def decode_text(data: bytes) -> Decoded:
    """Return bytes as text; never fails."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            data = data[len(mark) :]
            if encoding != "utf-8":
                return _whole(data, encoding)
            break
    if encoding := _unmarked_utf16(data):
        return _whole(data, encoding)
    try:
        return Decoded(data.decode())
    except UnicodeDecodeError:
        lines = [_decoded_line(line) for line in data.split(b"\n")]
        return Decoded("\n".join(text for text, _ in lines), "Windows-1252", sum(odd for _, odd in lines))


def read_text(path: Path) -> str:
    """Return the text of a file in whatever encoding; logs a line where it is not in UTF-8.

    Raises:
        OSError: it cannot be read.
    """
    decoded = decode_text(path.read_bytes())
    if decoded.encoding:
        log.warning("%s: lines not in UTF-8, read as %s: %d", path, decoded.encoding, decoded.lines)
    return decoded.text


def judge_caption(text: str) -> Caption:
    """Return a caption repaired, or the reason why it cannot be used."""
    if len(text) > MAX_CHARACTERS:
        message = f"{len(text):,} characters, {MAX_CHARACTERS:,} allowed"
        return Caption(text[:200], "caption_too_long", message)
    if is_empty_caption(text):
        return Caption("", "empty_caption")
    if text.isascii():
        return Caption(text)
    sound = repaired(text)
    if is_empty_caption(sound):
        return Caption("", "empty_caption")
    if UNKNOWN in sound or _garbled(sound):
        return Caption(text, "bad_encoding", "its letters were lost in a wrong encoding")
    return Caption(sound, message="caption decoded again" if sound != text else "")


def repaired(text: str) -> str:
    """Return text with mojibake undone and the halves of surrogate pairs joined; a lone half is dropped."""
    import ftfy

    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return ftfy.fix_encoding(whole)


def _garbled(text: str) -> bool:
    from ftfy.badness import badness

    return badness(text) >= GARBLED


def _whole(data: bytes, encoding: str) -> Decoded:
    text = data.decode(encoding, "replace")
    return Decoded(text, encoding.upper(), text.count("\n") + 1)


def _unmarked_utf16(data: bytes) -> str:
    """Return the name of the encoding of Latin text in UTF-16 without a mark, by the side of its zero bytes."""
    zeros = data.count(0)
    if zeros < ZERO_SHARE * len(data) or len(data) % 2 or not data:
        return ""
    odd = data[1::2].count(0)
    if odd >= 0.9 * zeros:
        return "utf-16-le"
    return "utf-16-be" if zeros - odd >= 0.9 * zeros else ""


def _decoded_line(line: bytes) -> tuple[str, bool]:
    """Return a line, and whether it is not in UTF-8."""
    try:
        return line.decode(), False
    except UnicodeDecodeError:
        text = line.decode("cp1252", "replace")
        return (line.decode("utf-8", "replace") if NO_WORD.search(text) else text), True
