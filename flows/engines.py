"""How the steps of a job are run: in this process, or as Prefect flows. Both give the same bytes."""

from collections.abc import Callable

from flows.job import Job, run_local
from flows.orphans import end_orphaned_servers
from flows.plan import CURATE, TRAIN
from flows.prefect_settings import configure


def local(job: Job) -> None:
    """Run the whole job without Prefect."""
    run_local(job, CURATE + TRAIN)


def prefect(job: Job) -> None:
    """Run the job as two Prefect flows on the embedded server, or on the one that PREFECT_API_URL names."""
    home = configure(job.run)
    end_orphaned_servers(home)

    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from flows.curate import curate
    from flows.train import train

    # A heartbeat thread costs a second at the end of each flow, and nobody watches for it here.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        curate(job)
        if job.until in TRAIN:
            train(job)


ENGINES: dict[str, Callable[[Job], None]] = {"local": local, "prefect": prefect}
