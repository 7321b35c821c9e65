"""How the steps of a job are run: in this process, or as Prefect flows. Both give the same bytes."""

from collections.abc import Callable

from flows.job import REPORTER, Job, do_step
from flows.orphans import end_orphaned_servers
from flows.plan import PHASES, TRAIN
from flows.prefect_settings import configure
from flows.ranks import leading
from pipeline.workspace import Workspace, disk_faults_named


def do_job(job: Job, engine: Callable[[Job], None]) -> None:
    """Begin a job under the lock of its run directory, and let an engine run it.

    Raises:
        ConfigError: the recipe's runner cannot be had.
    """
    with disk_faults_named(job.run), leading(), Workspace(job.run).lock():
        job.begin()
        engine(job)


def local(job: Job) -> None:
    """Run the whole job without Prefect."""
    runner = job.load().runner
    if runner.apart:
        REPORTER.note(f"the recipe's runner ({runner.engine}) is not used: --engine prefect hands the steps to it")
    for step in job.steps(PHASES):
        do_step(step, job.run)


def prefect(job: Job) -> None:
    """Run the job as two Prefect flows on the embedded server, or on the one that PREFECT_API_URL names."""
    home = configure(job.run)
    end_orphaned_servers(home)

    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    # A heartbeat thread costs a second at the end of each flow, and nobody watches for it here.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        run_flows(job)


def run_flows(job: Job) -> None:
    """Run the flows of a job where Prefect is set up."""
    from prefect.settings import temporary_settings

    from flows.curate import curate
    from flows.prefect_settings import server_of
    from flows.runner import task_runner
    from flows.train import train

    runner = job.load().runner
    found = task_runner(runner)
    with temporary_settings(server_of(runner)):
        curate.with_options(task_runner=found)(job)
        if job.until in TRAIN:
            train(job)


ENGINES: dict[str, Callable[[Job], None]] = {"local": local, "prefect": prefect}
