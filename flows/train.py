"""The training flow: from staged shards to a trained, evaluated model and its report."""

from prefect import flow

from flows.artefacts import show_report
from flows.job import Job
from flows.plan import TRAIN
from flows.tasks import run_step


@flow(name="train", persist_result=False, validate_parameters=False)
def train(job: Job) -> dict[str, str]:
    """Do the steps from training to the report; return the digest of each one's outputs."""
    digests = {step.name: run_step(job, step.name) for step in job.steps(TRAIN)}
    show_report(job.run)
    return digests
