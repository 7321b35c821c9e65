"""Duplicates among the samples of a run: which pictures go, which captions live on, and the pairs for a later look.

A picture that goes takes its samples with it. A caption of it that the picture in its place does not have yet becomes a
further caption of that picture, as a pair with a uid of its own; see `pipeline.select.kept`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

from pipeline.sample import sample_uid
from pipeline.select.config import DuplicateConfig
from pipeline.select.duplicates import Partner, Scores, close_pairs, greedy_leader, reasons
from pipeline.select.kept import Catalogue, Pair
from pipeline.select.pictures import Gallery, Picture, read_gallery
from pipeline.select.verdict import Drop
from pipeline.tables import ROW_GROUP, read_table, write_tables

PAIRS = 16 * ROW_GROUP  # pairs whose names are written out at once, for memory only


class Sample(NamedTuple):
    """A sample of a picture: its row in the catalogue, its caption and its uid."""

    row: int
    caption: str
    uid: str


@dataclass(frozen=True, slots=True)
class Deduplicated:
    """What became of the pictures.

    Attributes:
        drops: by uid.
        pictures: all that were compared.
        near: pairs of image hashes that are one picture by the rule.
        merged: pairs of a caption that lives on and the picture that stayed, sorted by uid.
    """

    drops: dict[str, Drop]
    pictures: Sequence[Picture]
    near: list[tuple[str, str]]
    merged: list[Pair]


def deduplicate(
    config: DuplicateConfig, catalogue: Catalogue, remaining: set[str], run: Path, embeddings: Path, folder: Path
) -> Deduplicated:
    """Find the duplicates among the pictures of the remaining samples, and store all close pairs.

    Args:
        catalogue: columns of ``signals/samples.parquet``.
        remaining: uids of the samples that are looked at.
        run: the run directory, for its signals.
        embeddings: the folder of the encoder's vectors.
        folder: where ``pairs.parquet`` is written.

    Raises:
        DataError: a picture has no vector, or the greedy leader's guarantee does not hold.
    """
    gallery = read_gallery(config, catalogue, remaining, run, embeddings)
    scores = close_pairs(config, gallery)
    reason = reasons(config, scores)
    write_pairs(folder / "pairs.parquet", gallery, scores)
    dropped = greedy_leader(len(gallery.pictures), scores, reason)
    samples: dict[str, list[Sample]] = {}
    columns = (catalogue[name] for name in ("uid", "image_sha256", "caption"))
    for row, (uid, image, caption) in enumerate(zip(*columns, strict=True)):
        if uid in remaining:
            samples.setdefault(image, []).append(Sample(row, caption, uid))
    duplicate = reason != ""
    names = [picture.sha256 for picture in gallery.pictures]
    found = zip(scores.first[duplicate].tolist(), scores.second[duplicate].tolist(), strict=True)
    return Deduplicated(
        drops=_drops(gallery, dropped, samples),
        pictures=gallery.pictures,
        near=[(names[a], names[b]) for a, b in found],
        merged=_merged(gallery, dropped, samples) if config.merge_captions else [],
    )


def _drops(
    gallery: Gallery, dropped: Mapping[int, Partner], samples: Mapping[str, Sequence[Sample]]
) -> dict[str, Drop]:
    drops = {}
    for row, partner in dropped.items():
        stays = samples[gallery.pictures[partner.row].sha256]
        for sample in samples[gallery.pictures[row].sha256]:
            stand_in = _stand_in(sample, stays)
            drops[sample.uid] = Drop("duplicates", partner.reason, partner=stand_in.uid, score=partner.cosine)
    return drops


def _stand_in(sample: Sample, stays: Sequence[Sample]) -> Sample:
    """Return the kept sample that stands for a dropped one: the one that says the same, where there is one."""
    return min(stays, key=lambda other: (other.caption != sample.caption, other.uid))


def _merged(gallery: Gallery, dropped: Mapping[int, Partner], samples: Mapping[str, Sequence[Sample]]) -> list[Pair]:
    """Return the captions that live on, sorted by the uid of the new pair; of equal ones that of the smallest uid."""
    pairs: dict[str, Pair] = {}
    gone = [(sample, partner) for row, partner in dropped.items() for sample in samples[gallery.pictures[row].sha256]]
    for sample, partner in sorted(gone, key=lambda each: each[0].uid):
        image = gallery.pictures[partner.row].sha256
        stand_in = _stand_in(sample, samples[image])
        if stand_in.caption != sample.caption:
            uid = sample_uid(image, sample.caption)
            pairs.setdefault(uid, Pair(uid, sample.row, stand_in.row))
    return [pairs[uid] for uid in sorted(pairs)]


def write_pairs(path: Path, gallery: Gallery, scores: Scores) -> None:
    """Write all scores of the pairs, with the image hashes in place of the rows."""
    import pyarrow as pa

    names = pa.array([picture.sha256 for picture in gallery.pictures], pa.string())

    def part(start: int) -> pa.Table:
        rows = slice(start, start + PAIRS)
        columns = {each.name: pa.array(getattr(scores, each.name)[rows]) for each in fields(Scores)}
        return pa.table(columns | {name: names.take(columns[name]) for name in ("first", "second")})

    write_tables(path, map(part, range(0, max(1, len(scores.first)), PAIRS)))


def read_pairs(path: Path, pictures: Sequence[str]) -> Scores:
    """Return stored pairs, to be judged by another rule.

    Args:
        path: a ``pairs.parquet``.
        pictures: image hashes in the order of `leader_order`.
    """
    import numpy as np

    table = read_table(path)
    rows = {name: row for row, name in enumerate(pictures)}
    columns = {name: table.column(name).to_numpy() for name in table.column_names if name not in ("first", "second")}
    places = {
        name: np.array([rows[image] for image in table.column(name).to_pylist()], dtype=np.int64)
        for name in ("first", "second")
    }
    return Scores(**places, **columns)
