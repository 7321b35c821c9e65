"""Runs img2dataset on one list: a script for the interpreter of img2dataset's own environment, not a module of ours.

    python -I fetch_child.py ARGUMENTS.json

It calls ``img2dataset.download`` with the arguments of the file, and adds what img2dataset lacks:

- It connects to one address, the ``host:port`` in ``ESSEN_GATEWAY``, and to no other.
- Each of its processes may hold ``ESSEN_MEMORY`` bytes of data; an allocation beyond fails.
- It ends with its whole process group when the program that started it is gone (its standard input closes).
- It does the same when a worker was killed or crashed, for which img2dataset would wait for ever.
- It starts in a third of the time, as libraries that nothing here calls are not imported.

img2dataset's workers import this file again, so what stands at the top applies to them as well.
"""

import json
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

GATEWAY = os.environ["ESSEN_GATEWAY"]
MEMORY = int(os.environ["ESSEN_MEMORY"])

# For changing pictures, reports, a command line, EXIF tags and lists in JSON. img2dataset imports them at its top, and
# calls none of them where pictures are kept as they are and the list is Parquet.
UNUSED = ("albumentations", "wandb", "fire", "exifread", "pandas")


def guard(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse every connection but the one to the gateway; an audit hook."""
    if event == "socket.connect" and arguments[1] != (GATEWAY.split(":")[0], int(GATEWAY.split(":")[1])):
        raise PermissionError(f"a connection to {arguments[1]}, which is not the gateway")


def end_with_parent() -> None:
    """Wait until standard input closes, then end the whole process group."""
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


def end_with_worker() -> None:
    """Wait until a worker ends otherwise than by itself or by img2dataset's own SIGTERM, then end the whole group."""
    workers: set[Any] = set()
    while all(worker.exitcode in (None, 0, -signal.SIGTERM) for worker in workers):
        time.sleep(0.2)
        workers.update(multiprocessing.active_children())
    os.killpg(0, signal.SIGKILL)


def leave_out_unused() -> None:
    """Put empty modules in the place of those that are imported but not called."""
    for name in UNUSED:
        sys.modules[name] = ModuleType(name)
    sys.modules["pandas"].__dict__["__version__"] = "0"  # too old for pyarrow, which then does without it


sys.addaudithook(guard)
threading.stack_size(2**20)  # the stacks of threads count as data
resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
leave_out_unused()

if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    threading.Thread(target=end_with_worker, daemon=True).start()
    from img2dataset import download

    download(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
