"""A child that is killed at its k-th file operation, for scripts that are started with nothing else running."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

OPERATIONS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir")


def in_child(work: Callable[[], object], kill_at: int) -> bool:
    """Do some work in a child that is killed at its `kill_at`-th file operation; tell whether it came so far."""
    child = os.fork()
    if child == 0:
        left = kill_at

        def hook(event: str, _: Any) -> None:
            nonlocal left
            if event in OPERATIONS:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)
