"""Drawings of emoji with their names in many languages: an icon set beside Unicode's CLDR, both npm packages.

The formats: the set's ``chars.json`` has the icon of each character (code points in hex, hyphens between them);
``annotations/<language>/annotations.json`` of CLDR has, by character, ``tts``: the short name that is read out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.acquire.engines import iconify
from pipeline.acquire.engines.iconify import IconSet, load_set
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.packages.npm import json_members, npm_availability, obtain, read_json_member
from pipeline.acquire.pictures.drawing import drawn
from pipeline.acquire.raw import RawRow
from pipeline.acquire.sources import IconNamesSource, NpmPackage
from pipeline.config import nearest
from pipeline.errors import ConfigError
from pipeline.licences import both_apply

if TYPE_CHECKING:
    from pipeline.acquire.card import Card

FOLDER = "package/annotations"
SELECTOR = "\N{VARIATION SELECTOR-16}"  # asks for the coloured form; some lists write it and some do not
Names = Mapping[str, Mapping[str, str]]  # by language, by character


def rows(card: "Card", source: IconNamesSource, options: AcquireOptions, parts: Path) -> Iterator[RawRow]:
    """Yield a row for every icon of the set and language; an icon is drawn once for all its names.

    An icon that stands for no character, or whose character has no name in the language, is a row of reason
    ``no_name``. The group is the icon's own name, as without translations, so that a drawing and its names in all
    languages fall into one part of a split.

    Raises:
        ConfigError: a package cannot be had, is not what it should be, has another licence than the card says, or no
            names in a language.
    """
    icons, names = load_set(source), read_names(source.names, source.languages)
    licence = both_apply(icons.licence, _licence(source.names))
    if licence != card.licence:
        raise ConfigError(f"data card {card.name} says {card.licence}, but its two packages say {licence}")
    characters = read_characters(source)
    yield from islice(_all_rows(card, source, options, icons, characters, names), options.limit)


def params(card: "Card", source: IconNamesSource, options: AcquireOptions) -> dict[str, Any]:
    """Return what decides the outcome besides the card: as for the icon set alone."""
    return iconify.params(card, source, options)


def availability(card: "Card", source: IconNamesSource) -> str:
    """Return why a package cannot be had from here, empty if both are at hand or the registry has them."""
    packages: tuple[NpmPackage, ...] = (source, source.names)
    reasons = (npm_availability(each.package, each.version, each.integrity) for each in packages)
    return next(filter(None, reasons), "")


def read_names(package: NpmPackage, languages: Sequence[str]) -> Names:
    """Return the short names of characters, without the selector of their coloured form.

    Raises:
        ConfigError: the package cannot be had, or has no names in one of the languages.
    """
    archive = obtain(package.package, package.version, package.integrity)
    found = {language: read_json_member(archive, f"{FOLDER}/{language}/annotations.json") for language in languages}
    for language, content in found.items():
        if content is None:
            known = [member.removeprefix(f"{FOLDER}/").partition("/")[0] for member, _ in json_members(archive, FOLDER)]
            raise ConfigError(
                f"{package.package}@{package.version} has no names in {language}{nearest(language, known)}; it has "
                f"{', '.join(known) or 'none'}"
            )
    return {language: _short_names(content) for language, content in found.items()}


def read_characters(source: IconNamesSource) -> dict[str, str]:
    """Return the character that each icon stands for; of several the first.

    Raises:
        ConfigError: the set does not say so.
    """
    archive = obtain(source.package, source.version, source.integrity)
    icon_of = read_json_member(archive, "package/chars.json")
    if not isinstance(icon_of, dict):
        raise ConfigError(f"{source.package}@{source.version} is no set of emoji: it has no chars.json")
    found: dict[str, str] = {}
    for points, icon in icon_of.items():
        found.setdefault(icon, _plain("".join(chr(int(point, 16)) for point in points.split("-"))))
    return found


def _all_rows(
    card: "Card",
    source: IconNamesSource,
    options: AcquireOptions,
    icons: IconSet,
    characters: Mapping[str, str],
    names: Names,
) -> Iterator[RawRow]:
    pictures = drawn(iconify.drawings(card, icons, source), workers=options.workers)
    for icon, picture in zip(iconify.listed(icons, source), pictures, strict=True):
        for language in source.languages:
            yield _named(picture, language, names[language].get(characters.get(icon, ""), ""))


def _named(picture: RawRow, language: str, name: str) -> RawRow:
    """Return the row of a picture with its name in a language, without the picture where there is none."""
    row = replace(picture, caption=name, lang=language, licence_source="info.json and package.json of the packages")
    if name or row.reason:
        return row
    return replace(row, status="excluded", reason="no_name", image=None, ext="", width=0, height=0)


def _short_names(content: Any) -> dict[str, str]:
    entries = content["annotations"]["annotations"]
    return {_plain(character): entry["tts"][0] for character, entry in entries.items() if entry.get("tts")}


def _licence(package: NpmPackage) -> str:
    archive = obtain(package.package, package.version, package.integrity)
    return str((read_json_member(archive, "package/package.json") or {}).get("license", ""))


def _plain(character: str) -> str:
    return character.replace(SELECTOR, "")
