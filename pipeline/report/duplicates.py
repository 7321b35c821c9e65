"""Duplicates beside what was kept in their place, one by one and as clusters."""

from dataclasses import dataclass

from pipeline.report.catalogue import Catalogue, Tile, evenly_spaced
from pipeline.report.config import ReportConfig
from pipeline.report.selection import DUPLICATES
from pipeline.report.sources import frequent_first


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A dropped sample, the one kept in its place, and how alike they are."""

    dropped: Tile
    kept: Tile
    reason: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Pairs of one reason to look at, out of `total` that could be shown, from the most alike to the least."""

    reason: str
    total: int
    pairs: list[Pair]


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A picture that was kept, first of the tiles, and some of the `dropped` that it stands for."""

    dropped: int
    tiles: list[Tile]


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """What was taken for one picture.

    Attributes:
        samples, pictures: that were dropped; some of them may not be shown.
        kinds: pairs by reason, the most frequent first.
        clusters: the largest.
        sizes: number of kept pictures by how many others each stands for.
    """

    samples: int
    pictures: int
    kinds: list[Kind]
    clusters: list[Cluster]
    sizes: dict[int, int]


def read_duplicates(config: ReportConfig, catalogue: Catalogue | None) -> Duplicates | None:
    """Return dropped duplicates beside their kept partners, or None where nothing has been selected.

    A pair is shown only where its partner was kept to the end, and where neither picture was dropped for safety under
    any caption.
    """
    if catalogue is None or not catalogue.verdicts:
        return None
    kept = set(catalogue.kept())
    dropped = [row for row in catalogue.verdicts if row["step"] == DUPLICATES]
    shown = [
        row
        for row in dropped
        if row["partner"] in kept and all(catalogue.may_be_shown(uid) for uid in (row["uid"], row["partner"]))
    ]
    reasons: dict[str, list[tuple[float, str, str]]] = {}
    for row in shown:
        reasons.setdefault(row["reason"], []).append((-row["score"], row["uid"], row["partner"]))
    frequent = frequent_first({reason: len(rows) for reason, rows in reasons.items()})
    kinds = [_kind(config, catalogue, reason, reasons[reason]) for reason in frequent]
    groups: dict[str, dict[str, str]] = {}  # by kept picture: a sample of every picture that it stands for
    leader: dict[str, str] = {}
    for row in shown:
        image = catalogue.image(row["partner"])
        leader.setdefault(image, row["partner"])
        groups.setdefault(image, {}).setdefault(catalogue.image(row["uid"]), row["uid"])
    largest = sorted(groups, key=lambda image: (-len(groups[image]), image))[: config.clusters]
    lengths = [len(group) for group in groups.values()]
    return Duplicates(
        samples=len(dropped),
        pictures=len({catalogue.image(row["uid"]) for row in dropped}),
        kinds=kinds,
        clusters=[
            _cluster(config, catalogue, leader[image], list(groups[image].values()))
            for image in largest
            if len(groups[image]) > 1
        ],
        sizes={size: lengths.count(size) for size in sorted(set(lengths))},
    )


def _kind(config: ReportConfig, catalogue: Catalogue, reason: str, rows: list[tuple[float, str, str]]) -> Kind:
    rows = sorted(rows)
    chosen = evenly_spaced(rows, config.pairs)
    pairs = [
        Pair(dropped=catalogue.tile(dropped, config), kept=catalogue.tile(partner, config), reason=reason, score=-score)
        for score, dropped, partner in chosen
    ]
    return Kind(reason=reason, total=len(rows), pairs=pairs)


def _cluster(config: ReportConfig, catalogue: Catalogue, kept: str, dropped: list[str]) -> Cluster:
    shown = evenly_spaced(dropped, config.cluster_size - 1)
    return Cluster(dropped=len(dropped), tiles=[catalogue.tile(uid, config) for uid in (kept, *shown)])
