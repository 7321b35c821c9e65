"""Under ``torchrun`` one process does the run, and the others train with it and do nothing else."""

import contextlib
from collections.abc import Iterator

from essen.processes import announced
from flows.interrupt import Interrupted


def is_beside() -> bool:
    """Tell whether ``torchrun`` started this process beside the one that does the run."""
    rank, _ = announced()
    return rank > 0


def train_beside() -> None:
    """Take part in the trainings of the process that does the run, until it ends.

    A signal to end is for that process: it stops all of them at the same step.
    """
    import signal

    from essen.train import follow

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    follow()


@contextlib.contextmanager
def leading() -> Iterator[None]:
    """Let the other processes train with this one as long as the context lasts, then let them go."""
    _, world = announced()
    if world == 1:
        yield
        return
    from essen.distributed import joined

    with joined() as ranks:
        try:
            yield
        except Exception as error:
            # What has no exit code struck this process alone: torchrun ends the others, which wait for it.
            if hasattr(error, "exit_code"):
                ranks.tell(None)
            raise
        except Interrupted:
            ranks.tell(None)
            raise
        ranks.tell(None)
