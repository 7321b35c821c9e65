"""Named drawings of many icon sets in one npm package, each set under a licence of its own.

The format: ``json/<prefix>.json`` is an icon set as `pipeline.acquire.engines.iconify` reads it, with its ``info``
(name, author, licence) inside. A set is the category of its icons; an icon's name is its caption and its group.
"""

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pipeline.acquire.engines.iconify import IconSet, icon_set, svg_text
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.packages.npm import json_members, npm_availability, obtain
from pipeline.acquire.pictures.drawing import Drawing, drawn
from pipeline.acquire.raw import RawRow
from pipeline.acquire.sources import IconSetsSource
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.acquire.card import Card

Entry = TypeVar("Entry")


class Variant(NamedTuple):
    """An icon of a set, turned by some quarter turns, with the credit of its set."""

    icons: IconSet
    attribution: str
    name: str
    turned: int


def rows(card: "Card", source: IconSetsSource, options: AcquireOptions, parts: Path) -> Iterator[RawRow]:
    """Yield a row for every icon of every set, in the package's order: drawn, failed or excluded with a reason.

    Icons of sets under other licences than the card's are rows too (``licence``), and so are hidden ones (``hidden``).
    A limit takes rows at even distances, so that every set has its share.

    Raises:
        ConfigError: the package cannot be had or holds no icon sets.
    """
    archive = obtain(source.package, source.version, source.integrity)
    total = sum(len(icons.icons) for icons, _ in icon_sets(archive)) * source.turns if options.limit else 0
    chosen = spread(variants(source, archive), total, options.limit)
    yield from drawn((_drawing(card, source, each) for each in chosen), workers=options.workers)


def params(card: "Card", source: IconSetsSource, options: AcquireOptions) -> dict[str, Any]:
    """Return what decides the outcome besides the card: the renderer."""
    return {"tools": {"resvg_py": version("resvg_py")}}


def availability(card: "Card", source: IconSetsSource) -> str:
    """Return why the package cannot be had from here, empty if its archive is at hand or the registry has it."""
    return npm_availability(source.package, source.version, source.integrity)


def icon_sets(archive: Path) -> Iterator[tuple[IconSet, Mapping[str, Any]]]:
    """Yield each set of a package with its ``info``, in the archive's order; one of them is in memory at a time.

    Raises:
        ConfigError: there is none, or a file is no icon set that says what it is.
    """
    found = 0
    for member, data in json_members(archive, "package/json"):
        if not isinstance(data, dict) or not all(isinstance(data.get(key), dict) for key in ("icons", "info")):
            raise ConfigError(f"{archive.name}: {member} is no icon set: it needs icons and info")
        found += 1
        yield icon_set(data, data["info"], {}), data["info"]
    if not found:
        raise ConfigError(f"{archive.name} holds no icon sets: it needs json/<prefix>.json")


def variants(source: IconSetsSource, archive: Path) -> Iterator[Variant]:
    """Yield every icon of every set as often as the source asks for it, turned or not."""
    for icons, info in icon_sets(archive):
        attribution = credit(info)
        for name in icons.icons:
            for turned in range(source.turns):
                yield Variant(icons, attribution, name, turned)


def spread(entries: Iterable[Entry], total: int, limit: int | None) -> Iterator[Entry]:
    """Yield `limit` of `total` entries at even distances; all of them where there are not more, or without a limit."""
    for place, entry in enumerate(entries):
        if limit is None or limit >= total or (place + 1) * limit // total > place * limit // total:
            yield entry


def credit(info: Mapping[str, Any]) -> str:
    """Return the credit of a set: its name, its author with an address, its licence."""
    author, licence = info.get("author") or {}, info.get("license") or {}
    address = author.get("url") or licence.get("url") or ""
    by = f" by {author['name']}" if author.get("name") else ""
    return f"{info.get('name', '')}{by}" + (f" ({address})" if address else "") + f", {licence.get('spdx', '')}"


def _drawing(card: "Card", source: IconSetsSource, variant: Variant) -> Drawing:
    """Return the row of a variant with its document, or with the reason why it is not to be drawn."""
    icons, attribution, name, turned = variant
    reason = "" if icons.licence in source.licences else "licence"
    reason = reason or ("hidden" if icons.icons[name].get("hidden") else "")
    words = name.replace("-", " ")
    row = RawRow(
        url=f"iconify:{icons.prefix}/{name}" + (f"?rotate={90 * turned}deg" if turned else ""),
        caption=words,
        group=words,
        category=icons.prefix,
        lang=card.language,
        licence=icons.licence or "NOASSERTION",
        licence_source="info of the set",
        attribution=attribution,
        status="excluded" if reason else "success",
        reason=reason,
    )
    svg = "" if reason else svg_text(icons, name, source.size, turned=turned)
    return Drawing(row, svg.encode(), source.size)
