"""Programs of others: run in a group of their own, watched, and ended as a whole."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended.

    Attributes:
        code: its exit code; negative where a signal ended it.
        stopped: why we ended it, ``deadline`` or ``no_progress``; empty where it ended by itself.
    """

    code: int
    stopped: str = ""


def run_watched(
    command: Sequence[str],
    *,
    log: Path,
    cwd: Path,
    deadline: float,
    environment: Mapping[str, str] | None = None,
    progress: Callable[[], object] | None = None,
    patience: Callable[[], float] = lambda: 60.0,
) -> Ended:
    """Run a program until it ends, its deadline passes or it stands still; nothing of its group outlives the call.

    Its standard input is a pipe that we hold open and never write to, so the program can tell when we are gone.

    Args:
        log: file that receives the program's output.
        deadline: seconds that it may take altogether.
        environment: all its variables; ours where None.
        progress: returns a value that changes while the program gets on.
        patience: returns the seconds for which this value may stay the same.
    """
    started = last_change = time.monotonic()
    seen: object = None
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
        try:
            while process.poll() is None:
                now = time.monotonic()
                if now - started > deadline:
                    return _end(process, "deadline")
                if progress is not None and (value := progress()) != seen:
                    seen, last_change = value, now
                if progress is not None and now - last_change > patience():
                    return _end(process, "no_progress")
                time.sleep(POLL_SECONDS)
            return Ended(code=process.returncode)
        finally:
            _end(process, "")


def last_line(log: Path) -> str:
    """Return the last line of a program's output that says something, or the word that there was none."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no output"


def _end(process: subprocess.Popen[bytes], why: str) -> Ended:
    """Kill what is left of the program's group and reap the program."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    code = process.wait()
    if process.stdin is not None:
        process.stdin.close()
    return Ended(code=code, stopped=why)
