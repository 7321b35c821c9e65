"""Ends what a killed run left behind: the embedded Prefect server outlives a parent that dies by SIGKILL."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def end_orphaned_servers(home: Path) -> list[int]:
    """End Prefect's embedded servers whose home is `home`; the caller holds the run's lock, so none is in use.

    Does nothing where there is no ``/proc``.

    Returns:
        The process ids that were ended.
    """
    wanted = f"PREFECT_HOME={home}".encode()
    ended = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes().split(b"\0")
            if b"prefect.server.api.server:create_app" not in command:
                continue
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGTERM)
                ended.append(int(process.name))
    return ended
