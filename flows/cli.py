"""``essen``, the one command. Thin: every command builds a job or calls one function of the other rooms."""

import enum
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from flows.job import Job

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="From small, child-directed image-text corpora to a compact, honestly evaluated vision-language model.",
)


class Engine(enum.StrEnum):
    """Who runs the steps."""

    PREFECT = "prefect"
    LOCAL = "local"


RecipeArgument = Annotated[str, typer.Argument(help="a recipe file, or the name of one that comes with essen")]
RunOption = Annotated[Path | None, typer.Option("--run", help="run directory [default: runs/<name of the recipe>]")]
MirrorOption = Annotated[
    Path | None,
    typer.Option(help="serve this folder on the loopback in place of the original hosts of URL lists"),
]
EngineOption = Annotated[Engine, typer.Option(help="run the steps as Prefect flows, or in this process")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="override a recipe key: key.subkey=value")]
JsonOption = Annotated[bool, typer.Option("--json", help="print one machine-readable line at the end")]
RunArgument = Annotated[Path, typer.Argument(help="run directory")]


class Phase(enum.StrEnum):
    """The phases of a run, in order."""

    ACQUIRE = "acquire"
    MEASURE = "measure"
    EMBED = "embed"
    SELECT = "select"
    INDEX = "index"
    ORDER = "order"
    STAGE = "stage"
    CARD = "card"
    TRAIN = "train"
    EVALUATE = "evaluate"
    REPORT = "report"


@app.command()
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


def _phase_command(phase: str, text: str) -> None:
    """Add the command that does one phase and what it needs."""

    def command(
        recipe: RecipeArgument,
        run_directory: RunOption = None,
        mirror: MirrorOption = None,
        engine: EngineOption = Engine.LOCAL,
        overrides: SetOption = None,
        as_json: JsonOption = False,
    ) -> None:
        _run(recipe, run_directory, mirror, engine, overrides, phase, as_json)

    app.command(phase, help=text)(command)


for _name, _text in {
    "acquire": "Fetch or draw the corpora of a recipe into raw shards.",
    "measure": "Measure pictures and captions (and acquire, where that is not done).",
    "select": "Filter, deduplicate and split, with a reason for every drop.",
    "order": "Order the training samples into stages, with the controls of the order.",
    "stage": "Write the staged WebDataset shards.",
    "train": "Train the model on the stages.",
    "evaluate": "Score the trained model against its controls.",
    "report": "Write the HTML report.",
}.items():
    _phase_command(_name, _text)


@app.command()
def verify(
    directory: Annotated[Path, typer.Argument(help="a run directory, or a directory of staged shards")],
    as_json: JsonOption = False,
) -> None:
    """Check hashes, counts and contracts of a run or of staged shards; one line a problem, exit 3 if any."""
    from pipeline.errors import ConfigError, DataError
    from pipeline.shards.verify import verify_run, verify_stages

    if (directory / "steps").is_dir():
        problems = verify_run(directory)
    elif (directory / "manifest.json").is_file():
        problems = verify_stages(directory)
    else:
        raise ConfigError(f"{directory} is neither a run (no steps/) nor staged shards (no manifest.json)")
    for problem in problems:
        print(problem)
    _finish(as_json, {"directory": str(directory), "problems": len(problems)})
    if problems:
        raise DataError(f"{directory}: {len(problems)} problems")
    print(f"{directory}: every file is what its record says", file=sys.stderr)


@app.command()
def search(
    run_directory: RunArgument,
    text: Annotated[str | None, typer.Argument(help="words to look for")] = None,
    image: Annotated[Path | None, typer.Option(help="a picture to compare with")] = None,
    uid: Annotated[str | None, typer.Option(help="a sample of the run to compare with")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="how many")] = 12,
    sheet: Annotated[Path | None, typer.Option(help="write a contact sheet (PNG) here")] = None,
    as_json: JsonOption = False,
) -> None:
    """Find the nearest samples by words, by picture or by uid."""
    from pipeline.errors import ConfigError
    from pipeline.index import contact_sheet
    from pipeline.index import search as find

    if sum(option is not None for option in (text, image, uid)) != 1:
        raise ConfigError("give one of: words, --image FILE, --uid UID")
    hits = find(run_directory, text=text, image=image, uid=uid, k=k)
    for hit in hits:
        print(f"{hit.score:6.3f}  {hit.uid}  {hit.corpus:<18}  {hit.caption}")
    if sheet is not None:
        contact_sheet(run_directory, hits, sheet)
        print(sheet)
    _finish(as_json, {"hits": [{"uid": hit.uid, "score": hit.score, "caption": hit.caption} for hit in hits]})


@app.command()
def study(
    file: Annotated[Path, typer.Argument(help="study file: arms, seeds and one score")],
    runs: Annotated[Path, typer.Option(help="folder of run directories")] = Path("runs"),
    mirror: MirrorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run arms × seeds on one curated corpus; print paired differences with 95 % intervals."""
    from flows.study import run_study, table

    results = run_study(file, runs, mirror.absolute() if mirror else None)
    for line in table(results):
        print(line)
    _finish(as_json, results)


@app.command()
def corpora(as_json: JsonOption = False) -> None:
    """List the corpora that come with a card: licence, size, engine."""
    from pipeline.acquire.card import list_cards

    cards = list_cards()
    for card in cards:
        print(f"{card.name:<20} {card.source.engine:<10} {card.licence:<14} {card.title}: {card.size}")
    _finish(as_json, {"corpora": [card.name for card in cards]})


@app.command()
def setup() -> None:
    """Build img2dataset's own environment; seconds when it is there already."""
    from pipeline.acquire.img2dataset_env import ensure_environment

    print(ensure_environment(), file=sys.stderr)


def _run(
    recipe: str,
    run_directory: Path | None,
    mirror: Path | None,
    engine: str,
    overrides: Sequence[str] | None,
    until: str,
    as_json: bool,
) -> None:
    from flows.engines import ENGINES
    from flows.job import Job
    from flows.recipe import find_recipe, load_recipe
    from pipeline.workspace import Workspace, disk_faults_named

    path = find_recipe(recipe)
    name = load_recipe(path, overrides or ()).name
    directory = (run_directory or Path("runs") / name).absolute()
    job = Job(
        recipe=path.absolute(),
        run=directory,
        mirror=mirror.absolute() if mirror else None,
        overrides=tuple(overrides or ()),
        until=until,
    )
    workspace = Workspace(directory)
    with disk_faults_named(directory), workspace.lock():
        job.begin()
        ENGINES[engine](job)
    summary = _summary(job)
    for line in summary["lines"]:
        print(line)
    _finish(as_json, {"run": str(directory), **summary})


def _summary(job: "Job") -> dict[str, Any]:
    """Return what a person wants to read when a run has ended."""
    from flows.summary import score_lines

    lines = score_lines(job.run) if job.until in ("evaluate", "report") else []
    report = job.run / "reports" / "report.html"
    if job.until == "report" and report.is_file():
        lines.append(f"report: {report}")
    return {"lines": lines}


def _finish(as_json: bool, values: dict[str, Any]) -> None:
    if as_json:
        print(json.dumps(values, ensure_ascii=False, sort_keys=True))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code: known errors in one line, anything else with its traceback."""
    sys.exit(_guarded(lambda: app(args=list(arguments) if arguments is not None else None, standalone_mode=False)))


def _guarded(command: Callable[[], Any]) -> int:
    from flows.interrupt import Interrupted

    try:
        return command() or 0
    except typer.Exit as stop:
        return stop.exit_code
    except (Interrupted, KeyboardInterrupt, typer.Abort) as stop:
        print("essen: interrupted; the same command goes on from here", file=sys.stderr)
        return getattr(stop, "exit_code", 130)
    except Exception as error:
        code = getattr(error, "exit_code", None)
        if code is None:
            raise
        # Usage errors of the command line carry their text in a method.
        text = error.format_message() if hasattr(error, "format_message") else str(error)
        print(f"essen: {' '.join(text.split())}", file=sys.stderr)
        return code


if __name__ == "__main__":
    main()
