"""The surroundings in which Prefect runs here: offline, silent, its state inside the run directory.

Prefect reads its settings when it is imported, so these are set before.
"""

import os
from pathlib import Path


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
    return home
