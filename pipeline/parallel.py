"""A function over many items in several processes: results in the items' order, memory bounded, crashes survived."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    crashed: Callable[[Item], Result],
    window: int = 64,
) -> Iterator[Result]:
    """Yield ``function(item)`` for every item, in order.

    Args:
        function: importable by name, as it runs in other processes.
        workers: number of processes; with one, everything runs in this process.
        crashed: the result for an item whose process died over it (a decoder's fault, no memory).
        window: items under way at a time.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    pool = _new_pool(workers)
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    source = iter(items)
    try:
        while True:
            for item in islice(source, window - len(waiting)):
                waiting.append((item, _submit(pool, function, item)))
            if not waiting:
                return
            if not _died(waiting[0][1]):
                yield waiting.popleft()[1].result()
                continue
            # Which of the items under way was the fault is not known: each of them gets a process of its own.
            pool.shutdown(wait=True)
            while waiting:
                item, future = waiting.popleft()
                yield _alone(function, item, crashed) if _died(future) else future.result()
            pool = _new_pool(workers)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _new_pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


def _submit(pool: ProcessPoolExecutor, function: Callable[[Item], Result], item: Item) -> Future[Result]:
    """Submit an item; where the pool is broken already, return a future that says so."""
    try:
        return pool.submit(function, item)
    except BrokenProcessPool as error:
        future: Future[Result] = Future()
        future.set_exception(error)
        return future


def _died(future: Future[Result]) -> bool:
    """Wait for a future, and tell whether its process died."""
    return isinstance(future.exception(), BrokenProcessPool)


def _alone(function: Callable[[Item], Result], item: Item, crashed: Callable[[Item], Result]) -> Result:
    """Return the result for one item from a process that does nothing else."""
    with _new_pool(1) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            return crashed(item)
