"""Programs of others: run in a group of their own, watched, and ended as a whole."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended.

    Attributes:
        code: its exit code; negative where a signal ended it.
        stopped: why we ended it, ``deadline`` or a word of the caller; empty where it ended by itself.
    """

    code: int
    stopped: str = ""


class Program:
    """A program that runs, and the group of processes that it leads."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._stopped = ""

    def ended(self) -> Ended | None:
        """Return how the program ended, None while it runs."""
        code = self._process.poll()
        return None if code is None else Ended(code=code, stopped=self._stopped)

    def stop(self, why: str) -> Ended:
        """Kill what is left of the group, reap the program, and return how it ended."""
        if self._process.poll() is None:
            self._stopped = why
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        return Ended(code=code, stopped=self._stopped)


@contextlib.contextmanager
def running(
    command: Sequence[str], *, log: Path, cwd: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Program]:
    """Run a program as long as the context lasts; nothing of its group outlives that.

    Its standard input is a pipe that we hold open and never write to, so the program can tell when we are gone.

    Args:
        log: file that receives the program's output.
        environment: all its variables; ours where None.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            cwd=cwd,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        program = Program(process)
        try:
            yield program
        finally:
            program.stop("no_longer_needed")


def run_watched(
    command: Sequence[str], *, log: Path, cwd: Path, deadline: float, environment: Mapping[str, str] | None = None
) -> Ended:
    """Run a program until it ends or its deadline passes; nothing of its group outlives the call.

    Args:
        log: file that receives the program's output.
        deadline: seconds that it may take altogether.
        environment: all its variables; ours where None.
    """
    started = time.monotonic()
    with running(command, log=log, cwd=cwd, environment=environment) as program:
        while (ended := program.ended()) is None:
            if time.monotonic() - started > deadline:
                return program.stop("deadline")
            time.sleep(POLL_SECONDS)
        return ended


def last_line(log: Path) -> str:
    """Return the last line of a program's output that says something, or the word that there was none."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no output"
