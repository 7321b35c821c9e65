"""What a run shows on Prefect's page: the funnel, the scores, where the report lies. All of it stands in files too."""

import re
from pathlib import Path
from typing import Any

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from pipeline.workspace import Workspace


def show_funnel(run: Path) -> None:
    """Show how many samples came into each step of a run that drops some, how many stayed, and why the others went."""
    rows = funnel_rows(run)
    if rows:
        create_table_artifact(
            key=_key("funnel", run.name), table=rows, description=f"What became of the samples of {run}"
        )


def show_report(run: Path) -> None:
    """Show a link to the report of a run, where it has one, and the scores of its model."""
    from flows.summary import score_lines

    report = run / "reports" / "report.html"
    if report.is_file():
        create_link_artifact(key=_key("report", run.name), link=report.as_uri(), link_text=str(report))
    if scores := score_lines(run):
        _show_lines("scores", run.name, scores)


def show_study(name: str, lines: list[str]) -> None:
    """Show the tables and the verdicts of a study."""
    _show_lines("study", name, lines)


def funnel_rows(run: Path) -> list[dict[str, Any]]:
    """Return a row for each finished step that counts what it drops: ``step``, ``in``, ``kept`` and ``dropped``."""
    return [
        {
            "step": record["step"],
            "in": counts["in"],
            "kept": counts["kept"],
            "dropped": ", ".join(f"{number:,} {reason}" for reason, number in counts["dropped"].items() if number),
        }
        for record in Workspace(run).records()
        if {"in", "kept", "dropped"} <= (counts := record["counts"]).keys()
    ]


def _show_lines(kind: str, name: str, lines: list[str]) -> None:
    create_markdown_artifact(key=_key(kind, name), markdown="\n".join(("```", *lines, "```")))


def _key(kind: str, name: str) -> str:
    """Return an artefact's key, of the letters that Prefect allows."""
    return f"{kind}-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}"
