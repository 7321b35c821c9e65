"""The lines that a run ends with: the scores of the trained model beside the untrained one and chance, the report."""

from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.takedown import marked_models

ROWS = ("trained", "reranked", "untrained", "chance")


def run_lines(run: Path, until: str) -> list[str]:
    """Return what a person wants to read when a run has ended with a phase."""
    lines = score_lines(run) if until in ("evaluate", "report") else []
    lines += takedown_lines(run)
    report = run / "reports" / "report.html"
    if until == "report" and report.is_file():
        lines.append(f"report: {report}")
    return lines


def score_lines(run: Path) -> list[str]:
    """Return R@1 and R@10 of every evaluation set and direction, in per cent, with intervals where there are any."""
    path = run / "reports" / "evaluation.json"
    if not path.is_file():
        return []
    lines = []
    for part in files.read_json(path)["sets"]:
        for direction in part["directions"]:
            where = f"{part['name']}, {direction['direction'].replace('_', ' ')}"
            lines.append(f"{where} ({direction['queries']:,} queries, gallery {direction['gallery']:,})")
            lines += [f"  {row['row']:<10} {_recalls(row)}" for row in direction["rows"] if row["row"] in ROWS]
    return lines


def takedown_lines(run: Path) -> list[str]:
    """Return a line for every model that was trained with samples which were taken down since."""
    return [
        f"models/{name} was trained with {counts['samples']:,} samples that have been taken down since; "
        "train it again to be rid of them (essen run)"
        for name, counts in marked_models(run).items()
    ]


def _recalls(row: dict[str, Any]) -> str:
    return "   ".join(f"R@{k} {_percent(row['recall'][k])}" for k in ("1", "10"))


def _percent(recall: dict[str, Any]) -> str:
    text = f"{100 * recall['value']:5.1f} %"
    if recall["interval"] is None:
        return text
    low, high = (100 * end for end in recall["interval"])
    return f"{text} [{low:.1f}, {high:.1f}]"
