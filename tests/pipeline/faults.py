"""What a decoder can do to its process. Nothing but what the processes need is imported, so that they start quickly."""

import os
import signal
import time
from pathlib import Path


def abort() -> None:
    os.abort()


def hang() -> None:
    while True:
        time.sleep(0.01)


def hang_deaf() -> None:
    """Hang in code that lets no signal handler of Python run."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    pow(7, 1 << 40_000_000)


def allocate() -> None:
    held = []
    while True:
        held.append(bytearray(16 << 20))


FAULTS = {"abort": abort, "hang": hang, "deaf": hang_deaf, "allocate": allocate}


def decode(item: str) -> str:
    """Return the item in capitals, or do what it says."""
    if item in FAULTS:
        FAULTS[item]()
    return item.upper()


def decode_once(item: str) -> str:
    """Die over the item, but only the first time that it is tried."""
    witness = Path(item)
    if witness.suffix == ".once" and not witness.exists():
        witness.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item.upper()


def crashed(item: str) -> str:
    return f"crashed {item}"
