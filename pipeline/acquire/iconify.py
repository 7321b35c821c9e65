"""Named drawings of an icon set (Iconify JSON in an npm package), rendered into square pictures.

The format: ``icons.json`` holds ``prefix``, ``icons`` (name to ``body``, perhaps ``left``, ``top``, ``width``,
``height``, ``hidden``) and defaults for the box; ``info.json`` the licence; ``metadata.json`` the categories.
"""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.acquire.npm import obtain, read_json_member
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import RawRow
from pipeline.acquire.sources import IconifySource
from pipeline.errors import ConfigError
from pipeline.parallel import ordered_map

if TYPE_CHECKING:
    from pipeline.acquire.card import Card

TONES = ("light", "medium-light", "medium", "medium-dark", "dark")
TONE_NAME = re.compile(r"skin-tone|-tone[1-5](-|$)")
TONE_SUFFIX = re.compile(r"(.+?)-(medium-light|medium-dark|light|medium|dark)$")
EXTERNAL = re.compile(r"""(?:href\s*=\s*["']?|url\(\s*["']?)\s*(?!\#)[^"'\s)]""")


@dataclass(frozen=True, slots=True)
class Drawing:
    """A row of the set that is to be drawn, its SVG text, and the side of the square in pixels."""

    row: RawRow
    svg: str
    size: int


@dataclass(frozen=True, slots=True)
class IconSet:
    """The content of a package: icons by name, aliases, categories by icon name, licence."""

    prefix: str
    box: Mapping[str, Any]
    icons: Mapping[str, Mapping[str, Any]]
    aliases: frozenset[str]
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
    names = canonical_names(icons, source)
    reasons = excluded(icons, source, names)
    entries = [
        Drawing(
            _row(card, icons, name, names[name], reasons.get(name, "")), svg_text(icons, name, source.size), source.size
        )
        for name in islice(icons.icons, options.limit)
    ]
    yield from ordered_map(_draw_row, entries, workers=options.workers, crashed=_crashed)


def params(card: "Card", source: IconifySource, options: AcquireOptions) -> dict[str, Any]:
    """Return what decides the outcome besides the card: the renderer, and what spells out the names."""
    from pipeline.acquire.card import load_card

    tools = {"resvg_py": version("resvg_py")}
    if not source.spelling:
        return {"tools": tools}
    speller = load_card(source.spelling).source.model_dump(mode="json")
    return {"tools": tools | {"wordfreq": version("wordfreq")}, "spelling": speller}


def load_set(source: IconifySource) -> IconSet:
    """Obtain the package and read its icon set.

    Raises:
        ConfigError: the package cannot be had or is no icon set.
    """
    archive = obtain(source.package, source.version, source.integrity)
    data = read_json_member(archive, "package/icons.json")
    info = read_json_member(archive, "package/info.json")
    if not isinstance(data, dict) or not isinstance(info, dict) or not isinstance(data.get("icons"), dict):
        raise ConfigError(f"{source.package}@{source.version} holds no icon set: icons.json and info.json are needed")
    metadata = read_json_member(archive, "package/metadata.json") or {}
    return IconSet(
        prefix=data["prefix"],
        box={key: data.get(key, default) for key, default in (("left", 0), ("top", 0), ("width", 16), ("height", 16))},
        icons=data["icons"],
        aliases=frozenset(data.get("aliases", {})),
        category={name: heading for heading, names in metadata.get("categories", {}).items() for name in names},
        licence=info.get("license", {}).get("spdx", ""),
    )


def canonical_names(icons: IconSet, source: IconifySource) -> dict[str, str]:
    """Return each icon's name as its words with hyphens between them; the name itself unless the card asks for more."""
    from pipeline.acquire.card import load_card
    from pipeline.acquire.spelling import spell, spellings

    if not source.spelling:
        return {name: name for name in icons.icons}
    other = load_card(source.spelling).source
    if not isinstance(other, IconifySource):
        raise ConfigError(f"spelling names the card {source.spelling}, which is no icon set")
    speller = load_set(other)
    known = spellings({*speller.icons, *speller.aliases} - excluded(speller, other, {}).keys())
    return {name: spell(name, known) for name in icons.icons}


def excluded(icons: IconSet, source: IconifySource, names: Mapping[str, str]) -> dict[str, str]:
    """Return the reason for every icon that is left out: ``hidden``, ``flag`` or ``skin_tone``.

    Args:
        names: the icons' canonical names; an icon that is not in it goes by its own name.
    """
    reasons = {}
    toned = skin_tones(icons) if source.exclude.skin_tones else set()
    for name, icon in icons.icons.items():
        flag = icons.category.get(name) == "Flags" or names.get(name, name).startswith("flag-")
        if icon.get("hidden"):
            reasons[name] = "hidden"
        elif flag and source.exclude.flags:
            reasons[name] = "flag"
        elif name in toned:
            reasons[name] = "skin_tone"
    return reasons


def skin_tones(icons: IconSet) -> set[str]:
    """Return the icons that are another one in a skin tone.

    Some sets say so in the name (``-skin-tone``, ``-tone3``). Others end a name in the bare tone; it counts where the
    set has the name without it and in at least one further tone, so that a ``police-car-light`` stays a light.
    """
    known = {*icons.icons, *icons.aliases}
    found = {name for name in icons.icons if TONE_NAME.search(name)}
    for name in icons.icons:
        match = TONE_SUFFIX.match(name)
        if match and match[1] in known and sum(f"{match[1]}-{tone}" in known for tone in TONES) > 1:
            found.add(name)
    return found


def svg_text(icons: IconSet, name: str, size: int) -> str:
    """Return an icon as an SVG document of `size` × `size` pixels that keeps the icon's own aspect ratio."""
    icon = icons.icons[name]
    if not icon.get("body"):
        return ""  # not drawable, which is what becomes of its row
    left, top, width, height = (icon.get(key, icons.box[key]) for key in ("left", "top", "width", "height"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{left} {top} {width} {height}" width="{size}" height="{size}">{icon["body"]}</svg>'
    )


def draw(svg: str) -> bytes:
    """Render an SVG document on white, as a PNG in RGB.

    Raises:
        ValueError: it is not valid, or it refers to something outside itself.
    """
    import resvg_py
    from PIL import Image

    if EXTERNAL.search(svg):
        raise ValueError("it refers to something outside itself")
    drawn = bytes(resvg_py.svg_to_bytes(svg_string=svg, background="white", skip_system_fonts=True))
    picture = Image.open(io.BytesIO(drawn), formats=("PNG",)).convert("RGB")
    out = io.BytesIO()
    picture.save(out, format="PNG", compress_level=6)
    return out.getvalue()


def _row(card: "Card", icons: IconSet, name: str, canonical: str, reason: str) -> RawRow:
    words = canonical.replace("-", " ")
    return RawRow(
        url=f"iconify:{icons.prefix}/{name}",
        caption=words,
        group=words,
        category=icons.category.get(name, ""),
        lang=card.language,
        licence=card.licence,
        licence_source="info.json of the package",
        attribution=card.attribution,
        status="excluded" if reason else "success",
        reason=reason,
    )


def _draw_row(drawing: Drawing) -> RawRow:
    """Return the row with its picture, or with the reason why there is none."""
    if drawing.row.status == "excluded":
        return drawing.row
    try:
        image = draw(drawing.svg)
    except ValueError as error:
        message = " ".join(str(error).split())[:300]
        return replace(drawing.row, status="failed_to_resize", reason="not_drawable", error_message=message)
    side = drawing.size
    return replace(
        drawing.row, image=image, ext="png", width=side, height=side, original_width=side, original_height=side
    )


def _crashed(drawing: Drawing) -> RawRow:
    return replace(drawing.row, status="failed_to_resize", reason="renderer_crash", error_message="the renderer died")
