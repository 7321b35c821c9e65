"""One folder of staged shards: WebDataset tars, their index and their sizes; bytes depend on the samples alone.

Members of a sample are adjacent and sorted: ``<uid>.jpg``, ``<uid>.json``, ``<uid>.txt``. ``index.parquet`` holds one
row a sample with the place of its picture, ``sizes.json`` the number of samples a shard (open_clip's convention).
"""

import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import files
from pipeline.errors import DataError
from pipeline.sample import COLUMNS, Sample
from pipeline.tables import write_table
from pipeline.tar import add_member, new_tar

if TYPE_CHECKING:
    import pyarrow as pa

MIN_SHARDS = 8
MIN_SAMPLES_PER_SHARD = 16
MAX_SHARD_BYTES = 256 * 2**20
UID = re.compile(r"[0-9a-f]{32}")
FORMAT = "essen-stages/1"  # of the manifest


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
        """White-space tokens of the caption, the unit of word budgets."""
        return len(self.sample.caption.split())


def write_shards(
    samples: Iterable[StagedSample],
    folder: Path,
    *,
    count: int,
    min_shards: int = MIN_SHARDS,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> dict[str, Any]:
    """Write samples, in their order, as shards with index and sizes.

    Samples are dealt to shards in contiguous runs of nearly equal length. There are `min_shards` of them, fewer where
    one would hold less than 16 samples, more where one would exceed `max_shard_bytes`.

    Args:
        samples: in rank order; read once, one shard at a time in memory.
        folder: new or empty.
        count: how many samples there are.
        min_shards: readers divide shards among workers, so a handful must exist.
        max_shard_bytes: upper limit of one tar, reached only where a single sample is larger.

    Returns:
        The manifest's entry: ``samples``, ``words``, ``index`` (file, sha256, bytes) and ``shards`` (a list of the
        same with ``samples``).

    Raises:
        DataError: there is no sample, `count` is wrong, or a key repeats or cannot be a WebDataset key.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    shards: dict[str, int] = {}
    prepared = map(_prepare, _checked(samples, count, folder))
    for number, batch in enumerate(_deal(prepared, _boundaries(count, min_shards), max_shard_bytes)):
        name = f"{number:05d}.tar"
        rows.extend(_write_shard(batch, folder / name))
        shards[name] = len(batch)
    write_table(folder / "index.parquet", index_table(rows))
    files.write_json(folder / "sizes.json", shards)
    return {
        "samples": len(rows),
        "words": sum(row["words"] for row in rows),
        "index": file_entry(folder / "index.parquet"),
        "shards": [{**file_entry(folder / name), "samples": samples} for name, samples in shards.items()],
    }


def file_entry(path: Path) -> dict[str, Any]:
    """Return a file's name, sha256 and length in bytes, as manifests hold them."""
    return {"file": path.name, "sha256": files.sha256_file(path), "bytes": path.stat().st_size}


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


def index_table(rows: list[dict[str, Any]]) -> "pa.Table":
    """Return rows as a table with the columns and types of ``index.parquet``."""
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema=index_schema())


class _Prepared(NamedTuple):
    """A sample with its row of the index (without its place) and its members of the tar."""

    row: dict[str, Any]
    members: tuple[tuple[str, bytes], ...]


def _prepare(staged: StagedSample) -> _Prepared:
    """Lay out a sample. Its JSON has the same keys and types in every set, as typed readers need."""
    uid = staged.sample.uid
    record: dict[str, Any] = {name: getattr(staged.sample, name) for name in COLUMNS}
    record |= {"stage": staged.stage, "rank": staged.rank, "words": staged.words}
    members = (
        (f"{uid}.jpg", staged.image),
        (f"{uid}.json", files.canonical_json(record).encode()),
        (f"{uid}.txt", staged.sample.caption.encode()),
    )
    return _Prepared({**record, "difficulty": staged.difficulty}, members)


def _boundaries(count: int, min_shards: int) -> set[int]:
    """Return the positions at which a new shard starts for its number of samples."""
    shards = max(1, min(min_shards, count // MIN_SAMPLES_PER_SHARD))
    return {count * shard // shards for shard in range(1, shards)}


def _checked(samples: Iterable[StagedSample], count: int, folder: Path) -> Iterator[StagedSample]:
    """Yield the samples; raise where they cannot become shards."""
    seen: set[str] = set()
    for staged in samples:
        uid = staged.sample.uid
        if UID.fullmatch(uid) is None:
            raise DataError(f"{folder}: {uid!r} cannot be a key: a uid is 32 hex digits in lower case")
        if uid in seen:
            raise DataError(f"{folder}: the uid {uid} comes twice; a set of shards holds each sample once")
        seen.add(uid)
        yield staged
    if len(seen) != count or count == 0:
        raise DataError(f"{folder}: {len(seen)} samples came to be written, {count} were announced")


def _deal(samples: Iterable[_Prepared], boundaries: set[int], max_bytes: int) -> Iterator[list[_Prepared]]:
    """Yield the samples of one shard after the other."""
    batch: list[_Prepared] = []
    size = tarfile.RECORDSIZE  # the archive's end
    for position, prepared in enumerate(samples):
        weight = sum(tarfile.BLOCKSIZE * (2 + len(data) // tarfile.BLOCKSIZE) for _, data in prepared.members)
        if batch and (position in boundaries or size + weight > max_bytes):
            yield batch
            batch, size = [], tarfile.RECORDSIZE
        batch.append(prepared)
        size += weight
    yield batch


def _write_shard(batch: list[_Prepared], path: Path) -> Iterator[dict[str, Any]]:
    """Write one tar; yield its rows of the index."""
    with new_tar(path) as tar:
        for row, members in batch:
            offset, *_ = [add_member(tar, name, data) for name, data in members]
            yield {**row, "shard": path.name, "offset": offset, "size": len(members[0][1])}
