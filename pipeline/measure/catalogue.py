"""The catalogue of a run: one row for every distinct sample of all its raw corpora, and where its picture lies."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.acquire.raw import SUCCESS, raw_tables
from pipeline.measure.personal import PersonalConfig, find_personal, redacted
from pipeline.sample import COLUMNS, is_empty_caption, normalise_caption, sample_uid
from pipeline.tables import read_columns, write_table
from pipeline.tar import member_offsets
from pipeline.workspace import Counts

CATALOGUE_COLUMNS = (*COLUMNS, "licence_source", "category", "ext", "raw_shard", "raw_offset", "raw_size")
NO_REDACTION = PersonalConfig(policy="off")
REPEATED = ("lang", "licence", "licence_source", "attribution", "category", "ext")  # texts that many rows share


def write_catalogue(
    raw: Mapping[str, Path], path: Path, *, max_characters: int, personal: PersonalConfig = NO_REDACTION
) -> Counts:
    """Write ``samples.parquet`` of some raw corpora, sorted by uid, and beside it ``rejected.parquet``, in order.

    A caption with personal data is redacted here, before it has a uid. ``personal.parquet`` beside says of each sample
    what was found (``kinds``, ``hits``), and under which uids the captions stood that became this one by redaction
    (``raw_uids``).

    Where two rows are the same picture with the same caption, the earlier corpus and the earlier row keep it.

    Args:
        raw: folder of raw shards by corpus, in the recipe's order.
        path: the parquet file to write.
        max_characters: longer captions are dropped.
        personal: what becomes of personal data.

    Returns:
        Counts with ``in``, ``kept``, ``dropped`` by ``empty_caption``, ``caption_too_long``, ``personal_data`` and
        ``repeated_pair``, and ``personal``: how much of each kind was found.
    """
    kept: dict[str, dict[str, Any]] = {}
    rejected: list[dict[str, Any]] = []
    found: Counter[str] = Counter()
    total = 0
    for corpus, folder in raw.items():
        for row in _raw_rows(corpus, folder):
            total += 1
            reason = _caption_reason(row["caption"], max_characters)
            if not reason and (kinds := _without_personal(row, personal)):
                found.update(kinds)
                reason = "personal_data" if personal.policy == "drop" else ""
            if not reason and row["uid"] in kept:
                kept[row["uid"]]["raw_uids"] |= row["raw_uids"]
                reason = "repeated_pair"
            if reason:
                rejected.append({**row, "reason": reason})
            else:
                kept[row["uid"]] = row
    rows = [kept[uid] for uid in sorted(kept)]
    write_table(path, {column: [row[column] for row in rows] for column in CATALOGUE_COLUMNS})
    _write_personal(rows, path.with_name("personal.parquet"))
    columns = (*CATALOGUE_COLUMNS, "reason")
    write_table(path.with_name("rejected.parquet"), {column: [row[column] for row in rejected] for column in columns})
    dropped = Counter(row["reason"] for row in rejected)
    counts = {"in": total, "kept": len(rows), "dropped": dict(sorted(dropped.items()))}
    return counts if personal.policy == "off" else {**counts, "personal": dict(sorted(found.items()))}


def _caption_reason(caption: str, max_characters: int) -> str:
    if is_empty_caption(caption):
        return "empty_caption"
    return "caption_too_long" if len(caption) > max_characters else ""


def _without_personal(row: dict[str, Any], config: PersonalConfig) -> Sequence[str]:
    """Take what is personal out of a row's caption and group, and return its kinds; to flag it, leave it there."""
    found = find_personal(row["caption"], config.kinds, config.allow) if config.policy != "off" else []
    if found:
        row["kinds"] = [entry.kind for entry in found]
    if found and config.policy != "flag":
        row["raw_uids"] = {row["uid"]}
        row["caption"] = redacted(row["caption"], found)
        row["group"] = redacted(row["group"], find_personal(row["group"], config.kinds, config.allow))
        row["uid"] = sample_uid(row["image_sha256"], row["caption"])
    kinds: Sequence[str] = row["kinds"]
    return kinds


def _write_personal(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    import pyarrow as pa

    columns = {
        "uid": pa.array([row["uid"] for row in rows], type=pa.string()),
        "kinds": pa.array([sorted(set(row["kinds"])) for row in rows], type=pa.list_(pa.string())),
        "hits": pa.array([len(row["kinds"]) for row in rows], type=pa.int32()),
        "raw_uids": pa.array([sorted(row["raw_uids"]) for row in rows], type=pa.list_(pa.string())),
    }
    write_table(path, pa.table(columns))


def _raw_rows(corpus: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the catalogue's columns for every success of a raw corpus, in order.

    All rows stay in memory until they are sorted: what is equal in many of them is held once.
    """
    once: dict[str, str] = {}
    nothing: frozenset[str] = frozenset()
    for table in raw_tables(folder):
        columns = read_columns(table)
        tar = table.with_suffix(".tar")
        members, shard = member_offsets(tar), f"raw/{corpus}/{tar.name}"
        for values in zip(*columns.values(), strict=True):
            row = dict(zip(columns, values, strict=True))
            if row["status"] != SUCCESS:
                continue
            row |= {name: once.setdefault(row[name], row[name]) for name in REPEATED}
            caption = normalise_caption(row["caption"])
            offset, size = members[f"{row['key']}.{row['ext']}"]
            yield {
                "uid": sample_uid(row["sha256"], caption),
                "image_sha256": row["sha256"],
                "caption": caption,
                "lang": row["lang"],
                "corpus": corpus,
                "group": row["group"] or f"{corpus}/{row['key']}",
                "licence": row["licence"],
                "licence_source": row["licence_source"],
                "attribution": row["attribution"],
                "url": row["url"],
                "category": row["category"],
                "ext": row["ext"],
                "raw_shard": shard,
                "raw_offset": offset,
                "raw_size": size,
                "kinds": (),
                "raw_uids": nothing,
            }


def unique_images(signals: Path, run: Path) -> dict[str, tuple[Path, int, int]]:
    """Return tar, offset and size of every distinct picture, by image hash, in the order of the hashes.

    Args:
        signals: the directory with ``signals/samples.parquet``.
        run: the run directory, where ``raw/`` lies.
    """
    columns = read_columns(signals / "signals/samples.parquet", ["image_sha256", "raw_shard", "raw_offset", "raw_size"])
    tars = {shard: run / shard for shard in set(columns["raw_shard"])}  # one path for all pictures of a tar
    places = {image: (tars[shard], offset, size) for image, shard, offset, size in zip(*columns.values(), strict=True)}
    return dict(sorted(places.items()))
