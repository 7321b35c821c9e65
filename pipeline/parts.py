"""One function over many items: by processes of this machine, or in parts by workers that share its disk.

A step hands a function and its items to a `Spread` and takes the results in the items' order; who made them changes no
byte. A part is two files in a folder of the step: what is asked, and what came of it. Nothing but the path and the
digest of the first goes to a worker, and nothing but the digest of the second comes back. The result is renamed into
place, so a part that is begun twice, as the worker that had it was lost, ends in one whole file.

The files are pickles, as is all that the processes of a pool or of a cluster tell each other: who may write into the
run directory, or reach the cluster, decides what its workers do.
"""

import os
import pickle
import platform
import uuid
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, NoReturn, Protocol, TypeVar

from pipeline import files
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.memory import kept_memory
from pipeline.parallel import ordered_map

Made = TypeVar("Made")
Item = TypeVar("Item")
Result = TypeVar("Result")


def lost(item: object) -> NoReturn:
    """Stand for the result of an item that no process survives, where there can be none.

    Raises:
        DataError: always.
    """
    raise DataError(f"a process died over {item!r:.200}")


@cache
def once(kind: Callable[..., Made], *arguments: Hashable) -> Made:
    """Return ``kind(*arguments)``, made once in this process: a model travels by its name and not by its weights.

    For ``__reduce__`` of what takes long to load.
    """
    return kind(*arguments)


class Spread(Protocol):
    """Does a function over items somewhere."""

    def __call__(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        folder: Path,
        *,
        workers: int = 1,
        crashed: Callable[[Item], Result] = lost,
    ) -> Iterator[Result]:
        """Yield ``function(item)`` for every item, in order.

        Args:
            function: importable by name, it or what it is a method or a partial of; it may be called twice for an item.
            folder: below the step's own, for the files of parts; its name is what the items are.
            workers: processes of this machine; with one the function is called in this process.
            crashed: the result for an item over which a process died twice.
        """
        ...


def here(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    folder: Path,  # noqa: ARG001 - of parts, which there are none of
    *,
    workers: int = 1,
    crashed: Callable[[Item], Result] = lost,
) -> Iterator[Result]:
    """Do all items on this machine; see `Spread`."""
    workers = min(workers, len(items))
    return ordered_map(function, items, workers=workers, crashed=crashed, window=4 * max(1, workers))


class Part(NamedTuple):
    """A part of some work: the file that says what is asked, and the sha256 of that file."""

    request: Path
    sha256: str


Outcome = str | Exception  # the sha256 of a part's result, or why there is none


def spread_in_parts(
    do: Callable[[Sequence[Part]], Iterable[Outcome]], *, parts: int, note: Callable[[str], None]
) -> Spread:
    """Return a `Spread` that has parts done elsewhere.

    What a person can cause ends the step as it would here. A part that is not done for another reason, because it kills
    every worker that takes it or the workers are gone, is done here, where a process that dies costs one item.

    Args:
        do: has parts done by `do_part`, in any order, and yields the outcome of each one in the order of the parts.
        parts: into how many the items are cut, where there are as many.
        note: is told of each part that was done here.
    """

    def spread(
        function: Callable[[Item], Result],
        items: Sequence[Item],
        folder: Path,
        *,
        workers: int = 1,
        crashed: Callable[[Item], Result] = lost,
    ) -> Iterator[Result]:
        size = max(1, -(-len(items) // parts))
        pieces = [items[start : start + size] for start in range(0, len(items), size)]
        asked = [_ask(function, piece, folder / f"{number:03d}.request") for number, piece in enumerate(pieces)]
        for piece, part, outcome in zip(pieces, asked, do(asked), strict=True):
            if isinstance(outcome, PipelineError):
                raise outcome
            results: Sequence[Result] | None = _results(part, outcome)
            if results is None:
                note(f"{folder.name} {part.request.stem}: done here, as no worker did it ({_reason(outcome)})")
            yield from here(function, piece, folder, workers=workers, crashed=crashed) if results is None else results
            files.remove(part.request)
            files.remove(_result_of(part.request))

    return spread


@kept_memory()
def do_part(request: Path, sha256: str) -> str:
    """Do a part, or find it done, and return the sha256 of its result.

    Args:
        request: the part's file.
        sha256: what it must hold.

    Raises:
        ConfigError: the file is not here.
        DataError: it holds something else.
    """
    result = _result_of(request)
    if not result.is_file():
        try:
            asked = request.read_bytes()
        except FileNotFoundError:
            raise ConfigError(
                f"{request} is not there on {platform.node()}: the run directory must lie on a disk that all workers "
                "share, under the same path"
            ) from None
        if files.sha256_bytes(asked) != sha256:
            raise DataError(f"{request} is damaged, or not yet whole, on {platform.node()}; run the recipe again")
        function, items = pickle.loads(asked)  # noqa: S301 - see the module's text
        _publish(result, pickle.dumps([function(item) for item in items]))
    return files.sha256_file(result)


def _ask(function: Callable[[Item], Result], items: Sequence[Item], request: Path) -> Part:
    asked = pickle.dumps((function, list(items)))
    _publish(request, asked)
    return Part(request, files.sha256_bytes(asked))


def _results(part: Part, outcome: Outcome) -> Sequence[Result] | None:
    """Return the results of a part; None where its file is not the one of which a worker told."""
    try:
        data = _result_of(part.request).read_bytes() if isinstance(outcome, str) else b""
    except FileNotFoundError:
        return None
    if files.sha256_bytes(data) != outcome:
        return None
    results: Sequence[Result] = pickle.loads(data)  # noqa: S301 - see the module's text
    return results


def _reason(outcome: Outcome) -> str:
    if isinstance(outcome, str):
        return "its file is not the one of which a worker told"
    return " ".join(f"{type(outcome).__name__}: {outcome}".split())[:200]


def _result_of(request: Path) -> Path:
    return request.with_suffix(".result")


def _publish(path: Path, data: bytes) -> None:
    """Write a whole file atomically, under a name in between that no other process takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
