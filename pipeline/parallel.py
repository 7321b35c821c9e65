"""A function over many items in several processes: results in the items' order, memory bounded, crashes survived.

Every process is a pool of its own, so when one dies, or is ended at its deadline, it is known whose items it had. They
are tried again one by one in a new process, and what kills that one too is the fault: a process that somebody else
killed costs no item. Processes end with the one that started them, however that ended.
"""

import os
import resource
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from multiprocessing import connection, get_context, parent_process
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Limits:
    """What an item may cost.

    Attributes:
        seconds: wall time of one item; its process is ended after that.
        memory: bytes of data that its process may hold; an allocation beyond fails.
    """

    seconds: float
    memory: int


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BaseException


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    crashed: Callable[[Item], Result],
    window: int = 64,
    limits: Limits | None = None,
) -> Iterator[Result]:
    """Yield ``function(item)`` for every item, in order.

    Args:
        function: importable by name, as it runs in other processes; it may be called twice for an item.
        workers: number of processes; with one and without limits everything runs in this process.
        crashed: the result for an item over which a process died, ran out of memory or reached the deadline, twice.
        window: items under way at a time.
        limits: of every item; without them a process may take all the time and memory there is.
    """
    if workers <= 1 and limits is None:
        yield from map(function, items)
        return
    closing = threading.Event()
    stop, stopping = get_context("spawn").Pipe(duplex=False)
    processes = [_Process(function, limits, closing, stop) for _ in range(workers)]
    free = deque(processes)

    def outcomes(some: Sequence[Item]) -> list[Result | _Failure]:
        process = free.popleft()  # as many threads as processes: one is free
        try:
            return process.outcomes(some)
        finally:
            free.append(process)

    size = max(1, window // (4 * workers))
    source = iter(items)
    waiting: deque[tuple[list[Item], Future[list[Result | _Failure]]]] = deque()
    threads = ThreadPoolExecutor(workers)
    finished = False
    try:
        while True:
            while len(waiting) < window // size and (chunk := list(islice(source, size))):
                waiting.append((chunk, threads.submit(outcomes, chunk)))
            if not waiting:
                finished = True
                return
            chunk, done = waiting.popleft()
            for item, outcome in zip(chunk, done.result(), strict=True):
                yield _settled(item, outcome, crashed)
    finally:
        closing.set()
        if not finished:
            stopping.close()  # nobody wants what is under way: the processes end at once, one that is starting too
        threads.shutdown(wait=True, cancel_futures=True)
        for process in processes:
            process.end()
        stop.close()
        stopping.close()


def _settled(item: Item, outcome: Result | _Failure, crashed: Callable[[Item], Result]) -> Result:
    if not isinstance(outcome, _Failure):
        return outcome
    if isinstance(outcome.error, BrokenProcessPool | MemoryError):
        return crashed(item)
    raise outcome.error


class _Process(Generic[Item, Result]):
    """One process for a function; a new one where it has died."""

    def __init__(
        self,
        function: Callable[[Item], Result],
        limits: Limits | None,
        closing: threading.Event,
        stop: connection.Connection,
    ) -> None:
        self._function, self._limits, self._closing, self._stop = function, limits, closing, stop
        self._pool: ProcessPoolExecutor | None = None

    def outcomes(self, items: Sequence[Item]) -> list[Result | _Failure]:
        """Return the result for each item, or why there is none."""
        together = self._results(items)
        if isinstance(together, list):
            return [*together]
        return [self._alone(item, together) for item in items]

    def end(self) -> None:
        """Let the process go."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _alone(self, item: Item, before: _Failure) -> Result | _Failure:
        if self._closing.is_set():
            return before
        outcome = self._results([item])
        return outcome[0] if isinstance(outcome, list) else outcome

    def _results(self, items: Sequence[Item]) -> list[Result] | _Failure:
        if self._pool is None:
            arguments = (self._limits, self._stop)
            self._pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_prepare, initargs=arguments)
        seconds = self._limits.seconds if self._limits else 0.0
        try:
            return self._pool.submit(_call, self._function, items, seconds).result()
        except BrokenProcessPool as error:
            self.end()
            return _Failure(error)
        except Exception as error:  # noqa: BLE001 - the function's own; it is raised where the item's turn comes
            return _Failure(error)


def _prepare(limits: Limits | None, stop: connection.Connection) -> None:
    """Set a new process up: it ends with its parent or when told to, and its limits hold before the first item."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's business; it lets this process go
    threading.Thread(target=_end_with_parent, args=(stop,), daemon=True).start()
    if limits is not None:
        os.environ["OPENBLAS_NUM_THREADS"] = "1"  # buffers of as many threads as there are cores count as data
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, whatever code it is in
        for kind, most in ((resource.RLIMIT_DATA, limits.memory), (resource.RLIMIT_CORE, 0)):
            hard = resource.getrlimit(kind)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (most, hard))


def _end_with_parent(stop: connection.Connection) -> None:
    parent = parent_process()
    assert parent is not None, "only called in a process that was started here"
    connection.wait([parent.sentinel, stop])
    os._exit(1)


def _call(function: Callable[[Item], Result], items: Sequence[Item], seconds: float) -> list[Result]:
    results = []
    try:
        for item in items:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            results.append(function(item))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return results
