"""What a person sees while a run goes on: a bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.workspace import Outcome

SECONDS_BETWEEN_LINES = 15.0


class Reporter:
    """Prints one line per step, and the progress of long ones."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, quiet=quiet, soft_wrap=True)
        self._bar: Progress | None = None
        self._last_line = 0.0

    def step(self, name: str, outcome: Outcome) -> None:
        """Say what became of a step."""
        self._close_bar()
        seconds = f"{outcome.record['seconds']:7.1f} s" if outcome.ran else "unchanged"
        self._console.print(f"{name:<26} {seconds:>9}  {describe(outcome.record['counts'])}", markup=False)

    def note(self, text: str) -> None:
        """Say something that is no step's outcome."""
        self._close_bar()
        self._console.print(text, markup=False)

    def progress(self, done: int, total: int, values: Mapping[str, float]) -> None:
        """Show how far a long step is: steps done of a total, and some values such as loss and samples a second."""
        text = "  ".join(f"{key} {value:.4g}" for key, value in values.items())
        if self._console.is_terminal:
            self._draw(done, total, text)
        elif done == total or time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            self._console.print(f"  {done}/{total}  {text}", markup=False)

    def _draw(self, done: int, total: int, text: str) -> None:
        if self._bar is None:
            columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.add_task(text, total=total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, description=text)

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def describe(counts: Mapping[str, Any]) -> str:
    """Return a step's counts as one line: the funnel first, then every other plain number."""
    parts = []
    if {"in", "kept", "dropped"} <= counts.keys():
        parts.append(f"{counts['in']:,} in, {counts['kept']:,} kept")
        parts += [f"{number:,} {reason}" for reason, number in counts["dropped"].items() if number]
    parts += [
        f"{name.replace('_', ' ')} {value:,}"
        for name, value in counts.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in ("in", "kept")
    ]
    return ", ".join(parts)
