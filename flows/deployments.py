"""The flows as deployments, started by a person on Prefect's page, by a schedule or by another program.

`serve_flows` offers them from this process. The workers of a work pool take them as prefect.yaml says. Either way the
flows run where essen is installed, and their server is the one that PREFECT_API_URL names.
"""

from pathlib import Path
from typing import Annotated, Any

from prefect import Flow, flow, serve
from prefect.client.orchestration import get_client
from prefect.deployments.runner import RunnerDeployment
from prefect.settings import PREFECT_API_URL
from prefect.types.entrypoint import EntrypointType
from pydantic import Field

from flows.artefacts import show_study
from flows.engines import do_job, run_flows
from flows.job import make_job
from flows.recipe import find_recipe, load_recipe
from pipeline.errors import ConfigError


def _flow_until(until: str, *, name: str, found_as: str, does: str) -> Flow[..., str]:
    """Return a flow that does a recipe up to a phase.

    Args:
        until: the phase.
        name: that Prefect shows.
        found_as: its variable in this module, by which workers import it.
        does: first sentence of what it says of itself.
    """

    def do(recipe: str, run: Path | None = None, mirror: Path | None = None, overrides: tuple[str, ...] = ()) -> str:
        job = make_job(recipe, run, mirror, overrides, until)
        do_job(job, run_flows)
        return str(job.run)

    do.__name__ = found_as
    do.__doc__ = f"""{does}; return the run directory.

    Args:
        recipe: recipe file, or the name of one that comes with essen
        run: run directory; by default runs/<name of the recipe>
        mirror: folder served in place of the original hosts of URL lists
        overrides: recipe keys to set, as key.subkey=value
    """
    return flow(name=name, persist_result=False)(do)


curate_corpora = _flow_until(
    "card",
    name="essen-curate",
    found_as="curate_corpora",
    does="Do what a recipe says up to the staged shards and their card",
)
train_model = _flow_until(
    "report",
    name="essen-train",
    found_as="train_model",
    does="Do all that a recipe says, as far as it is not done, up to the report",
)


@flow(name="essen-study", persist_result=False)
def study_arms(
    file: Path, runs: Path = Path("runs"), mirror: Path | None = None, jobs: Annotated[int, Field(ge=1)] = 1
) -> list[str]:
    """Run the arms, budgets and seeds of a study; return the lines of its tables.

    Args:
        file: study file: arms, budgets, seeds, scores, claims
        runs: folder of run directories
        mirror: folder served in place of the original hosts of URL lists
        jobs: cells at a time, each on one thread
    """
    from flows.study.show import results_for
    from pipeline.report.studies import study_lines

    lines = list(study_lines(results_for(file, runs, mirror, jobs=jobs, only_there=False)))
    show_study(file.stem, lines)
    return lines


FLOWS: dict[str, Flow[..., Any]] = {"curate": curate_corpora, "train": train_model, "study": study_arms}


def deployments(recipe: str = "", cron: str = "") -> list[RunnerDeployment]:
    """Return the deployments of all flows.

    Args:
        recipe: what curate and train do where nobody says otherwise.
        cron: when they do it by themselves, e.g. ``0 3 * * *``; empty: never.

    Raises:
        ConfigError: a schedule without a recipe, a recipe that is not valid, or a schedule that is none.
    """
    if cron and not recipe:
        raise ConfigError("a schedule needs a recipe: say which one to run")
    parameters = {}
    if recipe:
        path = find_recipe(recipe).absolute()
        load_recipe(path)
        parameters = {"recipe": str(path)}
    made = []
    for name, each in FLOWS.items():
        try:
            deployment = RunnerDeployment.from_flow(
                each,
                name,
                entrypoint_type=EntrypointType.MODULE_PATH,
                parameters={} if name == "study" else parameters,
                cron=cron if cron and name == "train" else None,  # which curates first
            )
        except ValueError as error:
            raise ConfigError(f"--cron {cron}: {' '.join(str(error).split())}") from None
        made.append(deployment)
    return made


def serve_flows(recipe: str = "", cron: str = "") -> None:
    """Offer the flows until this process is ended, one run at a time.

    Raises:
        ConfigError: see `deployments`; or there is no server, which the embedded one is not.
    """
    url = PREFECT_API_URL.value()
    if not url:
        raise ConfigError("no Prefect server is named; start one (prefect server start) and set PREFECT_API_URL to it")
    offered = deployments(recipe, cron)
    with get_client(sync_client=True, httpx_settings={"timeout": 10}) as client:
        fault = client.api_healthcheck()
    if fault is not None:
        raise ConfigError(f"no Prefect server answers at {url}: {' '.join(str(fault).split())}")
    serve(*offered, limit=1)
