"""One set of staged shards, checked: files by hash, members of the tars one by one, rows of the index against them."""

import hashlib
import re
import tarfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.licences import GROUPS, licence_group, strictest_group
from pipeline.sample import COLUMNS
from pipeline.shards.wids import wids_index
from pipeline.shards.write import index_schema
from pipeline.tables import read_table

MEMBERS = ("jpg", "json", "txt")
KEY = re.compile(r"([0-9a-f]{32})\.(jpg|json|txt)")


def verify_set(folder: Path, entry: dict[str, Any], by_hash: Mapping[str, str], seen: dict[str, str]) -> list[str]:
    """Return what is wrong with one set of shards.

    Args:
        folder: the stages directory.
        entry: of the set, in the manifest.
        by_hash: see `verify_content`.
        seen: gathers where each uid was found, through all sets.
    """
    path = folder / entry["path"]
    index = path / entry["index"]["file"]
    problems = verify_content(index, entry["index"], by_hash) + _summaries(path, entry)
    sound = not problems and index.is_file()
    rows = _index_rows(index) if sound else {}
    if sound and sum(map(len, rows.values())) != entry["samples"]:
        problems.append(f"{index} holds {sum(map(len, rows.values()))} rows, the manifest says {entry['samples']}")
    for shard in entry["shards"]:
        file = path / shard["file"]
        damage = verify_content(file, shard, by_hash)
        problems += damage
        expected = rows.pop(shard["file"], []) if sound else None
        if expected is not None and "licence" in shard:
            problems += _licences(file, shard, expected)
        if not damage and file.is_file():
            problems += _verify_shard(file, shard, expected, seen)
    problems += [f"{index} names the shard {name}, which the manifest does not" for name in rows]
    return problems


def verify_content(file: Path, entry: Mapping[str, Any], by_hash: Mapping[str, str]) -> list[str]:
    """Compare a file with its sha256; nothing is said of a missing one.

    Args:
        file: to be read.
        entry: of the file, in the manifest.
        by_hash: names of all files by sha256, so that one in the place of another is named.
    """
    if not file.is_file():
        return []
    found = files.sha256_file(file)
    if found == entry["sha256"]:
        return []
    if found in by_hash:
        return [f"{file} holds the content of {by_hash[found]}"]
    size = file.stat().st_size
    if size != entry["bytes"]:
        return [f"{file} has {size} bytes instead of {entry['bytes']}"]
    return [f"{file} is damaged: its sha256 is not the one in the manifest"]


def _summaries(path: Path, entry: dict[str, Any]) -> list[str]:
    """Compare the two files that say again, for other readers, what the manifest says of the shards."""
    shards = entry["shards"]
    if not all("md5" in shard for shard in shards):
        return [f"{path}: the manifest does not say the MD5 of its shards; stage again with this version"]
    sizes = {shard["file"]: shard["samples"] for shard in shards}
    return [
        f"{path / name} does not agree with the manifest"
        for name, expected in (("sizes.json", sizes), ("index.json", wids_index(entry["path"], shards)))
        if (path / name).is_file() and (path / name).read_bytes() != files.pretty_json(expected).encode()
    ]


def _licences(file: Path, shard: dict[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    """Compare the licences of a shard's samples with its group, and its group with its name."""
    found = sorted({row["licence"] for row in rows})
    group = shard["licence"]
    if found != shard["licences"]:
        return [f"{file} holds the licences {', '.join(found)}, the manifest says {', '.join(shard['licences'])}"]
    if group not in GROUPS or re.fullmatch(rf"{GROUPS[group]}\d+\.tar", file.name) is None:
        return [f"{file} has not the name of a shard of the licence group {group}"]
    stricter = [name for name in found if strictest_group([licence_group(name), group]) != group]
    return [f"{file} holds the licence {name}, which is no {group} one" for name in stricter]


def _index_rows(index: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of an index by shard, in the order of their places."""
    import pyarrow as pa

    try:
        table = read_table(index).sort_by([("shard", "ascending"), ("offset", "ascending")])
    except (pa.ArrowException, OSError):
        return {}
    if table.schema != index_schema():
        return {}
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        rows.setdefault(row["shard"], []).append(row)
    return rows


def _verify_shard(
    file: Path, entry: dict[str, Any], rows: list[dict[str, Any]] | None, seen: dict[str, str]
) -> list[str]:
    """Check the members of a shard whose sha256 is right: it may have been written by another hand."""
    try:
        with tarfile.open(file) as tar:
            members = tar.getmembers()
            problems = _verify_members(file, members)
            if problems:
                return problems
            if _md5(file) != entry.get("md5"):
                problems.append(f"{file} has another MD5 than the manifest says")
            uids = [member.name.partition(".")[0] for member in members[::3]]
            problems += _duplicates(file, uids, seen)
            if len(uids) != entry["samples"]:
                problems.append(f"{file} holds {len(uids)} samples, the manifest says {entry['samples']}")
            if rows is not None:
                problems += _compare(file, tar, members, rows)
            return problems
    except (tarfile.TarError, EOFError) as error:
        return [f"{file} cannot be read as a tar archive: {error}"]


def _verify_members(file: Path, members: list[tarfile.TarInfo]) -> list[str]:
    for position, member in enumerate(members):
        match = KEY.fullmatch(member.name)
        if match is None or not member.isreg() or member.issparse():
            return [f"{file}: {member.name!r} is not a regular file named <uid>.jpg, <uid>.json or <uid>.txt"]
        first = members[position - position % 3].name.partition(".")[0]
        if (match[1], match[2]) != (first, MEMBERS[position % 3]):
            return [f"{file}: the members of {match[1]} are not adjacent and sorted"]
    if len(members) % 3:
        return [f"{file}: the last sample is not whole"]
    return []


def _duplicates(file: Path, uids: list[str], seen: dict[str, str]) -> list[str]:
    problems = []
    for uid in uids:
        if uid in seen:
            problems.append(f"{file} holds {uid}, which is in {seen[uid]} already")
        seen[uid] = str(file)
    return problems


def _compare(file: Path, tar: tarfile.TarFile, members: list[tarfile.TarInfo], rows: list[dict[str, Any]]) -> list[str]:
    """Compare each sample's members with its row of the index, in the order of their places."""
    if len(rows) != len(members) // 3:
        return [f"{file} holds {len(members) // 3} samples, the index says {len(rows)}"]
    for row, image, record, text in zip(rows, members[::3], members[1::3], members[2::3], strict=True):
        if (f"{row['uid']}.jpg", row["offset"], row["size"]) != (image.name, image.offset_data, image.size):
            return [f"{file}: {image.name} is not where the index says"]
        expected = {name: row[name] for name in (*COLUMNS, "stage", "rank", "words")}
        if _read(tar, record) != files.canonical_json(expected) or _read(tar, text) != row["caption"]:
            return [f"{file}: the text of {row['uid']} is not that of the index"]
    return []


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = tar.extractfile(member)
    assert file is not None
    return file.read().decode("utf-8", "replace")


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
