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
        create_table_artifact(key=_key("funnel", run), table=rows, description=f"What became of the samples of {run}")


def show_report(run: Path) -> None:
    """Show a link to the report of a run, where it has one, and the scores of its model."""
    from flows.summary import score_lines

    report = run / "reports" / "report.html"
    if report.is_file():
        create_link_artifact(key=_key("report", run), link=report.as_uri(), link_text=str(report))
    if scores := score_lines(run):
        create_markdown_artifact(key=_key("scores", run), markdown="\n".join(("```", *scores, "```")))


def show_study(name: str, lines: list[str]) -> None:
    """Show the tables and the verdicts of a study."""
    create_markdown_artifact(key=_key("study", Path(name)), markdown="\n".join(("```", *lines, "```")))


def funnel_rows(run: Path) -> list[dict[str, Any]]:
    """Return a row for each finished step that counts what it drops: ``step``, ``in``, ``kept`` and ``dropped``."""
    counts = {record["step"]: record["counts"] for record in Workspace(run).records()}
    return [
        {
            "step": step,
            "in": count["in"],
            "kept": count["kept"],
            "dropped": ", ".join(f"{number:,} {reason}" for reason, number in count["dropped"].items() if number),
        }
        for step, count in counts.items()
        if {"in", "kept", "dropped"} <= count.keys()
    ]


def _key(kind: str, run: Path) -> str:
    """Return an artefact's key, of the letters that Prefect allows."""
    return f"{kind}-{re.sub('[^a-z0-9]+', '-', run.name.lower()).strip('-')}"
