"""From an order and a split to staged shards: one folder a stage, one folder an evaluation set, and the manifest.

In a folder each group of licences has shards of its own. A picture that comes under several licences belongs, with all
its captions, to the most restrictive of them; so does one whose second copy was dropped as a repetition.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import files
from pipeline.cards.attribution import attribution_csv
from pipeline.errors import DataError
from pipeline.licences import CLOSED, GROUPS, licence_group, strictest_group
from pipeline.parallel import ordered_map
from pipeline.sample import COLUMNS, Sample
from pipeline.select.kept import read_kept
from pipeline.shards.config import StageConfig
from pipeline.shards.extras import write_extras
from pipeline.shards.layout import FORMAT, MANIFEST
from pipeline.shards.picture import PictureError, staged_jpeg
from pipeline.shards.write import ShardGroup, StagedSample, file_entry, samples_by_group, write_shards
from pipeline.tables import read_columns, read_table
from pipeline.tar import read_span
from pipeline.workspace import Counts

CHUNK = 32  # pictures handed to a worker at once


class RawPicture(NamedTuple):
    """Where an encoded picture lies in a raw shard, and the sha256 that it must have."""

    tar: Path
    offset: int
    size: int
    sha256: str


def stage(config: StageConfig, run: Path, out: Path, *, closed: Collection[str] = (), workers: int = 2) -> Counts:
    """Write ``stages/`` from ``curriculum/order.parquet``, ``selection/kept.parquet`` and the raw shards of a run.

    Args:
        config: decides the bytes.
        run: the run directory that is read.
        out: the directory below which ``stages/`` is written.
        closed: corpora whose cards say that they may not be redistributed.
        workers: processes that decode and encode; they do not change a byte. With 1 everything happens in this one.

    Raises:
        DataError: order and split name different samples, or a raw picture is missing, changed or damaged.
    """
    kept = {row["uid"]: row for row in read_kept(run).to_pylist()}
    sets = _plan(run, kept)
    folder = out / "stages"
    group_of = licence_groups(run, closed)
    stages, evaluation = [], []
    for name, rows in sets.items():
        groups = []
        for licence in GROUPS:
            own = [row for row in rows if group_of[kept[row["uid"]]["image_sha256"]] == licence]
            if own:
                groups.append(ShardGroup(_staged_samples(config, run, kept, own, workers), len(own), licence))
        entry = write_shards(
            groups, folder / name, min_shards=config.min_shards, max_shard_bytes=config.max_shard_bytes
        )
        if rows[0]["stage"]:
            stages.append({**_stage_entry(rows), "path": name, **entry})
        else:
            evaluation.append({"split": name.removeprefix("eval-"), "name": name, "path": name, **entry})
    credit = attribution_csv(_credits(sets, kept, group_of))
    files.write_bytes(folder / "ATTRIBUTION.csv", credit.encode())
    further = [file_entry(folder / "ATTRIBUTION.csv"), *_extras(folder, run / "curriculum", sets)]
    order = files.sha256_file(run / "curriculum/order.parquet")
    exposure = _exposure(run / "curriculum/summary.json")
    write_manifest(folder, config.image_size, order, stages, evaluation, further=further, exposure=exposure)
    total = sum(len(rows) for rows in sets.values())
    return {
        "in": total,
        "kept": total,
        "dropped": {},
        "stages": {entry["name"]: entry["samples"] for entry in stages},
        "evaluation": {entry["split"]: entry["samples"] for entry in evaluation},
        "licence_groups": samples_by_group([*stages, *evaluation]),
    }


def licence_groups(run: Path, closed: Collection[str]) -> dict[str, str]:
    """Return the group of licences of every picture, by image hash: the strictest of all rows that show it.

    A caption that came with another picture counts with its own row.

    Args:
        closed: corpora that may not be redistributed.

    Raises:
        DataError: a pair that stays was never measured.
    """
    columns = ["uid", "image_sha256", "corpus", "licence"]
    found: dict[str, set[str]] = {}
    of_row: dict[str, str] = {}
    for name in ("samples.parquet", "rejected.parquet"):
        for uid, image, corpus, licence in zip(*read_columns(run / "signals" / name, columns).values(), strict=True):
            group = CLOSED if corpus in closed else licence_group(licence)
            found.setdefault(image, set()).add(group)
            of_row.setdefault(uid, group)
    kept = read_kept(run, ["image_sha256", "caption_uid"]).to_pydict()
    for image, origin in zip(*kept.values(), strict=True):
        if origin not in of_row or image not in found:
            raise DataError(f"{run / 'signals/samples.parquet'} has no sample {origin}; run select again")
        found[image].add(of_row[origin])
    return {image: strictest_group(groups) for image, groups in found.items()}


def write_manifest(
    folder: Path,
    size: int,
    order: str,
    stages: Sequence[dict[str, Any]],
    evaluation: Sequence[dict[str, Any]],
    *,
    further: Sequence[dict[str, Any]] = (),
    **facts: Any,
) -> None:
    """Write ``manifest.json``, the last file of a stages directory, with the digest of its own content.

    Args:
        further: entries of the files that lie beside the sets.
        facts: what else it is to say.
    """
    manifest = {
        "format": FORMAT,
        "image": {"size": size, "format": "jpg"},
        "order": order,
        "stages": list(stages),
        "evaluation": list(evaluation),
        "files": list(further),
        **facts,
    }
    files.write_json(folder / MANIFEST, {**manifest, "sha256": files.digest(manifest)})


def encode_pictures(pictures: list[RawPicture], size: int, workers: int) -> Iterator[bytes]:
    """Yield the staged JPEG of every raw picture, in their order.

    Args:
        pictures: of any number; a few chunks are under way at a time, so memory does not grow with them.
        size: side of the result, in pixels.
        workers: processes; with 1 everything happens in this one.

    Raises:
        DataError: a picture is not where it should be, is damaged, or kills every process that decodes it.
    """
    chunks = [pictures[start : start + CHUNK] for start in range(0, len(pictures), CHUNK)]
    encode = partial(_encode_chunk, size)
    workers = min(workers, len(chunks))
    for encoded in ordered_map(encode, chunks, workers=workers, crashed=_crashed, window=4 * workers):
        yield from encoded


def _encode_chunk(size: int, pictures: list[RawPicture]) -> list[bytes]:
    return [_encode(picture, size) for picture in pictures]


def _crashed(pictures: list[RawPicture]) -> list[bytes]:
    names = ", ".join(picture.sha256[:16] for picture in pictures)
    raise DataError(f"{pictures[0].tar}: a decoder died over one of the pictures {names}; drop it in selection")


def _encode(picture: RawPicture, size: int) -> bytes:
    try:
        data = read_span(picture.tar, picture.offset, picture.size)
    except FileNotFoundError:
        raise DataError(f"{picture.tar} is missing; run acquire again") from None
    where = f"{picture.tar}: picture {picture.sha256[:16]} at byte {picture.offset}"
    if files.sha256_bytes(data) != picture.sha256:
        raise DataError(f"{where} is not what was acquired; run acquire and measure again")
    try:
        return staged_jpeg(data, size)
    except PictureError as error:
        raise DataError(f"{where} {error}; drop it in selection") from error


def _plan(run: Path, kept: Mapping[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every set by its folder's name: stages in order, then evaluation sets by name.

    Raises:
        DataError: the order is not exactly the train split.
    """
    split: dict[str, list[str]] = {}
    for uid, row in kept.items():
        split.setdefault(row["split"], []).append(uid)
    order = (
        read_table(run / "curriculum/order.parquet")
        .sort_by([("stage", "ascending"), ("rank", "ascending")])
        .to_pylist()
    )
    if sorted(row["uid"] for row in order) != sorted(split.pop("train", [])):
        raise DataError(
            f"{run / 'curriculum/order.parquet'} does not hold exactly the train split of selection/kept.parquet; "
            "run order again"
        )
    if not order:
        raise DataError(f"{run}: the train split is empty; loosen the filters or add a corpus")
    sets: dict[str, list[dict[str, Any]]] = {}
    for row in order:
        sets.setdefault(f"{row['stage']}-{row['stage_name']}", []).append(row)
    for name in sorted(split):
        sets[f"eval-{name}"] = [
            {"uid": uid, "stage": 0, "rank": rank, "difficulty": None} for rank, uid in enumerate(sorted(split[name]))
        ]
    return sets


def _staged_samples(
    config: StageConfig, run: Path, kept: Mapping[str, dict[str, Any]], rows: list[dict[str, Any]], workers: int
) -> Iterator[StagedSample]:
    """Yield the samples of some rows, each with its encoded picture."""
    own = [kept[row["uid"]] for row in rows]
    pictures = [
        RawPicture(run / row["raw_shard"], row["raw_offset"], row["raw_size"], row["image_sha256"]) for row in own
    ]
    for known, row, image in zip(own, rows, encode_pictures(pictures, config.image_size, workers), strict=True):
        yield _staged(known, row, image)


def _credits(
    sets: Mapping[str, list[dict[str, Any]]], kept: Mapping[str, dict[str, Any]], group_of: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """Yield the rows of ``ATTRIBUTION.csv``, sorted by uid."""
    placed = {row["uid"]: name.removeprefix("eval-") for name, rows in sets.items() for row in rows}
    for uid in sorted(placed):
        yield {**kept[uid], "licence_group": group_of[kept[uid]["image_sha256"]], "set": placed[uid]}


def _staged(known: dict[str, Any], row: dict[str, Any], image: bytes) -> StagedSample:
    sample = Sample(**{name: known[name] for name in COLUMNS})
    return StagedSample(sample=sample, image=image, stage=row["stage"], rank=row["rank"], difficulty=row["difficulty"])


def _extras(folder: Path, curriculum: Path, sets: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Write what lies beside the sets; return the entries of these files."""
    uids = {name: [row["uid"] for row in rows] for name, rows in sets.items() if rows[0]["stage"]}
    return write_extras(folder, curriculum / "controls", curriculum / "ontology.json", uids)


def _exposure(summary: Path) -> dict[str, Any]:
    """Return what the curriculum declares of how its stages are shown; the numbers of it are those of the sets."""
    declared = files.read_json(summary)["exposure"]
    return {name: declared[name] for name in ("pool", "replay", "word_budget")}


def _stage_entry(rows: list[dict[str, Any]]) -> dict[str, Any]:
    spread = difficulty_spread([row["difficulty"] for row in rows])
    return {"stage": rows[0]["stage"], "name": rows[0]["stage_name"], "difficulty": spread}


def difficulty_spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, minimum and maximum of a stage's difficulties, as its entry in the manifest has them."""
    import numpy as np

    difficulty = np.array(values, dtype=np.float64)
    return {"median": float(np.median(difficulty)), "min": float(difficulty.min()), "max": float(difficulty.max())}
