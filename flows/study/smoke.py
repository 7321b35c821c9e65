"""Every arm of a study for a few steps on a small made-up corpus: whether all fits together, not what it is worth.

Arms keep their keys of data and of model. Replaced are the corpora, the seeds (one), the budgets (those that a claim is
about), the steps, the batch, and the sets of the scores.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from flows.recipe import RECIPES
from flows.study.config import MeasureScore, ProbeScore, RecallScore, Study, World, load_study
from flows.study.run import run_loaded

STEPS, BATCH = 4, 16
QUICK: dict[str, Any] = {
    "train.steps": STEPS,
    "train.batch_size": BATCH,
    "train.warmup_steps": 1,
    "train.log_every": 1,
    "train.objectives.fusion_batch": BATCH,
    "evaluate.resamples": 100,
    "evaluate.rerank_top": 5,
}
WORLD, LEAST = World(pairs=120), 40  # pairs of all worlds together, and of each at least


def bundled_studies() -> list[Path]:
    """Return the study files that come with the project."""
    return sorted((RECIPES / "studies").glob("*.yaml"))


def smoke_studies(paths: Sequence[Path], *, jobs: int = 1) -> Iterator[str]:
    """Run studies at tiny scale in a folder that is removed, and yield a line for each.

    Args:
        paths: study files; none: all that come with the project.
        jobs: as for a study.
    """
    with tempfile.TemporaryDirectory(prefix="essen-smoke-") as folder:
        for path in paths or bundled_studies():
            study = small(load_study(path), path, Path(folder))
            results = run_loaded(study, path, Path(folder) / "runs", jobs=jobs)
            yield f"{study.name}: {len(results['cells'])} cells, {len(results['claims'])} claims"


def small(study: Study, path: Path, folder: Path) -> Study:
    """Return a study at tiny scale, with a recipe of its own in `folder`."""
    from flows.study.run import recipe_of

    recipe = yaml.safe_load(recipe_of(study, path).read_text(encoding="utf-8"))
    names = list(study.worlds) or ["clean"]
    target = folder / (Path(study.recipe).name if study.worlds else "smoke.yaml")
    target.write_text(yaml.safe_dump(_recipe(recipe, names, keep=bool(study.worlds))), encoding="utf-8")
    first = next(iter(study.budgets))
    claimed = {claim.budget or first for claim in study.claims} or {first}
    budgets = {name: {**values, **QUICK} for name, values in study.budgets.items() if name in claimed}
    pairs = max(LEAST, WORLD.pairs // len(names))
    # What a probe is to tell apart must be there: pictures with one object and with two.
    easy = 0.4 if any(isinstance(score, ProbeScore) for score in study.all_scores.values()) else 0.0
    worlds = {name: World(pairs=pairs, seed=study.worlds.get(name, WORLD).seed, easy=easy) for name in names}
    sets = {} if study.worlds else {"set": "test_names"}
    return study.model_copy(
        update={
            "recipe": str(target),
            "worlds": worlds,
            "score": _asked(study.score, sets),
            "scores": {name: _asked(score, sets) for name, score in study.scores.items()},
            "curve": study.curve and study.curve.model_copy(update={"every": STEPS // 2}),
            "budgets": budgets,
            "seeds": study.seeds[:1],
        }
    )


def _recipe(recipe: dict[str, Any], names: Sequence[str], *, keep: bool) -> dict[str, Any]:
    """Return a recipe over worlds: the study's own where it is about worlds, else one without rules of its own."""
    corpora = [{"card": f"{name}/card.md"} for name in names]
    if keep:
        return {**recipe, "corpora": corpora}
    split = {"validation": 0.15, "test": 0.15}
    sizes = {"embed": {"image_size": 64}, "stage": {"image_size": 64}}
    return {"name": "smoke", "corpora": corpora, "select": {"split": split}, **sizes}


def _asked(score: Any, sets: dict[str, str]) -> Any:
    return score.model_copy(update=sets) if isinstance(score, RecallScore | MeasureScore | ProbeScore) else score
