"""Parts: pictures that were fetched together, whole or not there at all, and found again by URL.

A part is a folder named by the digest of its URLs and of what decides their answers. It holds a shard of img2dataset
(``00000.tar`` and ``00000.parquet``) and ``answers.parquet`` with the gateway's record of every URL.
"""

import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.acquire.admission import Span
from pipeline.acquire.img2dataset.gateway import Record
from pipeline.tables import read_columns, read_table, write_table
from pipeline.tar import member_offsets


@dataclass(frozen=True, slots=True)
class Fetched:
    """Where the bytes of a URL lie (offset and length in bytes in a tar), or why there are none.

    Attributes:
        sha256: of the bytes as they arrived, in hex.
        opt_out: the signal against use that was found, empty if none was.
    """

    tar: Path | None = None
    offset: int = 0
    size: int = 0
    sha256: str = ""
    reason: str = ""
    message: str = ""
    opt_out: str = ""

    @property
    def span(self) -> Span | None:
        """Where the bytes lie, None where none arrived."""
        return Span(self.tar, self.offset, self.size) if self.tar is not None else None


class BrokenPartError(Exception):
    """img2dataset has not left, or will not leave, a shard that can be used."""


def known(parts: Path, states: Mapping[str, str]) -> dict[str, Fetched]:
    """Return what earlier calls know of URLs: those that arrived, and those that failed for good.

    Args:
        states: a text for each URL; what was fetched under another one does not count.
    """
    import pyarrow as pa

    found: dict[str, Fetched] = {}
    for table in sorted(parts.glob("*/answers.parquet")):
        try:
            rows = read_table(table).to_pylist()
        except (pa.ArrowException, OSError):  # damaged since; it is fetched again
            files.remove(table.parent)
            continue
        for row in rows:
            wanted = states.get(row["url"]) == row["state"] and not row["retryable"]
            if wanted and (row["sha256"] or row["url"] not in found):
                found[row["url"]] = _fetched(table.with_name("00000.tar"), row)
    return found


def keep(
    parts: Path, shard: Path, numbers: range, states: Mapping[str, str], records: Sequence[Record | None]
) -> dict[str, Fetched]:
    """Check a shard that img2dataset has finished, give it the name of its part, and return what became of each URL.

    Args:
        shard: its archive; its table lies beside it.
        numbers: the numbers that its table gives to the URLs.
        states: the URLs in this order, each with its state.
        records: the gateway's, in this order.

    Raises:
        BrokenPartError: it is not whole, or its bytes are not those that the gateway handed over.
    """
    offsets = _offsets(shard, numbers, records)
    rows = [
        {"url": url, "state": state, **asdict(record), "offset": offset}
        for (url, state), record, offset in zip(states.items(), filter(None, records), offsets, strict=True)
    ]
    whole = shard.with_name(f"{shard.stem}-whole")
    whole.mkdir()
    for suffix in (".tar", ".parquet"):
        files.sync_file(shard.with_suffix(suffix).replace(whole / f"00000{suffix}"))
    write_table(whole / "answers.parquet", {name: [row[name] for row in rows] for name in rows[0]})
    files.sync_directory(whole)
    folder = parts / files.digest(list(states.items()))[:32]
    files.remove(folder)  # it can only hold the same URLs' failures, which were asked for again
    whole.replace(folder)
    files.sync_directory(parts)
    return {row["url"]: _fetched(folder / "00000.tar", row) for row in rows}


def _offsets(archive: Path, numbers: range, records: Sequence[Record | None]) -> list[int]:
    """Return the offset of every URL's bytes in an archive, 0 where it has none.

    Raises:
        BrokenPartError: archive, table and the gateway's records do not agree.
    """
    import pyarrow as pa

    found = dict.fromkeys(numbers, 0)
    try:
        rows = read_columns(archive.with_suffix(".parquet"), ["row", "key", "status"])
        if sorted(rows["row"]) != list(numbers):
            raise BrokenPartError(f"its table has {len(rows['row'])} of {len(numbers)} rows")
        members = member_offsets(archive)
        with archive.open("rb") as content:
            for number, key, status in zip(*rows.values(), strict=True):
                record = records[number - numbers.start]
                if record is None or (status == "success") != bool(record.sha256):
                    raise BrokenPartError(f"{key} ended as {status}, and not so at the gateway")
                if record.sha256:
                    found[number], size = members[f"{key}.jpg"]
                    content.seek(found[number])
                    if files.sha256_bytes(content.read(size)) != record.sha256:
                        raise BrokenPartError(f"the bytes of {key} are not those that it was given")
    except (pa.ArrowException, tarfile.TarError, OSError, KeyError) as error:
        raise BrokenPartError(f"its files cannot be read ({error})") from None
    return list(found.values())


def _fetched(archive: Path, row: Mapping[str, Any]) -> Fetched:
    if row["sha256"]:
        return Fetched(archive, row["offset"], row["size"], row["sha256"], opt_out=row["opt_out"])
    return Fetched(reason=row["reason"], message=row["message"], opt_out=row["opt_out"])
