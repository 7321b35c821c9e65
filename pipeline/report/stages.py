"""The stages as the page shows them: pictures with their captions, difficulty, words."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.report import figures
from pipeline.report.catalogue import Tile, evenly_spaced
from pipeline.report.config import ReportConfig
from pipeline.report.order_figures import difficulty_histogram
from pipeline.report.pictures import staged_pictures

if TYPE_CHECKING:
    from pipeline.shards.read import StagedSet, Stages

HISTOGRAM = (350, 170)  # pixels; fits a telephone


@dataclass(frozen=True, kw_only=True)
class StageSection:
    """One stage, or one evaluation set.

    Attributes:
        number: from 1; 0 for an evaluation set.
        name: of the stage or split.
        samples, words, pictures: exposure, and how many different pictures there are.
        vocabulary: from the curriculum's summary: ``new_words``, ``vocabulary`` and ``frequent_new_words``; empty
            where the run has no summary.
        difficulty: ``min``, ``median`` and ``max``; empty for an evaluation set.
        histogram: an ``<svg>``, empty for an evaluation set.
        tiles: evenly spaced over the stage's order.
    """

    number: int
    name: str
    samples: int
    words: int
    pictures: int
    vocabulary: dict[str, Any]
    difficulty: dict[str, float]
    histogram: str
    tiles: list[Tile]


def stage_sections(
    config: ReportConfig, run: Path, stages: "Stages", unsafe: frozenset[str] = frozenset()
) -> list[StageSection]:
    """Return a section for every stage of the curriculum, in its order.

    Args:
        unsafe: hashes of pictures that may not be shown.
    """
    summary = run / "curriculum/summary.json"
    entries = files.read_json(summary)["stages"] if summary.is_file() else []
    vocabulary = {entry["stage"]: entry for entry in entries}
    spread = [part.entry["difficulty"] for part in stages.stages]
    limits = (min(entry["min"] for entry in spread), max(entry["max"] for entry in spread))
    return [_section(config, part, vocabulary.get(part.stage, {}), limits, unsafe) for part in stages.stages]


def evaluation_sections(
    config: ReportConfig, stages: "Stages", unsafe: frozenset[str] = frozenset()
) -> list[StageSection]:
    """Return a section, with a few pictures only, for every evaluation set."""
    few = config.model_copy(update={"grid": max(1, config.grid // 2)})
    return [_section(few, part, {}, None, unsafe) for part in stages.evaluation.values()]


def _section(
    config: ReportConfig,
    part: "StagedSet",
    vocabulary: dict[str, Any],
    limits: tuple[float, float] | None,
    unsafe: frozenset[str],
) -> StageSection:
    histogram = ""
    if limits is not None:
        draw = difficulty_histogram(part.column("difficulty"), limits, part.stage)
        histogram = figures.svg(f"difficulty-{part.stage}", f"Difficulty of stage {part.stage}", HISTOGRAM, draw)
    return StageSection(
        number=part.stage,
        name=part.name,
        samples=len(part),
        words=part.entry["words"],
        pictures=len(set(part.table.column("image_sha256").to_pylist())),
        vocabulary=vocabulary,
        difficulty=part.entry.get("difficulty", {}),
        histogram=histogram,
        tiles=_tiles(part, config, unsafe),
    )


def _tiles(part: "StagedSet", config: ReportConfig, unsafe: frozenset[str]) -> list[Tile]:
    shown = [row for row, image in enumerate(part.table.column("image_sha256").to_pylist()) if image not in unsafe]
    rows = evenly_spaced(shown, config.grid)
    pictures = staged_pictures(part, rows, config.thumbnail)
    table = part.table.take(rows).to_pydict()
    return [
        Tile(picture=picture, caption=caption, lang=lang, uid=uid)
        for picture, caption, lang, uid in zip(pictures, table["caption"], table["lang"], table["uid"], strict=True)
    ]
