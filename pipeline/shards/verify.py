"""What a stages directory, or a whole run, promises about itself, checked file by file.

Readers of tar archives accept truncated and altered files without a word (webdataset does in each of five cases), so
nothing here trusts them: content is compared by sha256, then member by member with the index.
"""

import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import ConfigError, DataError
from pipeline.licences import CLOSED, GROUPS, licence_group, strictest_group
from pipeline.sample import COLUMNS
from pipeline.shards.read import file_names, read_manifest
from pipeline.shards.write import index_schema
from pipeline.tables import read_table
from pipeline.workspace import Workspace, check_funnel

MEMBERS = ("jpg", "json", "txt")
KEY = re.compile(r"([0-9a-f]{32})\.(jpg|json|txt)")


def verify_stages(folder: Path) -> list[str]:
    """Return what is wrong with a stages directory, one line each naming the file; nothing where all is well.

    Checked: the manifest against its own digest; every index, shard and ``sizes.json`` against the manifest; files that
    are missing, extra or swapped; in each shard regular members only, adjacent and sorted, and equal to the index; no
    uid twice in the whole directory; no licence in a shard whose name promises less restrictive ones. What has been
    published is a stages directory too.
    """
    try:
        manifest = read_manifest(folder)
    except DataError as error:
        return [str(error)]
    entries = [*manifest["stages"], *manifest["evaluation"]]
    problems = list(_listing(folder, set(file_names(manifest))))
    for file in manifest.get("files", ()):
        problems += _content(folder / file["file"], file, {})
    if "published" in manifest:
        problems += _published(folder, manifest["published"], entries)
    seen: dict[str, str] = {}
    for entry in entries:
        problems += _verify_set(folder, entry, seen)
    return problems


def verify_run(run: Path) -> list[str]:
    """Return what is wrong with a run directory, one line each naming the file; nothing where all is well.

    Checked: every output that a step has recorded, by sha256; that each record follows from the records before it; that
    the funnel adds up, in each step and from step to step; and the stages, with their order.
    """
    try:
        records = {record["step"]: record for record in Workspace(run).records()}
    except DataError as error:
        return [str(error)]
    if not records:
        return [f"{run} holds no record of a finished step; name the directory of a run"]
    problems = [problem for record in records.values() for problem in _verify_record(run, record, records)]
    problems += _verify_funnel(run / "selection/funnel.json")
    if (run / "stages").is_dir():
        problems += verify_stages(run / "stages") + _verify_order(run)
    return problems


def _listing(folder: Path, expected: set[str]) -> Iterator[str]:
    """Compare the files that are there with the files that the manifest names."""
    try:
        found = {path.relative_to(folder).as_posix() for path in files.files_below(folder)}
    except ConfigError as error:
        yield str(error)
        return
    yield from (f"{folder / name} is missing" for name in sorted(expected - found))
    yield from (f"{folder / name} is not named by the manifest" for name in sorted(found - expected))


def _verify_set(folder: Path, entry: dict[str, Any], seen: dict[str, str]) -> list[str]:
    """Check one set; `seen` gathers where each uid was found, through all sets."""
    path = folder / entry["path"]
    index = path / entry["index"]["file"]
    by_hash = {shard["sha256"]: shard["file"] for shard in entry["shards"]}
    problems = _content(index, entry["index"], {}) + _sizes(path / "sizes.json", entry["shards"])
    sound = not problems and index.is_file()
    rows = _index_rows(index) if sound else {}
    if sound and sum(map(len, rows.values())) != entry["samples"]:
        problems.append(f"{index} holds {sum(map(len, rows.values()))} rows, the manifest says {entry['samples']}")
    for shard in entry["shards"]:
        file = path / shard["file"]
        damage = _content(file, shard, by_hash)
        problems += damage
        expected = rows.pop(shard["file"], []) if sound else None
        if expected is not None and "licence" in shard:
            problems += _licences(file, shard, expected)
        if not damage and file.is_file():
            problems += _verify_shard(file, shard, expected, seen)
    problems += [f"{index} names the shard {name}, which the manifest does not" for name in rows]
    return problems


def _content(file: Path, entry: dict[str, Any], by_hash: dict[str, str]) -> list[str]:
    """Compare a file with its sha256; a missing one has been listed before."""
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


def _sizes(file: Path, shards: list[dict[str, Any]]) -> list[str]:
    expected = {shard["file"]: shard["samples"] for shard in shards}
    if file.is_file() and file.read_bytes() != files.pretty_json(expected).encode():
        return [f"{file} does not agree with the manifest"]
    return []


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


def _published(folder: Path, counts: dict[str, Any], entries: list[dict[str, Any]]) -> list[str]:
    """Check what a published set says it took in, kept and left out."""
    problems = []
    try:
        check_funnel("publish", counts)
    except DataError as error:
        problems.append(f"{folder / 'manifest.json'}: {error}")
    staged = sum(entry["samples"] for entry in entries)
    if staged != counts["kept"]:
        problems.append(f"{folder / 'manifest.json'}: {staged} samples are here, {counts['kept']} were published")
    if any(shard["licence"] == CLOSED for entry in entries for shard in entry["shards"]):
        problems.append(f"{folder / 'manifest.json'} names shards of a source that may not be redistributed")
    return problems


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


def _verify_record(run: Path, record: dict[str, Any], records: dict[str, dict[str, Any]]) -> Iterator[str]:
    name = record["step"]
    try:
        check_funnel(name, record["counts"])
    except DataError as error:
        yield str(error)
    missing = [step for step in record["inputs"] if step not in records]
    if missing:
        yield f"step {name} read step {missing[0]}, which has no record; run the same command again"
    elif not follows(record, records):
        yield f"step {name} does not follow from the steps that it read; run the same command again"
    for output, entry in record["outputs"].items():
        file = run / output
        if not file.is_file():
            yield f"{file} is missing"
        elif files.sha256_file(file) != entry["sha256"]:
            yield f"{file} is not what step {name} has written"


def follows(record: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]) -> bool:
    """Tell whether a step's record is of the outcome that the steps which it read have now.

    Args:
        records: by step.
    """
    if not set(record["inputs"]) <= records.keys():
        return False
    inputs = {step: files.digest(records[step]["outputs"]) for step in record["inputs"]}
    content = {"step": record["step"], "version": record["version"], "inputs": inputs, "params": record["params"]}
    return bool(record["key"] == files.digest(content))


def _verify_funnel(path: Path) -> list[str]:
    """Check that every selection step takes in what the one before it kept."""
    if not path.is_file():
        return []
    try:
        steps = files.read_json(path)["steps"]
    except (json.JSONDecodeError, KeyError):
        return [f"{path} is damaged"]
    problems = []
    kept = None
    for step in steps:
        if step["in"] != step["kept"] + sum(step["dropped"].values()):
            problems.append(f"{path}: {step['step']} does not add up")
        if kept is not None and step["in"] != kept:
            problems.append(f"{path}: {step['step']} took in {step['in']} samples, the step before it kept {kept}")
        kept = step["kept"]
    return problems


def _verify_order(run: Path) -> list[str]:
    try:
        manifest = read_manifest(run / "stages")
    except DataError:
        return []  # named by verify_stages
    order = run / "curriculum/order.parquet"
    if order.is_file() and files.sha256_file(order) != manifest["order"]:
        return [f"{run / 'stages/manifest.json'} was made from another order than {order}; stage again"]
    return []
