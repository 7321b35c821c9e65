"""Named drawings of an icon set (Iconify JSON in an npm package), rendered into square pictures.

The format: ``icons.json`` holds ``prefix``, ``icons`` (name to ``body``, perhaps ``left``, ``top``, ``width``,
``height``, ``rotate``, ``hFlip``, ``vFlip``, ``hidden``), ``aliases`` (name to ``parent`` and what differs from it) and
defaults for the box; ``info.json`` the licence; ``metadata.json`` the categories.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.packages.npm import npm_availability, obtain, read_json_member
from pipeline.acquire.pictures.drawing import Drawing, drawn
from pipeline.acquire.raw import RawRow
from pipeline.acquire.sources import IconifySource, IconSetSource
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.acquire.card import Card

TONES = ("light", "medium-light", "medium", "medium-dark", "dark")
TONE_NAME = re.compile(r"skin-tone|-tone[1-5](-|$)")
TONE_SUFFIX = re.compile(r"(.+?)-(medium-light|medium-dark|light|medium|dark)$")
LONGEST_CHAIN = 10  # of aliases of aliases


@dataclass(frozen=True, slots=True)
class IconSet:
    """The content of a package: icons by name, aliases, categories by icon name, licence."""

    prefix: str
    box: Mapping[str, Any]
    icons: Mapping[str, Mapping[str, Any]]
    aliases: Mapping[str, Mapping[str, Any]]
    category: Mapping[str, str]
    licence: str


def rows(card: "Card", source: IconifySource, options: AcquireOptions, parts: Path) -> Iterator[RawRow]:
    """Yield a row for every icon of the set, in the package's order: drawn, failed or excluded with a reason.

    Raises:
        ConfigError: the package cannot be had, is no icon set, or has another licence than the card says.
    """
    icons = load_set(source)
    if icons.licence != card.licence:
        raise ConfigError(f"data card {card.name} says {card.licence}, but {source.package} says {icons.licence}")
    yield from drawn(islice(drawings(card, icons, source), options.limit), workers=options.workers)


def drawings(card: "Card", icons: IconSet, source: IconSetSource) -> Iterator[Drawing]:
    """Yield every icon with its row, in the package's order; what is left out has a reason and is not to be drawn."""
    names = canonical_names(icons, source)
    reasons = excluded(icons, source, names)
    for name in listed(icons, source):
        row = _row(card, icons, name, names[name], reasons.get(name, ""))
        yield Drawing(row, svg_text(icons, name, source.size).encode(), source.size)


def params(card: "Card", source: IconSetSource, options: AcquireOptions) -> dict[str, Any]:
    """Return what decides the outcome besides the card: the renderer, and what spells out the names."""
    from pipeline.acquire.card import load_card

    tools = {"resvg_py": version("resvg_py")}
    if not source.spelling:
        return {"tools": tools}
    speller = load_card(source.spelling).source.model_dump(mode="json")
    return {"tools": tools | {"wordfreq": version("wordfreq")}, "spelling": speller}


def availability(card: "Card", source: IconifySource) -> str:
    """Return why the package cannot be had from here, empty if its archive is at hand or the registry has it."""
    return npm_availability(source.package, source.version, source.integrity)


def load_set(source: IconSetSource) -> IconSet:
    """Obtain the package and read its icon set.

    Raises:
        ConfigError: the package cannot be had or is no icon set.
    """
    archive = obtain(source.package, source.version, source.integrity)
    data = read_json_member(archive, "package/icons.json")
    info = read_json_member(archive, "package/info.json")
    if not isinstance(data, dict) or not isinstance(info, dict) or not isinstance(data.get("icons"), dict):
        raise ConfigError(f"{source.package}@{source.version} holds no icon set: icons.json and info.json are needed")
    return icon_set(data, info, read_json_member(archive, "package/metadata.json") or {})


def icon_set(data: Mapping[str, Any], info: Mapping[str, Any], metadata: Mapping[str, Any]) -> IconSet:
    """Return a set from the content of ``icons.json``, ``info.json`` and ``metadata.json``."""
    return IconSet(
        prefix=data["prefix"],
        box={key: data.get(key, default) for key, default in (("left", 0), ("top", 0), ("width", 16), ("height", 16))},
        icons=data["icons"],
        aliases=data.get("aliases", {}),
        category={name: heading for heading, names in metadata.get("categories", {}).items() for name in names},
        licence=info.get("license", {}).get("spdx", ""),
    )


def listed(icons: IconSet, source: IconSetSource) -> list[str]:
    """Return the names that are rows: the icons, then the aliases if the card asks for them."""
    return [*icons.icons, *(icons.aliases if source.aliases else ())]


def resolved(icons: IconSet, name: str) -> dict[str, Any]:
    """Return an icon with what it inherits: turns add up, two flips undo each other, all else is the nearest's own.

    An alias without an icon at its end has no ``body``.
    """
    found: dict[str, Any] = {}
    for _ in range(LONGEST_CHAIN):
        entry = icons.icons.get(name) or icons.aliases.get(name, {})
        turns = {"rotate": (found.get("rotate", 0) + entry.get("rotate", 0)) % 4}
        flips = {flip: bool(found.get(flip)) != bool(entry.get(flip)) for flip in ("hFlip", "vFlip")}
        found = {**entry, **found, **turns, **flips}
        if name in icons.icons:
            break
        name = entry.get("parent", "")
    return found


def category_of(icons: IconSet, name: str) -> str:
    """Return the heading that an icon stands under, of an alias its parent's where it has none; perhaps empty."""
    return icons.category.get(name) or icons.category.get(resolved(icons, name).get("parent", ""), "")


def canonical_names(icons: IconSet, source: IconSetSource) -> dict[str, str]:
    """Return each icon's name as its words with hyphens between them; the name itself unless the card asks for more."""
    from pipeline.acquire.card import load_card
    from pipeline.acquire.engines.spelling import spell, spellings

    names = listed(icons, source)
    if not source.spelling:
        return {name: source.spelled.get(name, name) for name in names}
    other = load_card(source.spelling).source
    if not isinstance(other, IconifySource):
        raise ConfigError(f"spelling names the card {source.spelling}, which is no icon set")
    speller = load_set(other)
    known = spellings({*speller.icons, *speller.aliases} - excluded(speller, other, {}).keys())
    return {name: source.spelled.get(name) or spell(name, known) for name in names}


def excluded(icons: IconSet, source: IconSetSource, names: Mapping[str, str]) -> dict[str, str]:
    """Return the reason for every icon and alias that is left out: ``hidden``, ``flag`` or ``skin_tone``.

    Args:
        names: the icons' canonical names; an icon that is not in it goes by its own name.
    """
    reasons = {}
    toned = skin_tones(icons) if source.exclude.skin_tones else set()
    for name in listed(icons, source):
        icon = resolved(icons, name)
        flag = category_of(icons, name) == "Flags" or names.get(name, name).startswith("flag-")
        if icon.get("hidden"):
            reasons[name] = "hidden"
        elif flag and source.exclude.flags:
            reasons[name] = "flag"
        elif name in toned or icon.get("parent") in toned:
            reasons[name] = "skin_tone"
    return reasons


def skin_tones(icons: IconSet) -> set[str]:
    """Return the icons that are another one in a skin tone.

    Some sets say so in the name (``-skin-tone``, ``-tone3``). Others end a name in the bare tone; it counts where the
    set has the name without it and in at least one further tone, so that a ``police-car-light`` stays a light.
    """
    known = {*icons.icons, *icons.aliases}
    found = {name for name in known if TONE_NAME.search(name)}
    for name in known:
        match = TONE_SUFFIX.match(name)
        if match and match[1] in known and sum(f"{match[1]}-{tone}" in known for tone in TONES) > 1:
            found.add(name)
    return found


def svg_text(icons: IconSet, name: str, size: int, *, turned: int = 0) -> str:
    """Return an icon as an SVG document of `size` × `size` pixels that keeps the icon's own aspect ratio.

    It is mirrored (``hFlip``: left and right change places), then turned clockwise by ``rotate`` quarters, and by
    `turned` more.
    """
    icon = resolved(icons, name)
    body = icon.get("body")
    if not body:
        return ""  # not drawable, which is what becomes of its row
    left, top, width, height = (icon.get(key, icons.box[key]) for key in ("left", "top", "width", "height"))
    turns, mirrored = (icon["rotate"] + turned) % 4, (-1 if icon["hFlip"] else 1, -1 if icon["vFlip"] else 1)
    if turns or mirrored != (1, 1):
        centre = f"{left + width / 2:g} {top + height / 2:g}"
        from_centre = f"{-left - width / 2:g} {-top - height / 2:g}"
        change = f"translate({centre}) rotate({90 * turns}) scale({mirrored[0]} {mirrored[1]}) translate({from_centre})"
        body = f'<g transform="{change}">{body}</g>'
        if turns % 2:
            left, top = left + (width - height) / 2, top + (height - width) / 2
            width, height = height, width
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{left} {top} {width} {height}" width="{size}" height="{size}">{body}</svg>'
    )


def _row(card: "Card", icons: IconSet, name: str, canonical: str, reason: str) -> RawRow:
    words = canonical.replace("-", " ")
    return RawRow(
        url=f"iconify:{icons.prefix}/{name}",
        caption=words,
        group=words,
        category=category_of(icons, name),
        lang=card.language,
        licence=card.licence,
        licence_source="info.json of the package",
        attribution=card.attribution,
        status="excluded" if reason else "success",
        reason=reason,
    )
