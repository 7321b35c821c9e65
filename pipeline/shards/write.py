"""One folder of staged shards: WebDataset tars, their indexes and their sizes; bytes depend on the samples alone.

Members of a sample are adjacent and sorted: ``<uid>.jpg``, ``<uid>.json``, ``<uid>.txt``. ``index.parquet`` holds one
row a sample with the place of its picture, ``sizes.json`` the number of samples a shard (open_clip's convention),
``index.json`` the shards as ``wids`` reads them.

A shard holds one group of licences only (`pipeline.licences.GROUPS`), and its name says which: ``00000.tar`` what may
be passed on with credit at most, ``sa-00000.tar`` share-alike, ``nc-00000.tar`` non-commercial, and so on.
"""

import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import files
from pipeline.errors import DataError
from pipeline.licences import GROUPS, OPEN
from pipeline.sample import COLUMNS, Sample, spaced
from pipeline.shards.layout import MAX_SHARD_BYTES, MIN_SHARDS, shard_starts
from pipeline.shards.wids import wids_index
from pipeline.tables import write_table
from pipeline.tar import BLOCK, new_tar

if TYPE_CHECKING:
    import pyarrow as pa

UID = re.compile(r"[0-9a-f]{32}")
RECORD = (*COLUMNS, "words", "stage", "rank")  # what a sample's JSON says
LICENCE, RANK = RECORD.index("licence"), RECORD.index("rank")
_carried = attrgetter(*COLUMNS)
Row = tuple[Any, ...]  # of the index, in the order of its columns


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedSample:
    """A sample as it is handed to a trainer.

    Attributes:
        sample: what is carried from acquisition.
        image: encoded JPEG.
        stage: from 1 upwards, 0 in an evaluation set.
        rank: place in the whole order, from 0; in an evaluation set the place in that set.
        difficulty: as the order has it, None in an evaluation set.
    """

    sample: Sample
    image: bytes
    stage: int
    rank: int
    difficulty: float | None

    @property
    def words(self) -> int:
        """White-space tokens of the caption, see `pipeline.sample.spaced`: the unit of word budgets."""
        return len(spaced(self.sample.caption).split())


@dataclass(frozen=True, slots=True)
class ShardGroup:
    """Samples that may share a shard.

    Attributes:
        samples: in rank order; read once, one shard at a time in memory.
        count: how many there are.
        licence: one of `pipeline.licences.GROUPS`.
    """

    samples: Iterable[StagedSample]
    count: int
    licence: str = OPEN


def write_shards(
    groups: Sequence[ShardGroup],
    folder: Path,
    *,
    min_shards: int = MIN_SHARDS,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> dict[str, Any]:
    """Write samples as shards with index and sizes; the index is in rank order through all groups.

    The samples of a group are dealt to its shards in contiguous runs of nearly equal length. There are `min_shards` of
    them, fewer where one would hold less than 16 samples, more where one would exceed `max_shard_bytes`.

    Args:
        groups: each with samples and licence of its own; those without samples are passed over.
        folder: new or empty.
        min_shards: of a group; readers divide shards among workers, so a handful must exist.
        max_shard_bytes: upper limit of one tar, reached only where a single sample is larger.

    Returns:
        The manifest's entry: ``samples``, ``words``, ``index`` and ``wids`` (file, sha256, bytes) and ``shards`` (a
        list of the same with ``md5``, ``samples``, the group ``licence`` and the SPDX expressions ``licences``).

    Raises:
        DataError: there is no sample, a count is wrong, or a key repeats or cannot be a WebDataset key.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    shards: list[dict[str, Any]] = []
    with ThreadPoolExecutor(1) as disk:  # takes in one shard while the next is laid out
        synced = []
        for path, licence, batch in _batches(groups, folder, min_shards, max_shard_bytes):
            written, entry = _write_shard(batch, path, licence)
            synced.append(disk.submit(files.sync_file, path))
            rows += written
            shards.append(entry)
        for done in synced:
            done.result()
    if not rows:
        raise DataError(f"{folder}: there is no sample to be written")
    rows.sort(key=itemgetter(RANK))
    return write_index(folder, index_table(rows), shards)


def write_index(folder: Path, table: "pa.Table", shards: list[dict[str, Any]]) -> dict[str, Any]:
    """Write ``index.parquet``, ``sizes.json`` and ``index.json`` of some shards; return their entry in the manifest.

    Args:
        folder: its name is that of the set.
        table: with the columns of `index_schema`, in rank order.
        shards: their entries in the manifest.
    """
    write_table(folder / "index.parquet", table)
    files.write_json(folder / "sizes.json", {shard["file"]: shard["samples"] for shard in shards})
    files.write_json(folder / "index.json", wids_index(folder.name, shards))
    return {
        "samples": table.num_rows,
        "words": sum(table.column("words").to_pylist()),
        "index": file_entry(folder / "index.parquet"),
        "wids": file_entry(folder / "index.json"),
        "shards": shards,
    }


def file_entry(path: Path, folder: Path | None = None) -> dict[str, Any]:
    """Return a file's name (relative to `folder`), sha256 and length in bytes, as manifests hold them."""
    name = path.relative_to(folder or path.parent).as_posix()
    return {"file": name, "sha256": files.sha256_file(path), "bytes": path.stat().st_size}


def samples_by_group(sets: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the number of samples of each group of licences in a manifest's sets, from free to restrictive."""
    counted = Counter[str]()
    for entry in sets:
        for shard in entry["shards"]:
            counted[shard["licence"]] += shard["samples"]
    return {group: counted[group] for group in GROUPS if group in counted}


def index_schema() -> "pa.Schema":
    """Return the columns of ``index.parquet`` with their types."""
    import pyarrow as pa

    typed = {
        "words": pa.int32(),
        "stage": pa.int32(),
        "rank": pa.int64(),
        "difficulty": pa.float64(),
        "shard": pa.string(),
        "offset": pa.int64(),
        "size": pa.int64(),
    }
    return pa.schema([*((name, pa.string()) for name in COLUMNS), *typed.items()])


def index_table(rows: Sequence[Row]) -> "pa.Table":
    """Return at least one row as a table with the columns and types of ``index.parquet``."""
    import pyarrow as pa

    schema = index_schema()
    columns = zip(*rows, strict=True)
    return pa.table([pa.array(values, kind) for values, kind in zip(columns, schema.types, strict=True)], schema=schema)


class _Prepared(NamedTuple):
    """A sample with its row of the index (without its place) and its members of the tar."""

    row: Row
    members: tuple[tuple[str, bytes], ...]


def _prepare(staged: StagedSample) -> _Prepared:
    """Lay out a sample. Its JSON has the same keys and types in every set, as typed readers need."""
    uid, caption = staged.sample.uid, staged.sample.caption
    row = (*_carried(staged.sample), staged.words, staged.stage, staged.rank)
    record = files.canonical_json(dict(zip(RECORD, row, strict=True)))
    members = ((f"{uid}.jpg", staged.image), (f"{uid}.json", record.encode()), (f"{uid}.txt", caption.encode()))
    return _Prepared((*row, staged.difficulty), members)


def _checked(group: ShardGroup, folder: Path, seen: set[str]) -> Iterator[StagedSample]:
    """Yield the samples of a group; raise where they cannot become shards. `seen` gathers the uids of all groups."""
    before = len(seen)
    for staged in group.samples:
        uid = staged.sample.uid
        if UID.fullmatch(uid) is None:
            raise DataError(f"{folder}: {uid!r} cannot be a key: a uid is 32 hex digits in lower case")
        if uid in seen:
            raise DataError(f"{folder}: the uid {uid} comes twice; a set of shards holds each sample once")
        seen.add(uid)
        yield staged
    if len(seen) - before != group.count:
        raise DataError(f"{folder}: {len(seen) - before} samples came to be written, {group.count} were announced")


def _batches(
    groups: Iterable[ShardGroup], folder: Path, min_shards: int, max_bytes: int
) -> Iterator[tuple[Path, str, list[_Prepared]]]:
    """Yield place, group of licences and samples of one shard after the other."""
    seen: set[str] = set()
    for group in groups:
        prepared = map(_prepare, _checked(group, folder, seen))
        for number, batch in enumerate(_deal(prepared, shard_starts(group.count, min_shards), max_bytes)):
            yield folder / f"{GROUPS[group.licence]}{number:05d}.tar", group.licence, batch


def _deal(samples: Iterable[_Prepared], boundaries: set[int], max_bytes: int) -> Iterator[list[_Prepared]]:
    """Yield the samples of one shard after the other."""
    batch: list[_Prepared] = []
    size = tarfile.RECORDSIZE  # the archive's end
    for position, prepared in enumerate(samples):
        weight = sum(BLOCK * (2 + len(data) // BLOCK) for _, data in prepared.members)
        if batch and (position in boundaries or size + weight > max_bytes):
            yield batch
            batch, size = [], tarfile.RECORDSIZE
        batch.append(prepared)
        size += weight
    if batch:
        yield batch


def _write_shard(batch: list[_Prepared], path: Path, licence: str) -> tuple[list[Row], dict[str, Any]]:
    """Write one tar; return its rows of the index, and its entry in the manifest."""
    with new_tar(path) as tar:
        rows = [(*row, path.name, tar.add(*members), len(members[0][1])) for row, members in batch]
    return rows, {
        "file": path.name,
        "sha256": tar.sha256.hexdigest(),
        "md5": tar.md5.hexdigest(),
        "bytes": tar.size,
        "samples": len(batch),
        "licence": licence,
        "licences": sorted({row[LICENCE] for row in rows}),
    }
