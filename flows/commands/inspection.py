"""Commands that look at what is there: checks, searches, copies, corpora, configurations."""

import enum
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.options import JsonOption, RunArgument, finish


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
    from pipeline.addresses import is_url, shown
    from pipeline.errors import ConfigError, DataError
    from pipeline.published import verify_published
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
    finish(as_json, {"directory": name, "problems": len(problems)})
    if problems:
        raise DataError(f"{name}: {len(problems)} problems")
    print(f"{name}: every file is what its record says", file=sys.stderr)


class Within(enum.StrEnum):
    """What words are compared with."""

    CAPTIONS = "captions"
    PICTURES = "pictures"


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
    finish(as_json, {"hits": [asdict(hit) for hit in hits]})


def dedup_calibrate(
    run_directory: Annotated[Path | None, typer.Argument(help="run whose kept pictures are copied")] = None,
    pictures: Annotated[Path | None, typer.Option(help="a folder of pictures or shards, in place of a run")] = None,
    truth: Annotated[Path | None, typer.Option(help="labelled pairs: a folder with pairs.csv")] = None,
    copies: Annotated[int, typer.Option(min=2, help="how many pictures are copied")] = 200,
    to: Annotated[Path | None, typer.Option(help="folder to write (default: reports/calibration of the run)")] = None,
    as_json: JsonOption = False,
) -> None:
    """Plant known copies and say which are found, by tier and threshold; the run's next report shows the curves."""
    from flows.recipe import load_recipe, recipe_of
    from pipeline.measure.measure import image_encoder
    from pipeline.select.calibrate import CalibrationConfig, calibrate
    from pipeline.select.judgement import summary

    config, encoder = CalibrationConfig(pictures=copies), None
    if run_directory is not None:
        recipe = load_recipe(recipe_of(run_directory))
        config = config.model_copy(update={"rule": recipe.select.duplicates})
        encoder = image_encoder(recipe.embed)
    target = to or (run_directory / "reports/calibration" if run_directory else Path("calibration"))
    result = calibrate(config, target, run=run_directory, pictures=pictures, truth=truth, encoder=encoder)
    for line in summary(result):
        print(line)
    print(target)
    finish(as_json, {"folder": str(target), "copies": result["copies"], "consecutive": result["consecutive"]})


def corpora(
    cards: Annotated[list[str] | None, typer.Argument(help="cards of one's own, to be listed too")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the corpora that have a card: licence, size, engine, and whether they can be had from here now."""
    from flows.corpora import corpora as find
    from flows.corpora import print_corpora

    found = find(cards or ())
    print_corpora(found)
    finish(as_json, {"corpora": found})


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
    finish(as_json, {"models": [asdict(entry) for entry in entries]})
