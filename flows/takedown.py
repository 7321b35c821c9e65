"""Taking samples down: out of a run, and out of every run after it. The rooms below do it; this puts them in order."""

from pathlib import Path

from flows.job import ORIGIN, REPORTER, Job, do_step
from flows.plan import preparation
from flows.recipe import recipe_of
from pipeline import files
from pipeline.acquire.tombstones import add_tombstones, read_tombstones
from pipeline.errors import PipelineError
from pipeline.remnants import check_remnants
from pipeline.takedown import Burial, Targets, bury, describe, finish, resolve
from pipeline.workspace import Workspace, disk_faults_named


def take_down(run: Path, targets: Targets, folder: Path | None = None) -> Burial | None:
    """Remove samples from a run, leave tombstones beside it, and do again what had been done after acquisition.

    Training is not done again; a model that was trained is marked instead.

    Args:
        run: absolute path of the run directory.
        folder: from which the recipe's paths start, where that is another one by now.

    Returns:
        What is gone; None where the tombstones had been there and the run was free of it already.

    Raises:
        ConfigError: this is no run, or nothing in it answers to a target.
        PipelineError: the samples are gone, but the steps could not be done again: what the recipe names is not there
            any more, or nothing is left to stage; or a file that is no part of the run still names a sample.
    """
    recipe = recipe_of(run)
    with disk_faults_named(run), Workspace(run).lock():
        ledger = run.parent / "ledger"
        found = resolve(run, targets, read_tombstones(ledger))
        burial = bury(run, add_tombstones(ledger, found))
        if burial is None:
            return None
        REPORTER.note(describe(burial))
        try:
            job = Job(recipe=recipe, run=run, folder=folder or _origin(run))
            for other in job.ledgers():
                add_tombstones(other, found)
            _rebuild(job, burial)
        except PipelineError as error:
            raise type(error)(f"the samples are gone from {run}, but not all steps were done again: {error}") from None
        check_remnants(run, burial)
        finish(run)
    return burial


def _origin(run: Path) -> Path:
    """Return the folder from which the paths of a run's recipe start, as the run was begun."""
    path = run / ORIGIN
    return Path(files.read_json(path)["folder"]) if path.is_file() else run


def _rebuild(job: Job, burial: Burial) -> None:
    """Do the steps after acquisition again, as far as they had been done."""
    steps = preparation(job.load(), job.surroundings())
    done = {*burial.steps, *burial.outputs}
    reached = [
        number
        for number, step in enumerate(steps, start=1)
        if step.name in done or any(output.partition("/")[0] in done for output in step.outputs)
    ]
    for step in steps[: max(reached, default=0)]:
        do_step(step, job.run)
