"""What of a run goes to others: the shards that may be passed on, and the models that learned from nothing else."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from essen.config import EvaluateConfig
from flows.recipe import load_recipe, recipe_of
from pipeline.cards.check import licence_fault
from pipeline.errors import ConfigError
from pipeline.publish import open_destination, publish, publishable
from pipeline.shards.verify import follows
from pipeline.takedown import marked_models
from pipeline.workspace import Counts, Workspace, disk_faults_named


class Published(NamedTuple):
    """What has been published.

    Attributes:
        counts: of samples; see `pipeline.publish.publish`.
        models: names of the models that went along.
        left_out: why the others did not, by name.
    """

    counts: Counts
    models: list[str]
    left_out: dict[str, str]


def publish_run(
    run: Path, target: Path | str, *, everything: bool = False, model_licence: str | None = None
) -> Published:
    """Publish a run's stages, and its trained models in the forms of `essen.export`.

    Models go along below ``models/`` where somebody says under which licence, and where everything that they may have
    learned from goes along too.

    Args:
        target: see `pipeline.publish.publish`.
        everything: refuse where a sample would be left out.
        model_licence: SPDX expression for the weights, in place of the recipe's ``publish.model_licence``.

    Raises:
        ConfigError: this is no run, it has no card yet, the folder holds something else, or a card would have a gap.
        DataError: a file of the stages is missing or damaged.
        EssenError: a model cannot be exported.
        SafetyError: nothing may be passed on, or not all of what was asked for.
    """
    recipe = load_recipe(recipe_of(run))
    licence = recipe.publish.model_licence if model_licence is None else model_licence
    if licence and (fault := licence_fault(licence)):
        raise ConfigError(f"the licence of the models: {fault}; name one of spdx.org/licenses, or LicenseRef-…")
    with disk_faults_named(Path(target)), Workspace(run).lock():
        names = sorted(path.name for path in (run / "models").glob("*") if path.is_dir())
        obstacles = {name: _obstacle(run, name, licence, publishable(recipe.publish, run)) for name in names}
        open_destination(target, run)  # its refusal should not wait for exports
        with tempfile.TemporaryDirectory(prefix="essen-models-") as scratch:
            models = {name: Path(scratch) / name for name, reason in obstacles.items() if not reason}
            for name, folder in models.items():
                _export(run / "models" / name, folder, licence, recipe.evaluate)
            counts = publish(recipe.publish, run, target, everything=everything, models=models)
    return Published(counts, list(models), {name: reason for name, reason in obstacles.items() if reason})


def _obstacle(run: Path, name: str, licence: str, counts: Counts) -> str:
    """Return why a model does not go along; empty where it does."""
    records = {record["step"]: record for record in Workspace(run).records()}
    training = records.get("train", {"outputs": {}})
    if not licence:
        return "no licence is named for its weights; say --model-licence, or publish.model_licence in the recipe"
    if name in marked_models(run):
        return "it learned from samples that were taken down since; train it again"
    if f"models/{name}/model.safetensors" not in training["outputs"] or not follows(training, records):
        return "it was trained on other stages than these; train it again"
    if counts["dropped"]:
        return "it may have learned from samples that stay out"
    return ""


def _export(model: Path, folder: Path, licence: str, config: EvaluateConfig) -> None:
    """Export a model in the usual forms, as far as their libraries are installed."""
    import importlib.util

    from essen.export.export import USUAL, export_model

    formats = [name for name in USUAL if name != "onnx" or importlib.util.find_spec("onnxscript")]
    export_model(model, folder, formats, licence=licence, config=config)
