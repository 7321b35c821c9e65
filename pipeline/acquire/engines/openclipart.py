"""Clip art of the Open Clip Art Library, captioned, credited and licensed by the metadata in each SVG file.

The package of SVG files is read twice: for the texts, as only all of them tell which title names a series, and for the
drawings. A file that is a symbolic link to another is a row of reason ``symlink``.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.acquire.admission import Found, admitted
from pipeline.acquire.engines.clip_art_text import Series, Work, caption, read_work
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.packages.debian import Member, debian_availability, members, obtain
from pipeline.acquire.pictures.drawing import Drawing, drawn, read_svg
from pipeline.acquire.raw import RawRow
from pipeline.acquire.sources import OpenclipartSource
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.acquire.card import Card

ANY = "drawing"  # stands for the caption while a picture is admitted, once for all its captions
LANGUAGE = re.compile(r"([a-z]{2})(?:[-_][a-z]{2})?\b", re.I)
LANGUAGE_NAMES = {"english": "en", "eng": "en"}


@dataclass(frozen=True, slots=True)
class Library:
    """What the drawings say of themselves: their metadata by path without extension, and the texts that they share."""

    works: dict[str, Work | None]
    series: Series


def rows(card: "Card", source: OpenclipartSource, options: AcquireOptions, parts: Path) -> Iterator[RawRow]:
    """Yield a row for every text of every drawing that can be a caption, in the order of the package.

    Raises:
        ConfigError: a package cannot be had or holds no drawings.
    """
    deb = obtain(source.svg)
    library = read_library(deb, source)
    if not library.works:
        raise ConfigError(f"{source.svg.name} holds no drawings below {source.folder}/svg; check source.folder")
    if source.png is None:
        found = members(deb, lambda name: name.startswith(f"{source.folder}/svg/") and name.endswith(".svg"))
        drawings = (_drawing(card, source, library, member) for member in found)
        pictures = drawn(drawings, workers=options.workers)
    else:
        deb = obtain(source.png)
        found = members(deb, lambda name: name.startswith(f"{source.folder}/png/") and name.endswith(".png"))
        entries = (Found(_row(card, source, library, member), member.data) for member in found)
        pictures = admitted(entries, max_pixels=source.max_pixels, workers=options.workers, screen=options.screen)
    captioned = (row for picture in pictures for row in _captioned(source, library, picture))
    yield from islice(captioned, options.limit)


def params(card: "Card", source: OpenclipartSource, options: AcquireOptions) -> dict[str, Any]:
    """Return what decides the outcome besides the card, which names the packages' hashes: the renderer."""
    return {"tools": {"resvg_py": version("resvg_py")}} if source.png is None else {}


def availability(card: "Card", source: OpenclipartSource) -> str:
    """Return why the packages cannot be had from here, empty if they can."""
    return debian_availability(source.svg) or (debian_availability(source.png) if source.png else "")


def read_library(deb: Path, source: OpenclipartSource) -> Library:
    """Return what the drawings of a package of SVG files say of themselves.

    Raises:
        ConfigError: it cannot be read as a package.
    """
    library = Library({}, Series(source.series))
    root = f"{source.folder}/svg"
    for member in members(deb, lambda name: name.startswith(f"{root}/") and name.endswith(".svg")):
        stem = _stem(member.name, root)
        if member.link:
            library.works.setdefault(stem, None)
            continue
        try:
            work = read_work(read_svg(member.data))
        except ValueError:
            work = None  # why it cannot be read is said when it is drawn
        library.works[stem] = work
        if work is not None:
            library.series.add(work)
    return library


def _drawing(card: "Card", source: OpenclipartSource, library: Library, member: Member) -> Drawing:
    row = _row(card, source, library, member)
    if row.reason:
        return Drawing(row, b"", source.size)
    row = replace(row, original_sha256=files.sha256_bytes(member.data))
    return Drawing(row, member.data, source.size, trim=source.trim)


def _row(card: "Card", source: OpenclipartSource, library: Library, member: Member) -> RawRow:
    """Return the row of a drawing, without a caption; it has a reason if the drawing is left out."""
    kind = "svg" if source.png is None else "png"
    root = f"{source.folder}/{kind}"
    stem = _stem(member.name, root)
    folder, name = posixpath.split(stem)
    work = library.works.get(stem) or Work()
    row = RawRow(
        url=f"openclipart:{stem}.{kind}",
        caption=ANY,
        group=caption("title", work, name, library.series).text.casefold() or stem,
        category=folder,
        lang=source.creator_languages.get(work.creator) or _language(work.language, card.language),
        licence=_licence(card, work),
        licence_source="RDF of the drawing",
        attribution=f"{work.creator}, {card.attribution}" if work.creator else card.attribution,
    )
    outside = [entry for entry in source.exclude_folders if folder == entry or folder.startswith(f"{entry}/")]
    if member.link:
        target = posixpath.relpath(member.link, root)
        return replace(row, status="excluded", reason="symlink", error_message=f"the same as {target}")
    if outside:
        return replace(row, status="excluded", reason="folder", error_message=f"folder {outside[0]}")
    return row


def _captioned(source: OpenclipartSource, library: Library, picture: RawRow) -> Iterator[RawRow]:
    """Yield a picture's row for every text; without the picture where the text is no caption."""
    stem = picture.url.removeprefix("openclipart:").rpartition(".")[0]
    work = library.works.get(stem) or Work()
    for kind in work.texts(source.captions):
        text, reason, said_by = caption(kind, work, posixpath.basename(stem), library.series)
        row = replace(picture, caption=text)
        if reason and not row.reason:
            row = replace(row, status="excluded", reason=reason, error_message=f"its {said_by}")
            row = replace(row, image=None, ext="", width=0, height=0)
        elif said_by != kind and not row.reason:
            row = replace(row, error_message=", ".join(filter(None, (row.error_message, f"caption from {said_by}"))))
        yield row


def _licence(card: "Card", work: Work) -> str:
    """Return the licence that a drawing names, by the card's list of words; nothing is asserted for any other."""
    return card.licences.get(work.licences[0], "NOASSERTION") if len(work.licences) == 1 else "NOASSERTION"


def _language(said: str, default: str) -> str:
    """Return the language that a drawing's metadata names, the card's where it names none."""
    match = LANGUAGE.match(said)
    return LANGUAGE_NAMES.get(said.casefold(), match[1].lower() if match else default)


def _stem(name: str, root: str) -> str:
    return posixpath.splitext(posixpath.relpath(name, root))[0]
