"""Files brought to where they are published: content first and checked, the manifest last, what is obsolete after it.

Killed anywhere, the destination has either no manifest or one whose every file is there, and the same call ends in the
same files. Before anything changes, a note with the names of all files that may lie there by then is left, so that a
later call knows what is its own. Where content that the old manifest names is about to change, that one goes first.
"""

import json
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pipeline import files
from pipeline.errors import ConfigError, DataError
from pipeline.remote import CONNECTIONS, Store
from pipeline.shards.layout import MANIFEST, NOTE
from pipeline.shards.read import file_names, parse_manifest


@dataclass(frozen=True, slots=True)
class Item:
    """A file to publish: its name in the destination, where it lies now, and the sha256 that it must have."""

    name: str
    source: Path
    sha256: str


class Destination(Protocol):
    """A folder anywhere; names are relative to it, with slashes."""

    connections: int

    def names(self) -> set[str]:
        """Return the names of all files that are there."""

    def read(self, name: str) -> bytes:
        """Return the content of a small file that is there."""

    def has(self, item: Item) -> bool:
        """Tell whether a file is there already, whole."""

    def put(self, item: Item) -> None:
        """Bring a file there, and see that it is whole there.

        Raises:
            DataError: its content is not what it should be, here or there.
        """

    def remove(self, name: str) -> None:
        """Remove a file."""


class Folder:
    """A destination on this machine."""

    connections = 1

    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        return str(self.root)

    def names(self) -> set[str]:
        """Return the names of all files that are there."""
        found = files.files_below(self.root) if self.root.exists() else []
        return {path.relative_to(self.root).as_posix() for path in found}

    def read(self, name: str) -> bytes:
        """Return the content of a small file that is there."""
        return (self.root / name).read_bytes()

    def has(self, item: Item) -> bool:
        """Tell whether a file is there already, whole."""
        path = self.root / item.name
        return path.is_file() and files.sha256_file(path) == item.sha256

    def put(self, item: Item) -> None:
        """Copy a file there, atomically; see `Destination`."""
        path = self.root / item.name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        shutil.copyfile(item.source, part)
        if files.sha256_file(part) != item.sha256:
            files.remove(part)
            raise _damaged(item)
        files.sync_file(part)
        part.replace(path)
        files.sync_directory(path.parent)

    def remove(self, name: str) -> None:
        """Remove a file, and the folders that are empty then."""
        path = self.root / name
        files.remove(path)
        files.sync_directory(path.parent)
        for folder in Path(name).parents[:-1]:
            if not any((self.root / folder).iterdir()):
                (self.root / folder).rmdir()


class Bucket:
    """A destination at an address."""

    connections = CONNECTIONS

    def __init__(self, store: Store) -> None:
        self.store = store

    def __str__(self) -> str:
        return str(self.store)

    def names(self) -> set[str]:
        """Return the names of all files that are there."""
        return self.store.names()

    def read(self, name: str) -> bytes:
        """Return the content of a small file that is there."""
        return b"".join(self.store.blocks(name, 0, self.store.size(name) or 0))

    def has(self, item: Item) -> bool:
        """Tell whether a file is there already, whole: it is read back, unless its size says no."""
        return self.store.size(item.name) == item.source.stat().st_size and self.store.sha256(item.name) == item.sha256

    def put(self, item: Item) -> None:
        """Upload a file and read it back; see `Destination`."""
        if files.sha256_file(item.source) != item.sha256:
            raise _damaged(item)
        self.store.put(item.name, item.source)
        if not self.has(item):
            raise DataError(f"{self.store.place(item.name)} was damaged on its way; run the same command again")

    def remove(self, name: str) -> None:
        """Remove a file."""
        self.store.remove(name)


def deliver(items: Sequence[Item], target: Destination) -> None:
    """Bring files to their destination; see the module's text for the order.

    Args:
        items: the manifest is the last.

    Raises:
        ConfigError: it holds something that was not published by us.
        DataError: a file is damaged.
    """
    *content, manifest = items
    wanted = {item.name for item in items}
    present = target.names()
    named = _named(target) if MANIFEST in present else set()
    known = {*wanted, *named, *(_noted(target) if NOTE in present else ()), NOTE}
    if foreign := sorted(name for name in present if name.removesuffix(".part") not in known):
        raise ConfigError(f"{target} holds {foreign[0]}, which is no part of a published set; choose an empty folder")
    with ThreadPoolExecutor(target.connections) as pool:
        whole = pool.map(lambda item: item.name in present and target.has(item), content)
        missing = [item for item, is_there in zip(content, whole, strict=True) if not is_there]
        obsolete = sorted(present - wanted - {NOTE})
        if missing or obsolete:
            _leave_note(target, known)
        if any(item.name in named for item in missing):
            target.remove(MANIFEST)
        for _ in pool.map(target.put, missing):
            pass
    if not target.has(manifest):
        target.put(manifest)
    for name in obsolete:
        target.remove(name)
    if NOTE in target.names():
        target.remove(NOTE)


def _named(target: Destination) -> set[str]:
    """Return the names of the files that the manifest of a destination names, its own among them.

    Raises:
        ConfigError: the manifest is that of something else.
    """
    try:
        return set(file_names(parse_manifest(target.read(MANIFEST), f"{target}/{MANIFEST}")))
    except DataError:
        raise ConfigError(f"{target} holds another {MANIFEST}; choose an empty folder") from None


def _noted(target: Destination) -> set[str]:
    """Return the names that the note of an earlier call holds; none where it was not a note, or is damaged."""
    try:
        noted: Any = json.loads(target.read(NOTE))
    except ValueError:
        return set()
    names = noted.get("publishing", ()) if isinstance(noted, dict) else ()
    return {name for name in names if isinstance(name, str)}


def _leave_note(target: Destination, names: set[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="essen-note-") as scratch:
        path = Path(scratch) / NOTE
        files.write_json(path, {"publishing": sorted(names)})
        target.put(Item(NOTE, path, files.sha256_file(path)))


def _damaged(item: Item) -> DataError:
    return DataError(f"{item.source} is damaged: its sha256 is not the one in the manifest; stage again")
