"""One picture and one caption: the unit that everything here is about.

The columns below are carried from acquisition to the staged shards. A picture with several captions is several
samples with one ``image_sha256``; nobody may treat them as each other's negatives.
"""

import hashlib
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
    """Return the caption in NFC, with runs of white space as one space and control characters removed."""
    text = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cs"))
    # Last, as a removed character can have stood between a letter and its accent.
    return unicodedata.normalize("NFC", " ".join(text.split()))


def sample_uid(image_sha256: str, caption: str) -> str:
    """Return a sample's identity: the first 128 bits, in hex, of sha256(image hash ‖ caption in NFC as UTF-8).

    It depends on nothing but the picture's bytes and the words, so it is the same on every machine and, split into
    two halves, is a DataComp ``u8,u8`` identifier.
    """
    data = bytes.fromhex(image_sha256) + unicodedata.normalize("NFC", caption).encode()
    return hashlib.sha256(data).hexdigest()[:32]
