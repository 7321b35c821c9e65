"""Scores as the page shows them: each beside chance, the untrained model and the shuffled control."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.report import figures
from pipeline.report.config import ReportConfig
from pipeline.report.pictures import staged_pictures, staged_rows

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
class Answer:
    """A picture that the model gave, and whether it is a correct one."""

    picture: str
    correct: bool


@dataclass(frozen=True, kw_only=True)
class Query:
    """A caption, the model's first pictures for it, and the rank of the first correct one."""

    caption: str
    rank: int
    answers: list[Answer]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """All scores of a run.

    Attributes:
        model: the evaluation's record of the model.
        settings: seed, resamples and level of the intervals.
        tables: one a set and direction: ``set``, ``direction``, ``queries``, ``gallery``, ``unit``, ``units`` and
            ``rows`` of (label, recall by k, median rank).
        reranked: whether there are rows for it.
        headline: the table of every test set in the direction from text to pictures.
        wide, narrow: the comparison as ``<svg>`` for a screen and for a telephone.
        queries: sample queries by set.
    """

    model: dict[str, Any]
    settings: dict[str, Any]
    tables: list[dict[str, Any]]
    reranked: bool
    headline: list[dict[str, Any]]
    wide: str
    narrow: str
    queries: dict[str, list[Query]]


def read_scores(config: ReportConfig, run: Path, stages: "Stages | None") -> Scores | None:
    """Return the scores of a run, or None where nothing has been evaluated."""
    path = run / "reports/evaluation.json"
    if not path.is_file():
        return None
    evaluation = files.read_json(path)
    tables = [_table(entry, way) for entry in evaluation["sets"] for way in entry["directions"]]
    panels = [_panel(table) for table in tables]
    shown = {"wide": (1040, 2), "narrow": (350, 1)}
    drawn = {
        name: figures.svg(
            f"scores-{name}",
            "Retrieval scores with 95 % intervals beside their controls",
            (width, 50 + PANEL_HEIGHT * -(-len(panels) // columns)),
            figures.dots(panels, columns),
        )
        for name, (width, columns) in shown.items()
    }
    return Scores(
        model=evaluation["model"],
        settings={key: evaluation[key] for key in ("seed", "resamples", "level")},
        tables=tables,
        reranked=any("reranked" in table["by_row"] for table in tables),
        headline=_headline(tables),
        queries=_queries(config, evaluation, stages) if stages is not None else {},
        **drawn,
    )


def set_name(split: str) -> str:
    """Return a split's name as people say it."""
    known = {"validation": "validation", "test_names": "held-out names", "test_style": "held-out style"}
    return known.get(split, split.replace("_", " "))


def _table(entry: dict[str, Any], way: dict[str, Any]) -> dict[str, Any]:
    rows = {row["row"]: {**row, "recall": _by_length(row["recall"])} for row in way["rows"]}
    return {
        **{key: way[key] for key in ("queries", "gallery", "unit", "units")},
        "split": entry["name"],
        "set": set_name(entry["name"]),
        "direction": DIRECTIONS[way["direction"]],
        "text_to_image": way["direction"] == "text_to_image",
        "rows": [(label, rows[key]["recall"], rows[key]["median_rank"]) for key, label in ROWS.items() if key in rows],
        "by_row": {key: rows[key]["recall"] for key in rows},
    }


def _by_length(recall: dict[str, Any]) -> dict[str, Any]:
    return {k: recall[k] for k in sorted(recall, key=int)}


def _headline(tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = [table for table in tables if table["text_to_image"]]
    tests = [table for table in found if table["split"] != "validation"]
    return tests or found


def _panel(table: dict[str, Any]) -> figures.Panel:
    title = f"{table['set']}, {table['direction']}, of {table['gallery']:,}"
    ends = ("1", max(table["rows"][0][1], key=int))
    return figures.Panel(
        title=title, rows=[(label, _dot(recall[ends[0]]), _dot(recall[ends[1]])) for label, recall, _ in table["rows"]]
    )


def _dot(score: dict[str, Any]) -> figures.Dot:
    low, high = score["interval"] or (None, None)
    percent = [None if value is None else 100.0 * value for value in (low, high)]
    return figures.Dot(value=100.0 * score["value"], low=percent[0], high=percent[1])


def _queries(config: ReportConfig, evaluation: dict[str, Any], stages: "Stages") -> dict[str, list[Query]]:
    places = staged_rows(stages)
    queries: dict[str, list[Query]] = {}
    for entry in evaluation["sets"]:
        for example in entry["examples"]:
            answers = []
            for result in example["results"]:
                part, row = places[result["uid"]]
                picture = staged_pictures(part, [row], config.thumbnail)[0]
                answers.append(Answer(picture=picture, correct=result["correct"]))
            query = Query(caption=example["caption"], rank=example["rank"], answers=answers)
            queries.setdefault(set_name(entry["name"]), []).append(query)
    return queries
