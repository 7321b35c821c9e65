"""Staged shards by random access: the manifest, the index of each set, and any picture by its row.

Nothing is decoded here and no state is kept but open files, so threads can share a reader, and processes can
be handed one.
"""

import json
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import files
from pipeline.errors import DataError
from pipeline.shards.layout import FORMAT, MANIFEST
from pipeline.tables import read_table


@dataclass(frozen=True, kw_only=True)
class StagedSet:
    """One folder of shards.

    Attributes:
        name: of the stage, or of the evaluation split.
        stage: from 1 upwards; 0 for an evaluation set.
        folder: where its shards lie.
        entry: its part of the manifest.
        table: the index, one row a sample in rank order; see `pipeline.shards.write.index_schema`.
    """

    name: str
    stage: int
    folder: Path
    entry: dict[str, Any]
    table: pa.Table

    def __len__(self) -> int:
        return self.table.num_rows

    def column(self, name: str) -> np.ndarray:
        """Return a column of the index, shape (samples,): numbers as such, text as objects."""
        return self.table.column(name).to_numpy(zero_copy_only=False)


@dataclass(frozen=True, kw_only=True)
class Stages:
    """A stages directory: the hand-over from the data to a trainer.

    Attributes:
        folder: holds ``manifest.json``.
        manifest: its parsed content.
        stages: in the order of the curriculum.
        evaluation: by name of the split.
    """

    folder: Path
    manifest: dict[str, Any]
    stages: tuple[StagedSet, ...]
    evaluation: dict[str, StagedSet]

    @property
    def image_size(self) -> int:
        """Side of the pictures, in pixels."""
        return int(self.manifest["image"]["size"])

    @property
    def digest(self) -> str:
        """The sha256 that names this content: of the manifest, and through it of every file."""
        return str(self.manifest["sha256"])


class ShardReader:
    """The encoded pictures of one or more sets by row, the rows counted through all of them.

    Shards are mapped into memory when they are first needed, once a process.
    """

    def __init__(self, *sets: StagedSet) -> None:
        paths: list[Path] = []
        shard: list[int] = []
        offset: list[np.ndarray] = []
        size: list[np.ndarray] = []
        for part in sets:
            names = [entry["file"] for entry in part.entry["shards"]]
            place = {name: len(paths) + number for number, name in enumerate(names)}
            paths.extend(part.folder / name for name in names)
            shard.extend(place[name] for name in part.table.column("shard").to_pylist())
            offset.append(part.column("offset"))
            size.append(part.column("size"))
        self._paths = paths
        self._shard = np.array(shard, dtype=np.int32)
        self._start = np.concatenate(offset) if offset else np.zeros(0, np.int64)
        self._size = np.concatenate(size) if size else np.zeros(0, np.int64)
        self._maps: dict[int, mmap.mmap] = {}

    def __len__(self) -> int:
        return len(self._shard)

    def read(self, row: int) -> bytes:
        """Return the encoded JPEG of a row; errors as in `view`."""
        return bytes(self.view(row))

    def view(self, row: int) -> memoryview:
        """Return the encoded JPEG of a row as it lies in the shard; nothing is copied, and read when it is looked at.

        Raises:
            DataError: its shard is missing or shorter than the index says.
        """
        shard = int(self._shard[row])
        start, size = int(self._start[row]), int(self._size[row])
        mapped = self._maps.get(shard)
        if mapped is None:
            mapped = self._maps[shard] = _map(self._paths[shard])
        # Asked of the file each time: looking at what has been cut off since it was mapped would end the process.
        if min(mapped.size(), len(mapped)) < start + size:
            raise DataError(f"{self._paths[shard]} ends before the picture at byte {start}; stage again")
        return memoryview(mapped)[start : start + size]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}}


def open_stages(folder: Path) -> Stages:
    """Open a stages directory: check the manifest against its own digest, the indexes by sha256, shards by size.

    The shards' content is not hashed here, see `pipeline.shards.verify.verify_stages`.

    Raises:
        DataError: there is no manifest, or a file is missing or is not the one that the manifest names.
    """
    manifest = read_manifest(folder)
    stages = [_open_set(folder, entry, name=entry["name"], stage=entry["stage"]) for entry in manifest["stages"]]
    evaluation = [_open_set(folder, entry, name=entry["split"], stage=0) for entry in manifest["evaluation"]]
    return Stages(
        folder=folder,
        manifest=manifest,
        stages=tuple(sorted(stages, key=lambda part: part.stage)),
        evaluation={part.name: part for part in evaluation},
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a stages directory, checked against its own digest.

    Raises:
        DataError: it is missing, damaged or of another format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(f"{folder} holds no {MANIFEST}; name a folder that `essen stage` has written")
    return parse_manifest(path.read_bytes(), path)


def parse_manifest(data: bytes, place: Path | str) -> dict[str, Any]:
    """Return the content of a ``manifest.json``, checked against its own digest.

    Args:
        place: where it was found, for messages.

    Raises:
        DataError: it is damaged or of another format.
    """
    try:
        manifest = json.loads(data)
    except ValueError:
        raise DataError(f"{place} is damaged: not a JSON text; stage again") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f"{place} is not of the format {FORMAT}; stage again with this version")
    content = {key: value for key, value in manifest.items() if key != "sha256"}
    if manifest.get("sha256") != files.digest(content):
        raise DataError(f"{place} is damaged: its sha256 is not that of its content; stage again")
    if not all(_is_plain(name) for file in file_names(manifest) for name in file.split("/")):
        raise DataError(f"{place} names a file outside its own folders; do not use it")
    return manifest


def _is_plain(name: str) -> bool:
    return Path(name).name == name and name not in ("", ".", "..")


def file_names(manifest: dict[str, Any]) -> list[str]:
    """Return the path of every file of a stages directory, relative to it; the manifest itself is the last."""
    names = [entry["file"] for entry in manifest.get("files", ())]
    for entry in (*manifest["stages"], *manifest["evaluation"]):
        own = [*(shard["file"] for shard in entry["shards"]), entry["index"]["file"], "sizes.json", "index.json"]
        names += [f"{entry['path']}/{name}" for name in own]
    return [*names, MANIFEST]


def _open_set(folder: Path, entry: dict[str, Any], *, name: str, stage: int) -> StagedSet:
    path = folder / entry["path"]
    index = path / entry["index"]["file"]
    if not index.is_file() or files.sha256_file(index) != entry["index"]["sha256"]:
        raise DataError(f"{index} is missing or damaged; stage again")
    for shard in entry["shards"]:
        file = path / shard["file"]
        if not file.is_file() or file.stat().st_size != shard["bytes"]:
            raise DataError(f"{file} is missing or has the wrong size; stage again")
    return StagedSet(name=name, stage=stage, folder=path, entry=entry, table=read_table(index))


def _map(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise DataError(f"{path} is missing; stage again") from None
    except ValueError:
        raise DataError(f"{path} is empty; stage again") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from None
