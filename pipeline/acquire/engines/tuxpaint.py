"""Stamps of the drawing program Tux Paint: pictures, each with a line of text in English and in other languages.

A stamp is ``<folder>/<stem>.txt`` beside ``<stem>.png`` or ``<stem>.svg``. The first line of the text is English, every
other one ``<language>.utf8=<words>``. Where a stamp has both pictures the PNG is taken, as it is framed and has its
lettering; the SVG is a row of reason ``other_format``. A ``<stem>_mirror`` is not the stamp turned by the program but
drawn for the other direction, without a text of its own: ``no_text``.
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.acquire.admission import Found, admitted
from pipeline.acquire.lists import is_missing
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.packages.debian import debian_availability, members, obtain
from pipeline.acquire.pictures.drawing import Drawing, drawn
from pipeline.acquire.raw import RawRow
from pipeline.acquire.sources import TuxpaintSource
from pipeline.config import nearest
from pipeline.errors import ConfigError
from pipeline.sample import normalise_caption

if TYPE_CHECKING:
    from pipeline.acquire.card import Card

ENGLISH = "en"
MODIFIERS = {"latin": "Latn", "cyrillic": "Cyrl"}  # of a locale's name, as subtags of a language
PICTURES = (".png", ".svg")  # a stamp with both is the first
ANY = "stamp"  # stands for the caption while a picture is admitted, once for all its captions


@dataclass(slots=True)
class Stamp:
    """What the package has under one stem: pictures by extension, lines of text by language; no text is None."""

    stem: str
    pictures: dict[str, bytes] = field(default_factory=dict)
    lines: dict[str, str] | None = None


def rows(card: "Card", source: TuxpaintSource, options: AcquireOptions, parts: Path) -> Iterator[RawRow]:
    """Yield a row for every stamp and language, by folder and stem, and for every picture without a text.

    Raises:
        ConfigError: the package cannot be had or holds no stamps, or nothing in it is in a language of the card.
    """
    stamps = read_stamps(obtain(source.package), source.folder)
    if not stamps:
        raise ConfigError(f"{source.package.name} holds no stamps below {source.folder}; check source.folder")
    _check_languages(source, stamps)
    yield from islice(_all_rows(card, source, options, stamps), options.limit)


def params(card: "Card", source: TuxpaintSource, options: AcquireOptions) -> dict[str, Any]:
    """Return what decides the outcome besides the card, which names the package's hash: the renderer."""
    return {"tools": {"resvg_py": version("resvg_py")}}


def availability(card: "Card", source: TuxpaintSource) -> str:
    """Return why the package cannot be had from here, empty if it can."""
    return debian_availability(source.package)


def read_stamps(deb: Path, folder: str) -> list[Stamp]:
    """Return the stamps of a package, sorted by folder and stem.

    Raises:
        ConfigError: it cannot be read as a package.
    """
    found: dict[str, Stamp] = {}
    for member in members(deb, lambda name: name.startswith(f"{folder}/") and name.endswith((*PICTURES, ".txt"))):
        stem, kind = posixpath.splitext(posixpath.relpath(member.name, folder))
        stamp = found.setdefault(stem, Stamp(stem))
        if kind == ".txt":
            stamp.lines = read_lines(member.data)
        elif not member.link:
            stamp.pictures[kind] = member.data
    return sorted(found.values(), key=lambda stamp: posixpath.split(stamp.stem))


def read_lines(text: bytes) -> dict[str, str]:
    """Return the lines of a stamp's text by language, English first; the first line of a language counts.

    Bytes that are not UTF-8 become the replacement character.
    """
    english, *others = text.decode("utf-8-sig", errors="replace").splitlines() or [""]
    found = {ENGLISH: english.strip()}
    for line in others:
        locale, separator, words = line.partition(".utf8=")
        if separator:
            found.setdefault(language_of(locale.strip()), words.strip())
    return found


def language_of(locale: str) -> str:
    """Return the language tag (BCP 47) of a locale's name: ``pt_BR`` is ``pt-BR``, ``sr@latin`` is ``sr-Latn``."""
    name, _, modifier = locale.replace("_", "-").partition("@")
    return f"{name}-{MODIFIERS.get(modifier, modifier)}" if modifier else name


def _check_languages(source: TuxpaintSource, stamps: Sequence[Stamp]) -> None:
    known = sorted({language for stamp in stamps for language in stamp.lines or {}})
    for wanted in () if source.languages == "all" else source.languages:
        if language_of(wanted) not in known:
            raise ConfigError(
                f"no stamp has a text in {wanted}{nearest(language_of(wanted), known)}; there are {', '.join(known)}"
            )


def _all_rows(
    card: "Card", source: TuxpaintSource, options: AcquireOptions, stamps: Sequence[Stamp]
) -> Iterator[RawRow]:
    """Yield the rows of all stamps; a picture is drawn or admitted once for all its captions."""
    entries = [_entry(card, source, stamp) for stamp in stamps]
    photographs = (entry for entry in entries if isinstance(entry, Found))
    drawings = (entry for entry in entries if isinstance(entry, Drawing))
    pictures = admitted(photographs, max_pixels=source.max_pixels, workers=options.workers, screen=options.screen)
    sketches = drawn(drawings, workers=options.workers)
    for stamp, entry in zip(stamps, entries, strict=True):
        picture = next(pictures if isinstance(entry, Found) else sketches)
        if stamp.lines is None:
            yield picture
            continue
        for language, caption in _wanted(source, stamp.lines).items():
            yield _captioned(picture, language, caption, stamp.lines[ENGLISH])
        if len(stamp.pictures) > 1:
            other = replace(_row(card, source, stamp, PICTURES[1]), caption=stamp.lines[ENGLISH], lang=ENGLISH)
            message = other.error_message or f"also {picture.url}"
            yield replace(other, status="excluded", reason=other.reason or "other_format", error_message=message)


def _entry(card: "Card", source: TuxpaintSource, stamp: Stamp) -> Found | Drawing:
    """Return the picture that stands for a stamp, with a row that has no caption yet."""
    kind = next((kind for kind in PICTURES if kind in stamp.pictures), "")
    data = stamp.pictures.get(kind)
    row = _row(card, source, stamp, kind)
    if data is None or row.reason or kind == ".png":
        return Found(row, data)
    return Drawing(replace(row, original_sha256=files.sha256_bytes(data)), data, source.size, trim=True)


def _row(card: "Card", source: TuxpaintSource, stamp: Stamp, kind: str) -> RawRow:
    folder = posixpath.dirname(stamp.stem)
    outside = [name for name in source.exclude_folders if folder == name or folder.startswith(f"{name}/")]
    english = normalise_caption((stamp.lines or {}).get(ENGLISH, ""))
    row = RawRow(
        url=f"tuxpaint:{stamp.stem}{kind}",
        caption=ANY,
        group=english or stamp.stem,
        category=folder,
        licence=card.licence,
        licence_source="card",
        attribution=card.attribution,
    )
    if outside:
        row = replace(row, status="excluded", reason="folder", error_message=f"folder {outside[0]}")
    if stamp.lines is None:
        return replace(row, caption="", status="excluded", reason=row.reason or "no_text")
    return row


def _wanted(source: TuxpaintSource, lines: Mapping[str, str]) -> Mapping[str, str]:
    """Return the captions that are rows; one that a list asks for and a stamp does not have is empty."""
    if source.languages == "all":
        return lines
    return {language: lines.get(language, "") for language in map(language_of, source.languages)}


def _captioned(picture: RawRow, language: str, caption: str, english: str) -> RawRow:
    """Return the row of a picture with a caption, without the picture if the caption is none of its own."""
    row = replace(picture, caption=caption, lang=language)
    if row.reason:
        return row
    reason = "empty_caption" if is_missing(caption) else ""
    if not reason and language != ENGLISH and normalise_caption(caption) == normalise_caption(english):
        reason = "same_as_english"
    return replace(row, status="excluded", reason=reason, image=None, ext="", width=0, height=0) if reason else row
