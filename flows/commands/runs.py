"""Commands that do a run, whole or up to a phase."""

import enum
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.options import (
    Engine,
    RecipeArgument,
    RunOptions,
    StagesOption,
    finish,
    folder_at,
    with_run_options,
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


@with_run_options
def run(
    recipe: RecipeArgument,
    options: RunOptions,
    until: Annotated[Phase, typer.Option(help="the last phase to do")] = Phase.REPORT,
) -> None:
    """Do everything: acquire, measure, select, order, stage, train, evaluate, report."""
    _run(recipe, replace(options, engine=options.engine or Engine.PREFECT), until)


PHASES = {
    "acquire": "Fetch or draw the corpora of a recipe into raw shards.",
    "measure": "Measure pictures and captions (and acquire, where that is not done).",
    "select": "Filter, deduplicate and split, with a reason for every drop.",
    "stage": "Write the staged WebDataset shards.",
    "report": "Write the HTML report.",
}


def phase_command(phase: str) -> Callable[..., None]:
    """Return the command that does one phase and what it needs, with its help."""

    def command(recipe: RecipeArgument, options: RunOptions) -> None:
        _run(recipe, options, phase)

    command.__name__, command.__doc__ = phase, PHASES[phase]
    return with_run_options(command)


@with_run_options
def train(recipe: RecipeArgument, options: RunOptions, stages: StagesOption = None) -> None:
    """Train the model on the stages."""
    _run(recipe, options, Phase.TRAIN, stages)


@with_run_options
def order(
    recipe: RecipeArgument,
    options: RunOptions,
    uid: Annotated[
        str | None,
        typer.Option("--explain", help="tell why this sample stands where it stands"),
    ] = None,
) -> None:
    """Order the training samples into stages, with the controls of the order."""
    if uid is None:
        _run(recipe, options, Phase.ORDER)
        return
    from dataclasses import asdict

    from pipeline.curriculum.explain import explain, explanation_lines, is_ordered

    directory = _job(recipe, options, Phase.ORDER).run
    # An order that is there needs no sources to be explained; other keys ask for another order.
    if options.overrides or not is_ordered(directory):
        _run(recipe, replace(options, as_json=False), Phase.ORDER)
    explanation = explain(directory, uid)
    for line in explanation_lines(explanation):
        print(line)
    finish(options.as_json, {"run": str(directory), "explanation": asdict(explanation)})


@with_run_options
def evaluate(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE|MODEL",
            help="a recipe; with --on a model's folder, or open_clip:NAME, open_clip:NAME@WEIGHTS or open_clip:FOLDER",
        ),
    ],
    options: RunOptions,
    on: Annotated[
        list[str] | None,
        typer.Option(
            "--on", help="trials, labelled pictures or stages (also by address) to score a model on; can be repeated"
        ),
    ] = None,
    to: Annotated[Path | None, typer.Option(help="with --on: write the scores to this JSON file")] = None,
    stages: StagesOption = None,
) -> None:
    """Score the trained model of a recipe, or with --on any model on anything, beside controls."""
    from pipeline.errors import ConfigError

    if not on:
        if what.startswith("open_clip:") or (Path(what) / "model.safetensors").is_file():
            raise ConfigError(f"{what} is a model: say what to score it on with --on")
        if to is not None:
            raise ConfigError("--to belongs to --on: a recipe's scores lie in reports/evaluation.json of its run")
        _run(what, options, Phase.EVALUATE, stages)
        return
    if any((options.run_directory, options.mirror, options.engine, stages)):
        raise ConfigError("--run, --mirror, --engine and --stages belong to a recipe, not to --on")
    from essen.evaluate.table import table_lines
    from flows.scoring import score_model

    record = score_model(what, [folder_at(place) for place in on], options.overrides or (), to)
    for line in table_lines(record):
        print(line)
    finish(options.as_json, record)


def _job(recipe: str, options: RunOptions, until: str) -> "Job":
    from flows.job import make_job

    return make_job(recipe, options.run_directory, options.mirror, options.overrides or (), until)


def _run(recipe: str, options: RunOptions, until: str, stages: str | None = None) -> None:
    """Do a run up to a phase, and print what a person wants to read when it has ended."""
    from flows.engines import ENGINES, do_job
    from flows.ranks import is_beside, train_beside
    from flows.summary import run_lines

    job = _job(recipe, options, until)
    if is_beside():
        train_beside()
        return
    if stages is not None:
        job = job.model_copy(update={"stages": folder_at(stages).absolute()})
    do_job(job, ENGINES[options.engine or Engine.LOCAL])
    lines = run_lines(job.run, until)
    for line in lines:
        print(line)
    finish(options.as_json, {"run": str(job.run), "lines": lines})
