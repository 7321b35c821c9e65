"""Commands by which things leave the house: exports, indexes, publications; and by which samples leave it for good."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.options import JsonOption, RunArgument, finish


def export(
    model: Annotated[Path, typer.Argument(help="folder of a trained model")],
    to: Annotated[Path, typer.Option(help="folder to write: new, empty, or exported before")],
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="transformers, onnx or open_clip; can be repeated (default: the first two)"),
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
    finish(as_json, record)


def export_index(
    run_directory: RunArgument,
    target: Annotated[Path, typer.Argument(help="folder to write: new or empty")],
    as_json: JsonOption = False,
) -> None:
    """Write the index of a run in the layout that clip-retrieval opens."""
    from flows.recipe import load_recipe, recipe_of
    from pipeline.index.export import export_index as write

    counts = write(load_recipe(recipe_of(run_directory)).index, run_directory, target)
    print(f"{target}: {counts['samples']:,} samples")
    finish(as_json, {"target": str(target), **counts})


def publish(
    run_directory: RunArgument,
    target: Annotated[str | None, typer.Argument(help="the same as --to")] = None,
    to: Annotated[
        str | None,
        typer.Option(help="folder to write: new, empty, or published before; or an address such as s3://bucket/folder"),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="refuse (exit 6) where a sample would be left out")] = False,
    model_licence: Annotated[
        str | None, typer.Option(help="of the weights, an SPDX identifier: the run's models go along (default: recipe)")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Copy what may be passed on of a run, in the forms that others open; says what stays out and why."""
    from flows.publish import publish_run
    from pipeline.errors import ConfigError

    place = to or target
    if not place or (to and target):
        raise ConfigError("say once where to publish to: essen publish RUN --to FOLDER")
    done = publish_run(run_directory, place, everything=everything, model_licence=model_licence)
    counts = done.counts
    print(f"{place}: {counts['kept']:,} of {counts['in']:,} samples")
    for reason, number in counts["dropped"].items():
        print(f"  left out: {number:,} {reason}")
    for name in done.models:
        print(f"  models/{name}")
    for name, reason in done.left_out.items():
        print(f"  left out: model {name}: {reason}")
    finish(as_json, {"target": place, **counts, "models": done.models, "models_left_out": done.left_out})


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
    finish(as_json, {"run": str(run_directory), **numbers})
