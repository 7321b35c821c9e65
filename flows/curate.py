"""The curation flow: from corpora to staged shards and their card."""

from prefect import flow

from flows.artefacts import show_funnel
from flows.job import Job
from flows.plan import CURATE
from flows.tasks import acquire_apart, run_step


@flow(name="curate", persist_result=False, validate_parameters=False)
def curate(job: Job) -> dict[str, str]:
    """Do the steps from acquisition to the card; return the digest of each one's outputs."""
    if job.load().runner.apart:
        acquire_apart(job)
    digests = {step.name: run_step(job, step.name) for step in job.steps(CURATE)}
    show_funnel(job.run)
    return digests
