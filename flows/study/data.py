"""The curated data of a study: arms with equal data keys share one run, and runs share the steps that are equal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from flows.job import Job, do_step
from flows.plan import CURATE
from flows.study.config import DATA, Study
from pipeline import files
from pipeline.acquire.worlds import make_world
from pipeline.errors import DataError
from pipeline.shards.read import open_stages
from pipeline.workspace import Workspace


def as_overrides(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return recipe keys as `flows.job.Job` takes them."""
    return tuple(f"{key}={yaml.safe_dump(value, default_flow_style=True)}" for key, value in values.items())


def data_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of some recipe keys that decide what the data are."""
    return {key: value for key, value in values.items() if key.partition(".")[0] in DATA}


def make_worlds(study: Study, runs: Path) -> Path | None:
    """Make the synthetic corpora that a study asks for, and return the folder from which their cards are named."""
    if not study.worlds:
        return None
    asked = {name: world.model_dump(mode="json") for name, world in study.worlds.items()}
    folder = runs.absolute() / "worlds" / files.digest(asked)[:12]
    for name, world in study.worlds.items():
        make_world(folder / name, **world.model_dump())
    return folder


def curate(jobs: Sequence[Job]) -> None:
    """Do what is missing of some runs' curation; a step that a run beside it has with the same key is taken over."""
    for job in jobs:
        run = Workspace(job.run)
        beside = sorted(path.parent for path in job.run.parent.glob("*/steps") if path.parent != job.run)
        with run.lock():
            job.begin()
            for step in job.steps(CURATE):
                any(run.adopt(step, Workspace(other)) for other in beside)
                do_step(step, job.run)


def check_asked(trained: Path, asked: Path) -> None:
    """Raise where a run's training shows a picture that another run's held-out sets ask for.

    Raises:
        DataError: naming both and how many.
    """
    if trained == asked:
        return
    shown = {sha256 for part in open_stages(trained / "stages").stages for sha256 in part.column("image_sha256")}
    wanted = {
        sha256 for part in open_stages(asked / "stages").evaluation.values() for sha256 in part.column("image_sha256")
    }
    if shared := len(shown & wanted):
        raise DataError(
            f"{trained}: {shared} of its training pictures are asked for in the study, by {asked}: let the arms keep "
            "one split, or let the baseline's data be a part of the others'"
        )


def curated(study: Study, recipe: Path, runs: Path, mirror: Path | None) -> dict[tuple[str, str], Job]:
    """Return the job that curates the data of each (arm, budget).

    Without keys of data a run is that of the recipe, ``runs/<recipe>``, and may be there already; with worlds or keys,
    the digest of these stands behind its name.
    """
    folder = make_worlds(study, runs)
    jobs = {}
    for arm in study.arms:
        for budget in study.budgets:
            keys = data_keys(study.overrides(arm, budget))
            told = {"keys": keys, "worlds": str(folder.name) if folder else ""}
            name = recipe.stem if not keys and not folder else f"{recipe.stem}-{files.digest(told)[:12]}"
            jobs[arm, budget] = Job(
                recipe=recipe.absolute(),
                run=runs.absolute() / name,
                mirror=mirror,
                overrides=as_overrides(keys),
                until="card",
                folder=folder,
            )
    return jobs
