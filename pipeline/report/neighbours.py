"""What the index finds nearest to some samples: by their pictures, and by their captions."""

from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Literal

from pipeline.index.search import alike
from pipeline.index.store import Index, open_index
from pipeline.report.catalogue import COLUMNS, Catalogue, Tile, evenly_spaced
from pipeline.report.config import ReportConfig
from pipeline.select.kept import FILE as KEPT
from pipeline.tables import read_columns

Side = Literal["image", "text"]


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """A sample, and the samples nearest to it, best first; their notes are the scores."""

    asked: Tile
    found: list[Tile]


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """What the index finds, by picture and by caption.

    Attributes:
        samples: in the index.
        pictures, captions: a few samples of either kind with what is nearest to them.
    """

    samples: int
    pictures: list[Neighbours]
    captions: list[Neighbours]


def read_neighbours(config: ReportConfig, run: Path, catalogue: Catalogue | None) -> Nearest | None:
    """Return what is nearest to some samples of a run, or None where it has no index.

    Raises:
        DataError: the index is damaged, or is of other data.
    """
    if catalogue is None or not (run / "index/header.json").is_file():
        return None
    # A pair that stays may have the caption of one sample and the picture of another: only `kept` knows it.
    columns = read_columns(run / KEPT, COLUMNS)
    kept = replace(catalogue, columns=columns, row={uid: row for row, uid in enumerate(columns["uid"])})
    index = open_index(run)
    turns = _turns(config, index, kept)

    def neighbours(turns: list[list[str]], side: Side) -> list[Neighbours]:
        uids = list(chain.from_iterable(turns))[: config.neighbours]
        return [_neighbours(config, index, kept, uid, side) for uid in uids]

    return Nearest(
        samples=len(index.samples["uid"]),
        pictures=neighbours(turns[0::2], "image"),
        captions=neighbours(turns[1::2], "text"),
    )


def _turns(config: ReportConfig, index: Index, kept: Catalogue) -> list[list[str]]:
    """Return samples to ask about, in turns of one of every corpus.

    Samples lie in the index by uid, which is a hash, so those evenly spaced are as good as drawn.
    """
    by_corpus: dict[str, list[str]] = {}
    for uid, corpus in zip(index.samples["uid"], index.samples["corpus"], strict=True):
        if kept.may_be_shown(uid):
            by_corpus.setdefault(corpus, []).append(uid)
    spread = [evenly_spaced(uids, 2 * config.neighbours) for _, uids in sorted(by_corpus.items())]
    return [[uid for uid in turn if uid] for turn in zip_longest(*spread)] if config.neighbours else []


def _neighbours(config: ReportConfig, index: Index, kept: Catalogue, uid: str, side: Side) -> Neighbours:
    hits = [hit for hit in alike(index, uid, side, config.nearest) if kept.may_be_shown(hit.uid)]
    return Neighbours(
        asked=kept.tile(uid, config),
        found=[kept.tile(hit.uid, config, note=f"{hit.score:.2f}") for hit in hits],
    )
