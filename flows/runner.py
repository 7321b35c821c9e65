"""Where the tasks of a flow run: in this process, or on a Dask or Ray cluster whose workers share the run's disk."""

import socket
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from pipeline.config import Config
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from prefect.task_runners import TaskRunner

REACHABLE_SECONDS = 10.0
PARTS_PER_WORKER = 8  # so that the last one to end is not waited for long, and a lost worker loses little
RAY_OBJECTS = 80 << 20  # bytes; the least that Ray takes, as only paths and digests go through its store
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class RunnerConfig(Config):
    """Where the tasks of a flow run. It decides no byte, so it is no part of what a run is known by."""

    engine: Literal["threads", "dask", "ray"] = Field(
        default="threads", description="threads: this process, and those that a step starts; dask, ray: a cluster"
    )
    address: str = Field(
        default="", description="of a cluster that is there, e.g. tcp://host:8786 or ray://host:10001; empty: local"
    )
    workers: int = Field(default=2, ge=1, le=1_000, description="processes of a local cluster; how many the other has")

    @model_validator(mode="after")
    def _of_a_cluster(self) -> Self:
        if self.address and self.engine == "threads":
            raise ValueError("an address is that of a cluster; set engine to dask or ray with it")
        if self.address and not all(_place(self.address)):
            raise ValueError(f"{self.address} is no address; write it with its port, as tcp://host:8786")
        return self

    @property
    def apart(self) -> bool:
        """Whether tasks run in processes other than the flow's."""
        return self.engine != "threads"

    @property
    def parts(self) -> int:
        """Into how many tasks the work of a step is cut."""
        return PARTS_PER_WORKER * self.workers

    @property
    def elsewhere(self) -> bool:
        """Whether the cluster's machines are others than this one."""
        return bool(self.address) and _place(self.address)[0] not in LOOPBACK


def task_runner(config: RunnerConfig) -> "TaskRunner[Any]":
    """Return Prefect's task runner of a configuration.

    Raises:
        ConfigError: its package is not installed, or no cluster answers at the address.
    """
    if config.address:
        _check_reachable(config.address)
    if config.engine == "dask":
        return _dask(config)
    if config.engine == "ray":
        return _ray(config)
    from prefect.task_runners import ThreadPoolTaskRunner

    return ThreadPoolTaskRunner(max_workers=1)


def _dask(config: RunnerConfig) -> "TaskRunner[Any]":
    try:
        import dask
        import distributed
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError:
        raise _missing("dask") from None
    # A daemon may start no process, and acquisition decodes pictures in processes that may die. What Dask says when
    # workers come and go would be taken for errors.
    dask.config.set({"distributed.worker.daemon": False, "logging.distributed": "critical"})
    if not config.address:
        local = {"n_workers": config.workers, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
        return DaskTaskRunner(cluster_kwargs=local)
    try:
        with distributed.Client(config.address, timeout=REACHABLE_SECONDS, set_as_default=False) as client:
            workers = len(client.scheduler_info(n_workers=-1)["workers"])
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(f"no Dask scheduler answers at {config.address}: {' '.join(str(error).split())}") from None
    if not workers:
        raise ConfigError(
            f"the Dask cluster at {config.address} has no worker; start some: dask worker {config.address}"
        )
    return DaskTaskRunner(address=config.address)


def _ray(config: RunnerConfig) -> "TaskRunner[Any]":
    try:
        import ray  # noqa: F401 - prefect_ray imports it later, where nobody expects it to be missing
        from prefect_ray.task_runners import RayTaskRunner
    except ImportError:
        raise _missing("ray") from None
    if config.address:
        return RayTaskRunner(address=config.address)
    local = {"num_cpus": config.workers, "object_store_memory": RAY_OBJECTS, "include_dashboard": False}
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    return RayTaskRunner(init_kwargs=local | quiet)


def _missing(extra: str) -> ConfigError:
    return ConfigError(f"runner.engine {extra} needs packages that are not installed; pip install 'essen[{extra}]'")


def _check_reachable(address: str) -> None:
    """Raise unless somebody listens at an address.

    Raises:
        ConfigError: nobody does, for ten seconds.
    """
    host, port = _place(address)
    try:
        socket.create_connection((host, port), timeout=REACHABLE_SECONDS).close()
    except OSError as error:
        raise ConfigError(
            f"runner.address: nothing answers at {address} ({error}); start the cluster, or leave the address out for "
            "one on this machine"
        ) from None


def _place(address: str) -> tuple[str, int]:
    """Return host and port of ``scheme://host:port`` or ``host:port``; empty and 0 where there is none."""
    try:
        found = urlsplit(address if "://" in address else f"//{address}")
        return found.hostname or "", found.port or 0
    except ValueError:
        return "", 0
