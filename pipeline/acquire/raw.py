"""The raw shard layout that every engine emits: img2dataset's tar, parquet and stats, with a reason for every failure.

A shard ``00000`` is three files: ``00000.tar`` holds ``<key>.<ext>``, ``<key>.txt`` and ``<key>.json`` for every row
that succeeded; ``00000.parquet`` holds **every** row, failures included; ``00000_stats.json`` counts them. Bytes depend
on the rows alone (members in order, no owner, time zero).
"""

import itertools
import json
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import DataError
from pipeline.sample import normalise_caption, one_line
from pipeline.tables import read_columns, write_table
from pipeline.tar import add_member, member_offsets, new_tar, read_span
from pipeline.workspace import Counts

SUCCESS = "success"
EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRow:
    """One row of an input, fetched or not.

    Attributes:
        url: where the picture is published, or a stable name of its source.
        caption: as the source has it.
        image: encoded picture, or None where the row failed.
        ext: file extension of `image` without the dot.
        status: ``success``, ``failed_to_download``, ``failed_to_resize`` (img2dataset's words: it could not be used)
            or ``excluded`` (the card leaves it out).
        reason: why the row did not succeed, one word of a small vocabulary; empty for a success.
        error_message: details for a person.
        group, category, lang, licence, licence_source, attribution: see `pipeline.sample.Sample`; ``category`` is the
            corpus's own heading for the picture, empty where it has none.
        opt_out: the opt-out signal that was found, empty if none.
        width, height: pixels of `image`.
        original_width, original_height: pixels of the picture at its source.
        original_sha256: of the bytes at its source, in hex; empty where none arrived.
        animated: whether `image` is the first of several frames.
    """

    url: str
    caption: str
    image: bytes | None = None
    ext: str = ""
    status: str = SUCCESS
    reason: str = ""
    error_message: str = ""
    group: str = ""
    category: str = ""
    lang: str = "und"
    licence: str = "NOASSERTION"
    licence_source: str = ""
    attribution: str = ""
    opt_out: str = ""
    width: int = 0
    height: int = 0
    original_width: int = 0
    original_height: int = 0
    original_sha256: str = ""
    animated: bool = False


COLUMNS = ("key", "sha256", *(f.name for f in fields(RawRow) if f.name != "image"))


def write_raw(rows: Iterable[RawRow], out: Path, *, rows_per_shard: int = 2_000) -> Counts:
    """Write rows, in their order, as raw shards below `out`.

    Returns:
        Counts with ``in`` (rows), ``kept`` (successes) and ``dropped`` (rows by reason).
    """
    out.mkdir(parents=True, exist_ok=True)
    total: Counter[str] = Counter()
    iterator = iter(rows)
    for number in itertools.count():
        batch = list(itertools.islice(iterator, rows_per_shard))
        if not batch:
            break
        total.update(write_shard(batch, out, f"{number:05d}"))
    succeeded = total.pop(SUCCESS, 0)
    return {"in": succeeded + total.total(), "kept": succeeded, "dropped": dict(sorted(total.items()))}


def read_raw(folder: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the row (all columns) and the encoded picture of every success, in the order in which they were written.

    Raises:
        DataError: a tar does not hold exactly the pictures that its parquet lists.
    """
    for table in raw_tables(folder):
        rows = [row for row in _rows(table) if row["status"] == SUCCESS]
        with tarfile.open(table.with_suffix(".tar")) as tar:
            for row in rows:
                member = f"{row['key']}.{row['ext']}"
                try:
                    file = tar.extractfile(member)
                except KeyError:
                    file = None
                if file is None:
                    raise DataError(f"{table.with_suffix('.tar')} has no member {member} although its table lists it")
                yield row, file.read()


def read_rows(table: Path) -> Iterator[RawRow]:
    """Yield every row of a shard as its table has it, failures included, each success with its picture.

    Raises:
        DataError: the tar does not hold what the table lists.
    """
    names = {field.name for field in fields(RawRow)}
    tar = table.with_suffix(".tar")
    members = member_offsets(tar)
    for record in _rows(table):
        row = RawRow(**{name: value for name, value in record.items() if name in names})
        if row.status == SUCCESS:
            member = f"{record['key']}.{row.ext}"
            if member not in members:
                raise DataError(f"{tar} has no member {member} although its table lists it")
            row = replace(row, image=read_span(tar, *members[member]))
        yield row


def raw_tables(folder: Path) -> list[Path]:
    """Return the parquet files of a raw corpus, in order."""
    return sorted(folder.glob("[0-9]*.parquet"))


def _rows(table: Path) -> Iterator[dict[str, Any]]:
    columns = read_columns(table)
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def write_shard(rows: list[RawRow], out: Path, shard: str) -> Counter[str]:
    """Write one shard's three files; return the number of rows by reason, successes under their status."""
    records = [_record(row, f"{shard}{index:04d}") for index, row in enumerate(rows)]
    with new_tar(out / f"{shard}.tar") as tar:
        for row, record in zip(rows, records, strict=True):
            if row.image is not None and row.status == SUCCESS:
                add_member(tar, f"{record['key']}.{row.ext}", row.image)
                add_member(tar, f"{record['key']}.json", json.dumps(record, sort_keys=True).encode())
                add_member(tar, f"{record['key']}.txt", record["caption"].encode())
    write_table(out / f"{shard}.parquet", {name: [record[name] for record in records] for name in COLUMNS})
    status = Counter(row.status for row in rows)
    files.write_json(
        out / f"{shard}_stats.json",
        {
            "count": len(rows),
            "successes": status[SUCCESS],
            "failed_to_download": status["failed_to_download"],
            "failed_to_resize": status["failed_to_resize"],
            "excluded": status["excluded"],
            "status_dict": dict(Counter(row.reason or row.status for row in rows)),
        },
    )
    return Counter(SUCCESS if row.status == SUCCESS else row.reason for row in rows)


def _record(row: RawRow, key: str) -> dict[str, Any]:
    record = {name: getattr(row, name) for name in COLUMNS if name not in ("key", "sha256")}
    inert = {name: one_line(value) for name, value in record.items() if isinstance(value, str)}
    image_hash = files.sha256_bytes(row.image) if row.image is not None else ""
    return {"key": key, "sha256": image_hash, **record, **inert, "caption": normalise_caption(row.caption)}
