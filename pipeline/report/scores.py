"""Scores as the page shows them: each beside chance, the untrained model and the shuffled control."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.errors import DataError
from pipeline.report import figures
from pipeline.report.answers import AnsweredSet, read_answers, set_name
from pipeline.report.config import ReportConfig

if TYPE_CHECKING:
    from pipeline.shards.read import Stages

ROWS = {
    "trained": "trained",
    "reranked": "re-ranked",
    "untrained": "untrained",
    "shuffled": "shuffled",
    "chance": "chance",
}
DIRECTIONS = {"text_to_image": "text → picture", "image_to_text": "picture → text"}
PANEL_HEIGHT = 150  # pixels


@dataclass(frozen=True, kw_only=True)
class Row:
    """The scores of one model or control: by length of the list, and the median rank of the first correct item."""

    label: str
    recall: dict[str, dict[str, Any]]
    median_rank: float


@dataclass(frozen=True, kw_only=True)
class Table:
    """The scores of one held-out set in one direction.

    Attributes:
        split, name: of the set; the name is for people.
        direction: for people.
        from_text: whether texts are the queries.
        queries, gallery: how many there are.
        unit, units: what the bootstrap drew, and how many of them.
        rows: by their key in the evaluation.
    """

    split: str
    name: str
    direction: str
    from_text: bool
    queries: int
    gallery: int
    unit: str
    units: int
    rows: dict[str, Row]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """All scores of a run.

    Attributes:
        model: the evaluation's record of the model.
        settings: seed, resamples and level of the intervals.
        tables: one a set and direction.
        headline: the table of every test set in the direction from text to pictures.
        reranked: whether there are rows for it.
        wide, narrow: the comparison as ``<svg>`` for a screen and for a telephone.
        answers: some queries of every set, with what the model answered.
    """

    model: dict[str, Any]
    settings: dict[str, Any]
    tables: list[Table]
    headline: list[Table]
    reranked: bool
    wide: str
    narrow: str
    answers: list[AnsweredSet]


def read_scores(
    config: ReportConfig, run: Path, stages: "Stages | None", unsafe: frozenset[str] = frozenset()
) -> Scores | None:
    """Return the scores of a run, or None where nothing has been evaluated.

    Args:
        unsafe: hashes of pictures that may not be shown; an empty one stands for them.

    Raises:
        DataError: the evaluation is about other stages than those of the run, or of a version that kept no answers.
    """
    path = run / "reports/evaluation.json"
    if not path.is_file():
        return None
    evaluation = files.read_json(path)
    if stages is not None and evaluation["stages"] != stages.digest:
        raise DataError(f"{path} is about other stages than {stages.folder}; evaluate again")
    if any("answer" not in example for entry in evaluation["sets"] for example in entry["examples"]):
        raise DataError(f"{path} is of another version; evaluate again")
    tables = [_table(entry, way) for entry in evaluation["sets"] for way in entry["directions"]]
    return Scores(
        model=evaluation["model"],
        settings={key: evaluation[key] for key in ("seed", "resamples", "level")},
        tables=tables,
        headline=_headline(tables),
        reranked=any("reranked" in table.rows for table in tables),
        wide=_plot("scores-wide", tables, width=1040, columns=2),
        narrow=_plot("scores-narrow", tables, width=350, columns=1),
        answers=read_answers(config, evaluation, stages, unsafe) if stages is not None else [],
    )


def _table(entry: dict[str, Any], way: dict[str, Any]) -> Table:
    found = {row["row"]: row for row in way["rows"]}
    rows = {
        key: Row(label=label, recall=_by_length(found[key]["recall"]), median_rank=found[key]["median_rank"])
        for key, label in ROWS.items()
        if key in found
    }
    return Table(
        split=entry["name"],
        name=set_name(entry["name"]),
        direction=DIRECTIONS[way["direction"]],
        from_text=way["direction"] == "text_to_image",
        rows=rows,
        **{key: way[key] for key in ("queries", "gallery", "unit", "units")},
    )


def _by_length(recall: dict[str, Any]) -> dict[str, Any]:
    return {k: recall[k] for k in sorted(recall, key=int)}


def _headline(tables: list[Table]) -> list[Table]:
    found = [table for table in tables if table.from_text]
    tests = [table for table in found if table.split != "validation"]
    return tests or found


def _plot(name: str, tables: list[Table], *, width: int, columns: int) -> str:
    panels = [
        figures.Panel(
            title=f"{table.name}, {table.direction}, of {table.gallery:,}",
            rows=[(row.label, _dot(row.recall["1"]), _dot(row.recall["10"])) for row in table.rows.values()],
        )
        for table in tables
    ]
    height = 50 + PANEL_HEIGHT * -(-len(panels) // columns)
    title = "Retrieval scores with their intervals beside their controls"
    return figures.svg(name, title, (width, height), figures.dots(panels, columns))


def _dot(score: dict[str, Any]) -> figures.Dot:
    low, high = score["interval"] or (None, None)
    return figures.Dot(
        value=100.0 * score["value"],
        low=None if low is None else 100.0 * low,
        high=None if high is None else 100.0 * high,
    )
