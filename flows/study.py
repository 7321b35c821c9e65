"""Studies: arms × seeds on one curated corpus, paired by seed, reported as mean differences with 95 % intervals.

A study file names a recipe, the arms (recipe keys of ``model``, ``train`` or ``evaluate`` that each one changes), the
seeds and one score. The curation of the recipe is done once; every cell (arm, seed) is a small run of its own with the
steps ``train`` and ``evaluate``, so an interrupted study goes on where it was.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from flows.job import Job, do_step, run_local
from flows.plan import CURATE, training
from flows.recipe import find_recipe
from pipeline import files
from pipeline.config import Config, explain
from pipeline.errors import ConfigError
from pipeline.workspace import Workspace


class Score(Config):
    """The one number that a study is about, named before it is run."""

    set: str = Field(description="evaluation set, for example test_style")
    direction: Literal["text_to_image", "image_to_text"] = "text_to_image"
    row: Literal["trained", "reranked"] = "trained"
    k: Literal[1, 5, 10] = Field(default=1, description="recall at k")


class Study(Config):
    """What a study file holds."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    question: str = Field(description="what it is to decide, in one sentence")
    recipe: str = Field(description="name of a recipe, or a path relative to the study's file")
    score: Score
    arms: dict[str, dict[str, Any]] = Field(min_length=1, description="overrides by arm; the first one is the baseline")
    seeds: tuple[int, ...] = Field(min_length=1)


def load_study(path: Path) -> Study:
    """Read and validate a study file.

    Raises:
        ConfigError: one line that names the key.
    """
    try:
        study = Study.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error, Study)}") from None
    for arm, overrides in study.arms.items():
        for key in overrides:
            if key.partition(".")[0] not in ("model", "train", "evaluate"):
                raise ConfigError(f"{path}: arms.{arm}.{key}: an arm changes keys of model, train or evaluate only")
    return study


def run_study(path: Path, runs: Path, mirror: Path | None = None) -> dict[str, Any]:
    """Run what is missing of a study and write ``results.json`` below ``runs/studies/<name>``.

    Args:
        path: the study file.
        runs: folder of run directories; the recipe's curation is found or made in ``runs/<recipe>``.
        mirror: as for a run.

    Returns:
        The results: the scores of every cell and, for each arm, the paired difference from the first arm.
    """
    study = load_study(path)
    local = path.parent / study.recipe
    recipe = local if local.is_file() else find_recipe(study.recipe)
    curated = Job(recipe=recipe.absolute(), run=(runs / recipe.stem).absolute(), mirror=mirror, until="card")
    with Workspace(curated.run).lock():
        curated.begin()
        run_local(curated, CURATE)
    folder = runs.absolute() / "studies" / study.name
    scores = {arm: [_cell(study, curated, folder, arm, seed) for seed in study.seeds] for arm in study.arms}
    results = {"study": study.model_dump(mode="json"), "scores": scores, "differences": differences(scores)}
    files.write_json(folder / "results.json", results)
    return results


def _cell(study: Study, curated: Job, folder: Path, arm: str, seed: int) -> float:
    """Train and evaluate one arm with one seed, and return the study's score."""
    overrides = {**study.arms[arm], "train.seed": seed}
    job = curated.model_copy(
        update={
            "run": folder / f"{arm}-{seed}",
            "overrides": tuple(
                f"{key}={yaml.safe_dump(value, default_flow_style=True)}" for key, value in overrides.items()
            ),
        }
    )
    for step in training(job.load(), job.surroundings(), stages_of=curated.run):
        do_step(step, job.run)
    return score_of(files.read_json(job.run / "reports" / "evaluation.json"), study.score)


def score_of(evaluation: Mapping[str, Any], wanted: Score) -> float:
    """Return one recall of the trained model from the content of an ``evaluation.json``.

    Raises:
        ConfigError: there is no such set, direction or cut-off.
    """
    for part in evaluation["sets"]:
        for direction in part["directions"]:
            if (part["name"], direction["direction"]) == (wanted.set, wanted.direction):
                trained = next(row for row in direction["rows"] if row["row"] == wanted.row)
                return trained["recall"][str(wanted.k)]["value"]
    known = ", ".join(part["name"] for part in evaluation["sets"])
    raise ConfigError(f"score: no set {wanted.set} with direction {wanted.direction}; the sets are {known}")


def differences(scores: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float | None]]:
    """Return each arm's mean difference from the first arm, paired by position, with its 95 % interval.

    The interval is Student's t on the paired differences, ``d̄ ± t·s/√n``; with one seed it is unbounded (None).
    """
    from scipy.stats import t

    baseline, *others = scores
    found = {}
    for arm in others:
        pairs = [b - a for a, b in zip(scores[baseline], scores[arm], strict=True)]
        n, mean = len(pairs), math.fsum(pairs) / len(pairs)
        half = None
        if n > 1:
            deviation = math.sqrt(math.fsum((d - mean) ** 2 for d in pairs) / (n - 1))
            half = float(t.ppf(0.975, n - 1)) * deviation / math.sqrt(n)
        found[arm] = {
            "n": n,
            "mean": mean,
            "low": None if half is None else mean - half,
            "high": None if half is None else mean + half,
        }
    return found


def table(results: Mapping[str, Any]) -> list[str]:
    """Return a study's results as lines: the scores of every arm, then the paired differences, in per cent."""
    score = results["study"]["score"]
    lines = [results["study"]["question"], f"R@{score['k']}, {score['direction']}, {score['set']}, in per cent:"]
    for arm, values in results["scores"].items():
        mean = math.fsum(values) / len(values)
        lines.append(f"  {arm:<16} {100 * mean:5.1f}   seeds: {'  '.join(f'{100 * value:.1f}' for value in values)}")
    for arm, found in results["differences"].items():
        interval = "one seed: no interval"
        if found["low"] is not None:
            interval = f"95 % interval [{100 * found['low']:+.1f}, {100 * found['high']:+.1f}], {found['n']} seeds"
        lines.append(f"  {arm} − {next(iter(results['scores']))}: {100 * found['mean']:+.1f}   {interval}")
    return lines
