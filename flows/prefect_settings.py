"""The surroundings in which Prefect runs here: offline, silent, its state inside the run directory.

Prefect reads its settings when it is imported, so these are set before.
"""

import logging
import os
from pathlib import Path
from typing import Any

from flows.runner import RunnerConfig
from pipeline.errors import ConfigError


def configure(run: Path) -> Path:
    """Set Prefect's environment for a run and return its home; a server that the user has named is left in use."""
    home = (run / ".prefect").absolute()
    os.environ.update(
        {
            "PREFECT_HOME": str(home),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
    )
    # The command line says what went wrong, in one line; Prefect would add its own tracebacks.
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    return home


def server_of(runner: RunnerConfig) -> dict[Any, Any]:
    """Return the settings by which processes elsewhere report to this flow's server and not to one of their own.

    Raises:
        ConfigError: they are on other machines, and the embedded server is for this one alone; or it does not start.
    """
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import PREFECT_API_URL

    if not runner.apart:
        return {}
    # What a cluster says when workers come and go belongs into its own log.
    for name in ("distributed", "ray"):
        logging.getLogger(name).setLevel(os.environ.get("PREFECT_LOGGING_LEVEL", "ERROR"))
    if PREFECT_API_URL.value():
        return {}
    if runner.elsewhere:
        raise ConfigError(
            f"the workers at {runner.address} cannot reach the embedded Prefect server; start one that they can "
            "(prefect server start) and name it in PREFECT_API_URL, here and for them"
        )
    server = SubprocessASGIServer()
    try:
        server.start()
    except RuntimeError:
        raise ConfigError("the embedded Prefect server did not start; --engine local runs without one") from None
    return {PREFECT_API_URL: server.api_url}
