"""What the texts in a clip-art drawing's metadata say about the drawing itself: captions, or the reason why not.

Titles are written by hundreds of people and by their programs. Cleaning takes off what names a file or an author and
leaves the words; a text that then names nothing, or names a whole series of drawings, is no caption.
"""

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.etree import ElementTree

from pipeline.sample import normalise_caption

DC = "{http://purl.org/dc/elements/1.1/}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
CC = ("{http://web.resource.org/cc/}", "{http://creativecommons.org/ns#}")

BY_AUTHOR = re.compile(r"^clip ?art by [^-]+ - ", re.I)
FILE_ENDING = re.compile(r"\.(svgz?|png|jpe?g|gif|ai|eps|wmf|sxd|dxf)$", re.I)
SERIAL = re.compile(r"[\s#(]*(?:\bno\.?\s*)?\d+[a-z]?\)?$", re.I)  # "guitar2", "Tiger 02", "star (3)"
COLOURLESS = re.compile(r"\s\(?(b&w|bw|b/w|b and w)\)?$", re.I)  # black and white
VERSION = re.compile(r"([-_]md)?[-_]?v\d+\.\d+$|-md$", re.I)  # ends of file names
ADDRESS = re.compile(r"\S@\S|https?:|www\.|\w\.(com|org|net|it|de|fr)\b|\bHASH\(0x", re.I)  # of people or in memory
BRACKETED_ADDRESS = re.compile(r"\s*[\[(<][^\])>]*@[^\])>]*[\])>]|\s*\S+@\S+")
GENERIC = re.compile(
    r"(untitled|unnamed|unknown|title|none|new|document|drawing|image|picture|graphic|clipart|svg|vector|layer|test)+"
)
SHORTEST = 3  # letters in which a title and a file name must agree
LETTERS = re.compile(r"[^\W\d_]{3}")
FILE_NUMBER = re.compile(r"[\d_]+$")


@dataclass(frozen=True, slots=True)
class Work:
    """A drawing's metadata, as it stands there (RDF of Dublin Core and Creative Commons).

    Attributes:
        licences: every licence that is named, as an address or in words.
    """

    title: str = ""
    description: str = ""
    keywords: tuple[str, ...] = ()
    creator: str = ""
    language: str = ""
    licences: tuple[str, ...] = ()

    def texts(self, kinds: Iterable[str]) -> dict[str, str]:
        """Return the texts of some kinds; one that is absent has no entry, but every drawing has a title."""
        words = ", ".join(dict.fromkeys(word.replace("_", " ") for word in self.keywords if word and word != "hash"))
        found = {"title": self.title, "description": self.description, "keywords": words}
        return {kind: found[kind] for kind in kinds if found[kind] or kind == "title"}


@dataclass(slots=True)
class Series:
    """How many drawings share a text; one that more than `most` share speaks of their series."""

    most: int
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, work: Work) -> None:
        """Count the texts of one drawing."""
        self.counts.update({_key(cleaned_title(work.title)), _key(work.description)} - {""})

    def names(self, text: str, stem: str) -> bool:
        """Tell whether a text names a series, and not the drawing whose file has this stem."""
        return self.counts[_key(text)] > self.most and not agrees(text, stem)


def read_work(root: ElementTree.Element) -> Work | None:
    """Return the metadata in a drawing, of its first work if it describes several; None if there is none."""
    works = [work for space in CC for work in root.iter(f"{space}Work")]
    if not works:
        return None
    first = works[0]
    return Work(
        title=_text(first.find(f"{DC}title")),
        description=_text(first.find(f"{DC}description")),
        keywords=tuple(_text(entry) for entry in first.iterfind(f"{DC}subject/{RDF}Bag/{RDF}li")),
        creator=BRACKETED_ADDRESS.sub("", _text(first.find(f"{DC}creator"))).strip(),
        language=_text(first.find(f"{DC}language")),
        licences=tuple(sorted({word for work in works for word in _licences(work)})),
    )


class Caption(NamedTuple):
    """A caption, or a text that is none.

    Attributes:
        reason: ``empty_caption``, ``not_a_caption`` (an address, a program's default, no word), ``series`` (it names
            the series), ``same_as_title``; empty for a caption.
        said_by: the kind of text that it is, or ``file name``.
    """

    text: str
    reason: str
    said_by: str


def caption(kind: str, work: Work, stem: str, series: Series) -> Caption:
    """Return the caption that a text of a drawing makes.

    A title that is empty or names a series gives way to the name of the file, if that has words.

    Args:
        kind: ``title``, ``description`` or ``keywords``.
        stem: name of the drawing's file, without folder and extension.
    """
    text = work.texts((kind,)).get(kind, "")
    if kind == "title":
        named_by_author = BY_AUTHOR.match(text) is not None
        text = cleaned_title(text)
        wrong = named_by_author and not agrees(text, stem)  # copied from another drawing of the author
        reason = _fault(text) or ("series" if wrong or series.names(text, stem) else "")
        name = file_words(stem, work.creator)
        if reason in ("empty_caption", "series") and not _fault(name):
            return Caption(name, "", "file name")
        return Caption(text, reason, kind)
    if _key(cleaned_title(text)) == _key(cleaned_title(work.title)):
        return Caption(text, "same_as_title", kind)
    is_series = kind == "description" and series.names(text, stem)
    return Caption(text, _fault(text) or ("series" if is_series else ""), kind)


def file_words(stem: str, creator: str) -> str:
    """Return the words of a file's name, without version, number and the name of whoever drew it."""
    authors = {_key(word) for word in creator.split()}
    words = cleaned_title(VERSION.sub("", stem)).replace("-", " ").split()
    while words and _key(words[-1]) in authors:
        words.pop()
    return cleaned_title(" ".join(words))


def cleaned_title(title: str) -> str:
    """Return a title without author, file ending, serial number and mark of a colourless version."""
    text = BY_AUTHOR.sub("", normalise_caption(title))
    text = normalise_caption(FILE_ENDING.sub("", text).replace("_", " "))
    for ending in (SERIAL, COLOURLESS, SERIAL):
        text = ending.sub("", text).strip(" -,")
    return text


def agrees(title: str, stem: str) -> bool:
    """Tell whether a file is named by a title: one begins with the other, as file names are cut and have a number."""
    one, other = _key(title), _key(FILE_NUMBER.sub("", stem))
    return min(len(one), len(other)) >= SHORTEST and (one.startswith(other) or other.startswith(one))


def _fault(text: str) -> str:
    if not text:
        return "empty_caption"
    named = LETTERS.search(text) and not GENERIC.fullmatch(_key(text)) and not ADDRESS.search(text)
    return "" if named else "not_a_caption"


def _key(text: str) -> str:
    """Return the letters and digits of a text, without accents and case."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def _text(element: ElementTree.Element | None) -> str:
    return normalise_caption(html.unescape(" ".join(element.itertext()))) if element is not None else ""


def _licences(work: ElementTree.Element) -> Iterator[str]:
    for space in CC:
        for element in work.iter(f"{space}license"):
            yield element.get(f"{RDF}resource") or _text(element)
