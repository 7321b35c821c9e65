"""The step of a cell that asks what its vision tower still knows: the categories of held-out pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from essen.config import ScoringConfig
from pipeline import files
from pipeline.errors import ConfigError
from pipeline.workspace import Counts, Step, Workspace

if TYPE_CHECKING:
    from flows.recipe import Recipe

FILE = "reports/probe.json"


def probe_step(recipe: "Recipe", model: Path, sets: tuple[str, ...], asked: Path) -> Step:
    """Return the step that probes a trained model's vision tower, before and after, and writes ``reports/probe.json``.

    Args:
        recipe: of the cell.
        model: folder of its model.
        sets: names of the held-out sets whose pictures are asked for.
        asked: the run that holds them out and knows the categories of their pictures.
    """
    from importlib.metadata import version

    stage, select = (Workspace(asked).record(name) for name in ("stage", "select"))
    params = {
        "sets": list(sets),
        "asked": files.digest([record and record["outputs"] for record in (stage, select)]),
        "config": recipe.evaluate.model_dump(mode="json", include={"precision", "seed"}),
        "seed": recipe.train.seed,
        "tools": {"torch": version("torch")},
    }

    def probe(out: Path) -> Counts:
        found = probed(recipe.evaluate, asked, sets, model, recipe.train.seed)
        files.write_json(out / FILE, found)
        return {"pictures": sum(entry["pictures"] for entry in found.values())}

    return Step(name="probe", function=probe, outputs=(FILE,), inputs=("train",), params=params)


def probed(
    config: ScoringConfig, asked: Path, sets: tuple[str, ...], model: Path, initial_seed: int
) -> dict[str, dict[str, Any]]:
    """Return what `essen.evaluate.skill.tower_skill` says of some held-out sets of a run, by name.

    Raises:
        ConfigError: there is no such set.
        EssenError: the model cannot be read, or the pictures are all of one category.
    """
    from essen.evaluate.skill import tower_skill
    from pipeline.select.kept import read_kept
    from pipeline.shards.read import open_stages

    there = open_stages(asked / "stages").evaluation
    for name in sets:
        if name not in there:
            raise ConfigError(f"a probe asks for the set {name}; the sets are {', '.join(there)}")
    kept = read_kept(asked, ["uid", "category"])
    labels = dict(zip(*(kept.column(name).to_pylist() for name in ("uid", "category")), strict=True))
    return {name: tower_skill(config, there[name], labels, model, initial_seed) for name in sets}
