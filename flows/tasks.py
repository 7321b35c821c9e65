"""The Prefect task that every flow is made of: one step of a run, named by its run directory and its name."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.job import Job, do_step
from flows.plan import PHASES
from pipeline import files


@task(task_run_name="{name}", cache_policy=NO_CACHE, persist_result=False)
def run_step(job: Job, name: str) -> str:
    """Do one step and return the digest of its outputs; the run directory is the cache, so nothing is persisted."""
    step = next(step for step in job.steps(PHASES) if step.name == name)
    return files.digest(do_step(step, job.run).record["outputs"])
