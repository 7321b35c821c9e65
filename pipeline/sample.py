"""One picture and one caption: the unit that everything here is about.

The columns below are carried from acquisition to the staged shards. A picture with several captions is several
samples with one ``image_sha256``; nobody may treat them as each other's negatives.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass

COLUMNS = (
    "uid",
    "image_sha256",
    "caption",
    "lang",
    "corpus",
    "group",
    "licence",
    "attribution",
    "url",
)

# Control characters that are no white space, lone surrogates, byte order marks, and what Unicode calls Bidi_Control:
# characters that reorder what stands around them. The joiners of emoji and of Persian and Indic letters stay.
INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
CONTROL = re.compile("[\x09-\x0d\x1c-\x1f\x85\u2028\u2029]")
# Scripts that set no spaces between words: Thai and Lao, Burmese, Khmer, kana and Han.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
# What data frames, databases and spreadsheets write where there is no value.
NO_VALUE = frozenset({"", "nan", "none", "null", "n/a", "<na>"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One image-caption pair.

    Attributes:
        uid: 32 hex digits, see `sample_uid`.
        image_sha256: of the picture's bytes as acquired, 64 hex digits.
        caption: text in Unicode's NFC form.
        lang: language code of the caption (ISO 639), ``und`` where unknown.
        corpus: name of the data card that it came through.
        group: the work that a split may never cut: a book, a story, a recording, a drawing's name.
        licence: SPDX expression, ``NOASSERTION`` where unknown.
        attribution: the credit to give when the sample is passed on.
        url: where the picture was published, or a stable name of its source.
    """

    uid: str
    image_sha256: str
    caption: str
    lang: str
    corpus: str
    group: str
    licence: str
    attribution: str
    url: str


def normalise_caption(text: str) -> str:
    """Return the caption in NFC, with runs of white space as one space and without what `INVISIBLE` matches."""
    # NFC last, as a removed character can have stood between a letter and its accent.
    return unicodedata.normalize("NFC", " ".join(INVISIBLE.sub("", text).split()))


def spaced(text: str) -> str:
    """Return a text with a space before every letter of a script that sets none; its marks stay with it.

    Such scripts have words, but only a dictionary finds them: counted, searched and compared are letters. All other
    texts are returned as they are.
    """
    if UNSPACED.search(text) is None:
        return text
    parts: list[str] = []
    apart = False
    for character in text:
        if not unicodedata.category(character).startswith("M"):
            before, apart = apart, UNSPACED.match(character) is not None
            if (before or apart) and character.isalnum():
                parts.append(" ")
        parts.append(character)
    return "".join(parts).removeprefix(" ")


def one_line(text: str) -> str:
    """Return a name or a message on one line that a file can hold and a terminal can show.

    White space other than a space and what `INVISIBLE` matches become spaces; lone surrogates are spelled out.
    """
    if text.isprintable():
        return text
    return CONTROL.sub(" ", INVISIBLE.sub(" ", text.encode("utf-8", "backslashreplace").decode()))


def is_empty_caption(text: str) -> bool:
    """Tell whether a caption says nothing: no visible character, or the word of a table for a missing value."""
    seen = "".join(c for c in normalise_caption(text) if c.isascii() or unicodedata.category(c) not in ("Cf", "Zs"))
    return seen.strip().casefold() in NO_VALUE


def sample_uid(image_sha256: str, caption: str) -> str:
    """Return a sample's identity: the first 128 bits, in hex, of sha256(image hash ‖ caption in NFC as UTF-8).

    It depends on nothing but the picture's bytes and the words, so it is the same on every machine and, split into
    two halves, is a DataComp ``u8,u8`` identifier.
    """
    data = bytes.fromhex(image_sha256) + unicodedata.normalize("NFC", caption).encode()
    return hashlib.sha256(data).hexdigest()[:32]
