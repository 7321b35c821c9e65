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
StagesOption = Annotated[
    str | None,
    typer.Option(help="staged shards to use in place of the run's own: a folder, or an address (s3://bucket/folder)"),
]


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
    "stage": "Write the staged WebDataset shards.",
    "report": "Write the HTML report.",
}.items():
    _phase_command(_name, _text)


@app.command()
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


@app.command()
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
    _finish(as_json, {"run": str(directory), "explanation": asdict(explanation)})


@app.command()
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
    record = score_model(what, [_folder_at(place) for place in on], overrides or (), to)
    for line in table_lines(record):
        print(line)
    _finish(as_json, record)


@app.command()
def verify(
    place: Annotated[
        str, typer.Argument(help="a run directory, a directory of staged shards, or an address (s3://bucket/folder)")
    ],
    readers: Annotated[
        int, typer.Option(min=0, help="workers × ranks of a loader that deals whole shards: each stage must be enough")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Check hashes, counts and contracts of a run or of staged shards; one line a problem, exit 3 if any."""
    from pipeline.errors import ConfigError, DataError
    from pipeline.published import verify_published
    from pipeline.remote import is_url, shown
    from pipeline.shards.verify import check_readers, verify_run, verify_stages

    directory, name = Path(place), shown(place) if is_url(place) else place
    if readers and not is_url(place):
        check_readers(directory / "stages" if (directory / "steps").is_dir() else directory, readers)
    if is_url(place):
        problems = verify_published(place, readers=readers)
    elif (directory / "steps").is_dir():
        problems = verify_run(directory)
    elif (directory / "manifest.json").is_file():
        problems = verify_stages(directory)
    else:
        raise ConfigError(f"{name} is neither a run (no steps/) nor staged shards (no manifest.json)")
    for problem in problems:
        print(problem)
    _finish(as_json, {"directory": name, "problems": len(problems)})
    if problems:
        raise DataError(f"{name}: {len(problems)} problems")
    print(f"{name}: every file is what its record says", file=sys.stderr)


class Within(enum.StrEnum):
    """What words are compared with."""

    CAPTIONS = "captions"
    PICTURES = "pictures"


@app.command()
def search(
    run_directory: RunArgument,
    text: Annotated[str | None, typer.Argument(help="words to look for")] = None,
    image: Annotated[Path | None, typer.Option(help="a picture to compare with")] = None,
    uid: Annotated[str | None, typer.Option(help="a sample of the run to compare with")] = None,
    within: Annotated[Within, typer.Option(help="what words are compared with; pictures need open_clip")] = (
        Within.CAPTIONS
    ),
    k: Annotated[int, typer.Option("-k", min=1, help="how many")] = 12,
    sheet: Annotated[Path | None, typer.Option(help="write a contact sheet (PNG) here")] = None,
    as_json: JsonOption = False,
) -> None:
    """Find the nearest samples by words, by picture or by uid."""
    from dataclasses import asdict

    from pipeline.index.search import search as find
    from pipeline.index.sheet import contact_sheet

    hits = find(run_directory, text=text, image=image, uid=uid, within=within.value, k=k)
    for hit in hits:
        print(f"{hit.score:6.3f}  {hit.uid}  {hit.corpus:<18}  {hit.caption}")
    if sheet is not None:
        contact_sheet(run_directory, hits, sheet)
        print(sheet)
    _finish(as_json, {"hits": [asdict(hit) for hit in hits]})


@app.command()
def export_index(
    run_directory: RunArgument,
    target: Annotated[Path, typer.Argument(help="folder to write: new or empty")],
    as_json: JsonOption = False,
) -> None:
    """Write the index of a run in the layout that clip-retrieval opens."""
    from flows.recipe import load_recipe
    from pipeline.index.export import export_index as export

    _known_run(run_directory)
    counts = export(load_recipe(run_directory / "recipe.yaml").index, run_directory, target)
    print(f"{target}: {counts['samples']:,} samples")
    _finish(as_json, {"target": str(target), **counts})


@app.command()
def dedup_calibrate(
    run_directory: Annotated[Path | None, typer.Argument(help="run whose kept pictures are copied")] = None,
    pictures: Annotated[Path | None, typer.Option(help="a folder of pictures or shards, in place of a run")] = None,
    truth: Annotated[Path | None, typer.Option(help="labelled pairs: a folder with pairs.csv")] = None,
    copies: Annotated[int, typer.Option(min=2, help="how many pictures are copied")] = 200,
    to: Annotated[Path | None, typer.Option(help="folder to write [default: reports/calibration of the run]")] = None,
    as_json: JsonOption = False,
) -> None:
    """Plant known copies and say which are found, by tier and threshold; the run's next report shows the curves."""
    from flows.recipe import load_recipe
    from pipeline.measure.measure import image_encoder
    from pipeline.select.calibrate import CalibrationConfig, calibrate
    from pipeline.select.judgement import summary

    config, encoder = CalibrationConfig(pictures=copies), None
    if run_directory is not None:
        _known_run(run_directory)
        recipe = load_recipe(run_directory / "recipe.yaml")
        config = config.model_copy(update={"rule": recipe.select.duplicates})
        encoder = image_encoder(recipe.embed)
    target = to or (run_directory / "reports/calibration" if run_directory else Path("calibration"))
    result = calibrate(config, target, run=run_directory, pictures=pictures, truth=truth, encoder=encoder)
    for line in summary(result):
        print(line)
    print(target)
    _finish(as_json, {"folder": str(target), "copies": result["copies"], "consecutive": result["consecutive"]})


@app.command()
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
        _finish(as_json, results)


@app.command()
def corpora(
    cards: Annotated[list[str] | None, typer.Argument(help="cards of one's own, to be listed too")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the corpora that have a card: licence, size, engine, and whether they can be had from here now."""
    from flows.corpora import corpora as find
    from flows.corpora import print_corpora

    found = find(cards or ())
    print_corpora(found)
    _finish(as_json, {"corpora": found})


@app.command()
def models(
    latency: Annotated[bool, typer.Option("--latency", help="build and time each one, batch 1 on one thread")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the named model configurations in Markdown: parameters, FLOPs of a pair and, if asked for, latency."""
    from dataclasses import asdict

    from essen.overview import markdown, overview

    entries = overview(latency=latency)
    for line in markdown(entries):
        print(line)
    _finish(as_json, {"models": [asdict(entry) for entry in entries]})


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="folder of a trained model")],
    to: Annotated[Path, typer.Option(help="folder to write: new, empty, or exported before")],
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="transformers, onnx or open_clip; can be repeated [default: the first two]"),
    ] = None,
    licence: Annotated[str, typer.Option(help="of the weights, an SPDX identifier, for the card")] = "",
    table: Annotated[bool, typer.Option("--table", help="print size and latency of each form (needs onnx)")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a model for Transformers and ONNX (also int8), compared with the original, with a card."""
    from dataclasses import asdict

    from essen.export.export import USUAL, export_model
    from essen.export.summary import export_lines
    from pipeline.errors import ConfigError
    from pipeline.workspace import disk_faults_named

    wanted = tuple(formats or USUAL)
    if table and "onnx" not in wanted:
        raise ConfigError("--table compares with ONNX: add --format onnx")
    with disk_faults_named(to):
        record = export_model(model, to, wanted, licence=licence)
    lines = export_lines(record, to)
    if table:
        from essen.export.latency import form_lines, measure_forms

        forms = measure_forms(to)
        lines += form_lines(forms)
        record["forms"] = [asdict(form) for form in forms]
    for line in lines:
        print(line)
    _finish(as_json, record)


@app.command()
def publish(
    run_directory: RunArgument,
    target: Annotated[str | None, typer.Argument(help="the same as --to")] = None,
    to: Annotated[
        str | None,
        typer.Option(help="folder to write: new, empty, or published before; or an address such as s3://bucket/folder"),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="refuse (exit 6) where a sample would be left out")] = False,
    model_licence: Annotated[
        str | None, typer.Option(help="of the weights, an SPDX identifier: the run's models go along [default: recipe]")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Copy what may be passed on of a run, in the forms that others open; says what stays out and why."""
    from flows.publish import publish_run
    from pipeline.errors import ConfigError
    from pipeline.workspace import Workspace, disk_faults_named

    place = to or target
    if not place or (to and target):
        raise ConfigError("say once where to publish to: essen publish RUN --to FOLDER")
    _known_run(run_directory)
    with disk_faults_named(Path(place)), Workspace(run_directory).lock():
        done = publish_run(run_directory, place, everything=everything, model_licence=model_licence)
    counts = done.counts
    print(f"{place}: {counts['kept']:,} of {counts['in']:,} samples")
    for reason, number in counts["dropped"].items():
        print(f"  left out: {number:,} {reason}")
    for name in done.models:
        print(f"  models/{name}")
    for name, reason in done.left_out.items():
        print(f"  left out: model {name}: {reason}")
    _finish(as_json, {"target": place, **counts, "models": done.models, "models_left_out": done.left_out})


@app.command()
def takedown(
    run_directory: RunArgument,
    uid: Annotated[list[str] | None, typer.Option(help="a sample: one picture with one caption")] = None,
    url: Annotated[list[str] | None, typer.Option(help="a picture with all its captions")] = None,
    sha256: Annotated[list[str] | None, typer.Option(help="a picture, by its bytes as acquired or published")] = None,
    folder: Annotated[Path | None, typer.Option(help="where the recipe's paths start, if that has moved")] = None,
    as_json: JsonOption = False,
) -> None:
    """Remove samples from a run and keep them out of later ones; steps are done again, models are marked."""
    from flows.summary import takedown_lines
    from flows.takedown import take_down
    from pipeline.takedown import Burial, Targets

    targets = Targets(uid=tuple(uid or ()), url=tuple(url or ()), sha256=tuple(sha256 or ()))
    burial = take_down(run_directory.absolute(), targets, folder.absolute() if folder else None)
    if burial is None:
        print(f"{run_directory} is free of it already")
    for line in takedown_lines(run_directory):
        print(line)
    gone = burial or Burial()
    numbers = {"rows": gone.rows, "samples": len(gone.samples), "pictures": len(gone.pictures)}
    _finish(as_json, {"run": str(run_directory), **numbers})


@app.command()
def serve(
    recipe: Annotated[str, typer.Argument(help="what curate and train do where nobody says otherwise")] = "",
    cron: Annotated[str, typer.Option(help="when the recipe is run, e.g. '0 3 * * *' [default: when asked to]")] = "",
) -> None:
    """Offer curate, train and study on the Prefect server that PREFECT_API_URL names, until ended."""
    from flows.deployments import serve_flows

    serve_flows(recipe, cron)


@app.command()
def setup() -> None:
    """Build img2dataset's own environment; seconds when it is there already."""
    from pipeline.acquire.img2dataset.environment import ensure_environment

    print(ensure_environment(), file=sys.stderr)


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
        job = job.model_copy(update={"stages": _folder_at(stages).absolute()})
    workspace = Workspace(directory)
    with disk_faults_named(directory), leading(), workspace.lock():
        job.begin()
        ENGINES[engine](job)
    summary = _summary(job)
    for line in summary["lines"]:
        print(line)
    _finish(as_json, {"run": str(directory), **summary})


def _folder_at(place: str) -> Path:
    """Return a path as it is, and for an address the folder into which its staged shards are fetched."""
    from pipeline.published import fetch_stages
    from pipeline.remote import is_url

    return fetch_stages(place) if is_url(place) else Path(place)


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


def _known_run(run: Path) -> None:
    """Raise unless a directory is that of a run.

    Raises:
        ConfigError: it holds no recipe.
    """
    from pipeline.errors import ConfigError

    if not (run / "recipe.yaml").is_file():
        raise ConfigError(f"{run} is no run directory: it has no recipe.yaml")


def _finish(as_json: bool, values: dict[str, Any]) -> None:
    if as_json:
        print(json.dumps(values, ensure_ascii=False, sort_keys=True))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code: known errors in one line, anything else with its traceback."""
    sys.exit(_guarded(lambda: app(args=list(arguments) if arguments is not None else None, standalone_mode=False)))


def _guarded(command: Callable[[], Any]) -> int:
    from flows.interrupt import Interrupted
    from pipeline.sample import one_line

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
        print(f"essen: {one_line(' '.join(text.split()))}", file=sys.stderr)
        return code


if __name__ == "__main__":
    main()
