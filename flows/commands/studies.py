"""The command that runs studies and shows their results."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.options import JsonOption, MirrorOption, finish


def study(
    file: Annotated[
        list[Path] | None, typer.Argument(help="study file: arms, budgets, seeds, scores, claims; or its results.json")
    ] = None,
    runs: Annotated[Path, typer.Option(help="folder of run directories")] = Path("runs"),
    mirror: MirrorOption = None,
    jobs: Annotated[int, typer.Option(min=1, help="cells at a time, each on one thread; changes no result")] = 1,
    table: Annotated[bool, typer.Option("--table", help="run nothing: show the results that are there")] = False,
    figure: Annotated[Path | None, typer.Option(help="draw the results into this .svg or .png")] = None,
    smoke: Annotated[
        bool,
        typer.Option(
            "--smoke", help="a few steps of every arm on made-up pictures; no FILE: all studies of the project"
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run arms × budgets × seeds; print scores, budgets and verdicts on claims. A results.json is printed as it is."""
    from flows.study.show import results_for
    from flows.study.smoke import smoke_studies
    from pipeline.errors import ConfigError
    from pipeline.report.studies import study_lines

    if smoke:
        for line in smoke_studies(file or (), jobs=jobs):
            print(line)
        return
    if not file:
        raise ConfigError("name a study file, or its results.json; --smoke alone tries all that come with the project")
    if figure is not None and len(file) > 1:
        raise ConfigError("--figure draws one study; name one file")
    for path in file:
        results = results_for(path, runs, mirror, jobs=jobs, only_there=table)
        for line in study_lines(results):
            print(line)
        if figure is not None:
            from pipeline.report.study_figures import draw_study

            draw_study(results, figure)
        finish(as_json, results)
