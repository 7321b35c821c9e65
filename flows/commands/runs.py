"""Commands that do a run, whole or up to a phase."""

import enum
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands.options import (
    Engine,
    EngineOption,
    JsonOption,
    MirrorOption,
    RecipeArgument,
    RunOption,
    SetOption,
    StagesOption,
    finish,
    folder_at,
)

if TYPE_CHECKING:
    from flows.job import Job


class Phase(enum.StrEnum):
    """The phases of a run, in order."""

    ACQUIRE = "acquire"
    MEASURE = "measure"
    EMBED = "embed"
    ALIGN = "align"
    SELECT = "select"
    INDEX = "index"
    ORDER = "order"
    STAGE = "stage"
    CARD = "card"
    TRAIN = "train"
    EVALUATE = "evaluate"
    REPORT = "report"


def run(
    recipe: RecipeArgument,
    run_directory: RunOption = None,
    mirror: MirrorOption = None,
    engine: EngineOption = Engine.PREFECT,
    overrides: SetOption = None,
    until: Annotated[Phase, typer.Option(help="the last phase to do")] = Phase.REPORT,
    as_json: JsonOption = False,
) -> None:
    """Do everything: acquire, measure, select, order, stage, train, evaluate, report."""
    _run(recipe, run_directory, mirror, engine, overrides, until, as_json)


PHASES = {
    "acquire": "Fetch or draw the corpora of a recipe into raw shards.",
    "measure": "Measure pictures and captions (and acquire, where that is not done).",
    "select": "Filter, deduplicate and split, with a reason for every drop.",
    "stage": "Write the staged WebDataset shards.",
    "report": "Write the HTML report.",
}


def phase_command(phase: str) -> Callable[..., None]:
    """Return the command that does one phase and what it needs, with its help."""

    def command(
        recipe: RecipeArgument,
        run_directory: RunOption = None,
        mirror: MirrorOption = None,
        engine: EngineOption = Engine.LOCAL,
        overrides: SetOption = None,
        as_json: JsonOption = False,
    ) -> None:
        _run(recipe, run_directory, mirror, engine, overrides, phase, as_json)

    command.__name__, command.__doc__ = phase, PHASES[phase]
    return command


def train(
    recipe: RecipeArgument,
    run_directory: RunOption = None,
    mirror: MirrorOption = None,
    stages: StagesOption = None,
    engine: EngineOption = Engine.LOCAL,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the model on the stages."""
    _run(recipe, run_directory, mirror, engine, overrides, Phase.TRAIN, as_json, stages=stages)


def order(
    recipe: RecipeArgument,
    run_directory: RunOption = None,
    mirror: MirrorOption = None,
    engine: EngineOption = Engine.LOCAL,
    overrides: SetOption = None,
    uid: Annotated[
        str | None,
        typer.Option("--explain", help="tell why this sample stands where it stands"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Order the training samples into stages, with the controls of the order."""
    from pipeline.curriculum.explain import explain, explanation_lines, is_ordered

    directory = _directory(recipe, run_directory, overrides)
    # An order that is there needs no sources to be explained; other keys ask for another order.
    if uid is None or overrides or not is_ordered(directory):
        _run(recipe, run_directory, mirror, engine, overrides, Phase.ORDER, as_json and uid is None)
    if uid is None:
        return
    from dataclasses import asdict

    explanation = explain(directory, uid)
    for line in explanation_lines(explanation):
        print(line)
    finish(as_json, {"run": str(directory), "explanation": asdict(explanation)})


def evaluate(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE|MODEL",
            help="a recipe; with --on a model's folder, or open_clip:NAME[@WEIGHTS] or open_clip:FOLDER",
        ),
    ],
    on: Annotated[
        list[str] | None,
        typer.Option(
            "--on", help="trials, labelled pictures or stages (also by address) to score a model on; can be repeated"
        ),
    ] = None,
    to: Annotated[Path | None, typer.Option(help="with --on: write the scores to this JSON file")] = None,
    run_directory: RunOption = None,
    mirror: MirrorOption = None,
    stages: StagesOption = None,
    engine: EngineOption = Engine.LOCAL,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score the trained model of a recipe, or with --on any model on anything, beside controls."""
    from pipeline.errors import ConfigError

    if not on:
        if what.startswith("open_clip:") or (Path(what) / "model.safetensors").is_file():
            raise ConfigError(f"{what} is a model: say what to score it on with --on")
        if to is not None:
            raise ConfigError("--to belongs to --on: a recipe's scores lie in reports/evaluation.json of its run")
        _run(what, run_directory, mirror, engine, overrides, Phase.EVALUATE, as_json, stages=stages)
        return
    from essen.evaluate.table import table_lines
    from flows.scoring import score_model

    if run_directory is not None or mirror is not None or stages is not None:
        raise ConfigError("--run, --mirror and --stages belong to a recipe, not to --on")
    record = score_model(what, [folder_at(place) for place in on], overrides or (), to)
    for line in table_lines(record):
        print(line)
    finish(as_json, record)


def _run(
    recipe: str,
    run_directory: Path | None,
    mirror: Path | None,
    engine: str,
    overrides: Sequence[str] | None,
    until: str,
    as_json: bool,
    *,
    stages: str | None = None,
) -> None:
    """Do a run up to a phase."""
    from flows.engines import ENGINES
    from flows.job import Job
    from flows.ranks import is_beside, leading, train_beside
    from flows.recipe import find_recipe
    from pipeline.workspace import Workspace, disk_faults_named

    directory = _directory(recipe, run_directory, overrides)
    job = Job(
        recipe=find_recipe(recipe).absolute(),
        run=directory,
        mirror=mirror.absolute() if mirror else None,
        overrides=tuple(overrides or ()),
        until=until,
    )
    if is_beside():
        train_beside()
        return
    if stages is not None:
        job = job.model_copy(update={"stages": folder_at(stages).absolute()})
    workspace = Workspace(directory)
    with disk_faults_named(directory), leading(), workspace.lock():
        job.begin()
        ENGINES[engine](job)
    summary = _summary(job)
    for line in summary["lines"]:
        print(line)
    finish(as_json, {"run": str(directory), **summary})


def _directory(recipe: str, run_directory: Path | None, overrides: Sequence[str] | None) -> Path:
    """Return the run directory of a recipe: the one that is named, or runs/<name of the recipe>."""
    from flows.recipe import find_recipe, load_recipe

    name = load_recipe(find_recipe(recipe), overrides or ()).name
    return (run_directory or Path("runs") / name).absolute()


def _summary(job: "Job") -> dict[str, Any]:
    """Return what a person wants to read when a run has ended."""
    from flows.summary import score_lines, takedown_lines

    lines = score_lines(job.run) if job.until in ("evaluate", "report") else []
    lines += takedown_lines(job.run)
    report = job.run / "reports" / "report.html"
    if job.until == "report" and report.is_file():
        lines.append(f"report: {report}")
    return {"lines": lines}
