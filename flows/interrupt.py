"""Ctrl-C and SIGTERM: stop at once where a step can be done again, at the next batch where training can go on.

The exit codes are the shell's own: 130 for SIGINT, 143 for SIGTERM.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn


class Interrupted(BaseException):
    """A signal asked this process to end; ``exit_code`` is 128 plus its number."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


class Interruption:
    """Remembers that a signal came, and raises it at once unless the work has asked to end by itself."""

    def __init__(self) -> None:
        self._deferred = False
        self.signal_number: int | None = None

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM for the duration of a command (the main thread only)."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Let the work inside look at `requested` and end by itself."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def leave(self) -> NoReturn:
        """End the process with the code of the signal that came; called by work that has seen the request.

        Raises:
            Interrupted: always.
        """
        raise Interrupted(self.signal_number or signal.SIGTERM)

    def requested(self) -> bool:
        """Tell whether a signal has come."""
        return self.signal_number is not None

    def _handle(self, signal_number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        again = self.signal_number is not None
        self.signal_number = signal_number
        if again or not self._deferred:
            raise Interrupted(signal_number)
