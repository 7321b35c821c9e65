"""The Prefect tasks that every flow is made of: a step of a run, and a part of a step; they take and give no data."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture

from flows.job import REPORTER, Job, do_step
from flows.plan import PHASES
from pipeline import files
from pipeline.errors import PipelineError
from pipeline.parts import Outcome, Part, Spread, do_part, here, spread_in_parts
from pipeline.workspace import Workspace


@task(task_run_name="{name}", cache_policy=NO_CACHE, persist_result=False)
def run_step(job: Job, name: str) -> str:
    """Do one step and return the digest of its outputs; the run directory is the cache, so nothing is persisted."""
    step = next(step for step in job.steps(PHASES, _spread(job)) if step.name == name)
    return files.digest(do_step(step, job.run).record["outputs"])


@task(task_run_name="{request.parent.name} {request.stem}", cache_policy=NO_CACHE, persist_result=False)
def run_part(request: Path, sha256: str) -> str:
    """Do a part of a step and return the digest of its result."""
    return do_part(request, sha256)


def acquire_apart(job: Job) -> None:
    """Have corpora that are not there acquired by workers of the flow's runner, all at the same time; one can wait.

    Where a worker is lost for good the corpus stays as it is: it is acquired when its step's turn comes.

    Raises:
        PipelineError: a corpus cannot be had.
    """
    workspace = Workspace(job.run)
    wanted = [step.name for step in job.steps(("acquire",)) if not workspace.is_done(step)]
    if len(wanted) < 2:
        return
    futures = [run_step.submit(job, name) for name in wanted]
    for name, outcome in zip(wanted, map(_outcome, futures), strict=True):
        if isinstance(outcome, PipelineError):
            raise outcome
        if isinstance(outcome, Exception):
            REPORTER.note(f"{name}: done here, as no worker did it")


def _spread(job: Job) -> Spread:
    # Not in the task: what it names goes to the workers with it, and the terminal stays here.
    runner = job.load().runner
    return spread_in_parts(_done_by_tasks, parts=runner.parts, note=REPORTER.note) if runner.apart else here


def _done_by_tasks(parts: Sequence[Part]) -> Iterator[Outcome]:
    futures = [run_part.submit(part.request, part.sha256) for part in parts]
    return map(_outcome, futures)


def _outcome(future: "PrefectFuture[str]") -> Outcome:
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 - of any worker, cluster or network; told by who asked
        return error
