"""The step that decides: filters, safety, duplicates, split; verdicts for all, and a funnel that adds up."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.acquire.raw import SUCCESS, raw_tables
from pipeline.errors import DataError
from pipeline.measure.embed import read_embeddings
from pipeline.select.config import PRESETS, SelectConfig
from pipeline.select.duplicates import Pair, Picture, close_pairs, greedy_leader, is_duplicate, leader_order
from pipeline.select.filters import filter_samples
from pipeline.select.safety import safety_drops
from pipeline.select.split import TRAIN, Member, assign, check_leaks, components
from pipeline.select.verdict import Drop
from pipeline.tables import read_columns, write_table
from pipeline.workspace import Counts, check_funnel

if TYPE_CHECKING:
    import numpy as np

Catalogue = dict[str, list[Any]]  # columns of signals/samples.parquet


def select(config: SelectConfig, corpora: Sequence[str], encoder: str, run: Path, out: Path) -> Counts:
    """Write ``selection/``: verdicts, rejected samples, stored pairs, the split and the funnel.

    Args:
        corpora: names of the raw corpora, for the funnel's first step.
        encoder: name of the folder below ``embeddings/``.
        run: the run directory that is read.
        out: the directory below which ``selection/`` is written.

    Raises:
        ConfigError: a rule names a signal that does not exist.
        DataError: nothing is left, the numbers do not add up, or the split leaks.
        SafetyError: a hit in a recipe that does not say what to do with it.
    """
    folder = out / "selection"
    catalogue = read_columns(run / "signals/samples.parquet")
    drops = filter_samples([*PRESETS[config.preset], *config.filters], run)
    remaining = [uid for uid in catalogue["uid"] if uid not in drops]
    drops |= safety_drops(config.safety, run, remaining)
    remaining = [uid for uid in catalogue["uid"] if uid not in drops]
    found, pictures, near = _duplicates(config, catalogue, set(remaining), run / "embeddings" / encoder, run, folder)
    drops |= found

    members = _members(catalogue, drops)
    if not members:
        raise DataError(f"nothing is left of {len(catalogue['uid'])} samples; see select.filters and select.preset")
    component = components(members)
    splits = assign(config.split, members, component)
    check_leaks(members, component, splits, {p.sha256: p.pixel_sha256 for p in pictures}, near)
    if TRAIN not in splits:
        raise DataError(f"no sample is left to train on; the {len(members)} that stayed are all held out")

    kept = {"uid": [member.uid for member in members], "component": component, "split": splits}
    write_table(folder / "split.parquet", kept)
    _write_verdicts(folder, catalogue, drops)
    steps = funnel(run, corpora, catalogue["uid"], drops)
    files.write_json(folder / "funnel.json", {"steps": steps})
    dropped = Counter(drop.reason for drop in drops.values())
    return {
        "in": len(catalogue["uid"]),
        "kept": len(members),
        "dropped": dict(sorted(dropped.items())),
        **dict(sorted(Counter(splits).items())),
    }


def funnel(run: Path, corpora: Sequence[str], uids: Sequence[str], drops: Mapping[str, Drop]) -> list[dict[str, Any]]:
    """Return the steps from the sources' rows to what stays; each step goes on with what the one before kept.

    Raises:
        DataError: the numbers do not add up.
    """
    rows = Counter(reason for corpus in corpora for reason in _acquired(run / "raw" / corpus))
    succeeded = rows.pop(SUCCESS, 0)
    repeated = files.read_json(run / "signals/catalogue.json")["dropped"]
    steps: list[dict[str, Any]] = [
        {"step": "acquire", "in": succeeded + rows.total(), "kept": succeeded, "dropped": dict(sorted(rows.items()))},
        {"step": "measure", "in": succeeded, "kept": len(uids), "dropped": repeated},
    ]
    for step in ("filter", "safety", "duplicates"):
        reasons = Counter(drop.reason for drop in drops.values() if drop.step == step)
        before = steps[-1]["kept"]
        steps.append(
            {"step": step, "in": before, "kept": before - reasons.total(), "dropped": dict(sorted(reasons.items()))}
        )
    for entry in steps:
        check_funnel(entry["step"], entry)
    if steps[-1]["kept"] != len(uids) - len(drops):
        raise DataError(f"the funnel ends with {steps[-1]['kept']} samples, but {len(uids) - len(drops)} stayed")
    return steps


def _acquired(folder: Path) -> list[str]:
    """Return for every row of a raw corpus that it succeeded, or why not."""
    tables = [read_columns(table, ["status", "reason"]) for table in raw_tables(folder)]
    return [
        SUCCESS if status == SUCCESS else reason
        for table in tables
        for status, reason in zip(table["status"], table["reason"], strict=True)
    ]


def _duplicates(
    config: SelectConfig,
    catalogue: Catalogue,
    remaining: set[str],
    embeddings: Path,
    run: Path,
    folder: Path,
) -> tuple[dict[str, Drop], list[Picture], list[tuple[str, str]]]:
    """Find the duplicates among the pictures of the remaining samples, and store all close pairs.

    Returns:
        The drops by uid, the pictures, and the pairs of image hashes that are duplicates by the rule.
    """
    pictures = leader_order(_pictures(catalogue, remaining, run))
    vectors = _vectors(embeddings, pictures)
    pairs = close_pairs(pictures, vectors, config.duplicates.floor)
    _write_pairs(folder, pictures, pairs)
    dropped = greedy_leader(config.duplicates, pictures, pairs)
    samples: dict[str, list[tuple[str, str]]] = {}
    for uid, image, caption in zip(catalogue["uid"], catalogue["image_sha256"], catalogue["caption"], strict=True):
        if uid in remaining:
            samples.setdefault(image, []).append((caption, uid))
    drops = {}
    for row, partner in dropped.items():
        reason = "duplicate_pixels" if partner.same_pixels else "near_duplicate"
        stays = samples[pictures[partner.row].sha256]
        for caption, uid in samples[pictures[row].sha256]:
            # The sample that stands for it: the one that says the same, where the partner has one.
            stand_in = min(stays, key=lambda other: (other[0] != caption, other[1]))[1]
            drops[uid] = Drop("duplicates", reason, partner=stand_in, score=partner.cosine)
    near = [
        (pictures[pair.first].sha256, pictures[pair.second].sha256)
        for pair in pairs
        if is_duplicate(config.duplicates, pictures, pair)
    ]
    return drops, pictures, near


def _pictures(catalogue: Catalogue, remaining: set[str], run: Path) -> list[Picture]:
    """Return the distinct pictures of the remaining samples; those that could not be decoded are not among them."""
    columns = ["uid", "pixel_sha256", "phash", "entropy", "width", "height", "thumbnail"]
    signals = read_columns(run / "signals/image.parquet", columns)
    found = {
        image: Picture(image, pixels, int(phash, 16), entropy, width * height, thumbnail)
        for image, uid, pixels, phash, entropy, width, height, thumbnail in zip(
            catalogue["image_sha256"], *signals.values(), strict=True
        )
        if uid in remaining and pixels is not None
    }
    return list(found.values())


def _vectors(folder: Path, pictures: Sequence[Picture]) -> "np.ndarray":
    names, vectors = read_embeddings(folder)
    rows = {name: row for row, name in enumerate(names)}
    missing = [picture.sha256 for picture in pictures if picture.sha256 not in rows]
    if missing:
        raise DataError(f"{folder} has no vector for {len(missing)} pictures; remove it and run again")
    return vectors[[rows[picture.sha256] for picture in pictures]]


def _write_pairs(folder: Path, pictures: Sequence[Picture], pairs: Sequence[Pair]) -> None:
    columns: dict[str, list[Any]] = {
        "first": [pictures[pair.first].sha256 for pair in pairs],
        "second": [pictures[pair.second].sha256 for pair in pairs],
        "cosine": [pair.cosine for pair in pairs],
        "hamming": [pair.hamming for pair in pairs],
        "difference": [pair.difference for pair in pairs],
        "same_pixels": [pair.same_pixels for pair in pairs],
    }
    write_table(folder / "pairs.parquet", columns)


def _write_verdicts(folder: Path, catalogue: Catalogue, drops: Mapping[str, Drop]) -> None:
    """Write a verdict for every sample, and the rejected samples with their columns; pictures are not copied."""
    import pyarrow as pa

    stays = Drop("", "")
    verdicts = [drops.get(uid, stays) for uid in catalogue["uid"]]
    columns = {
        "uid": catalogue["uid"],
        "kept": [uid not in drops for uid in catalogue["uid"]],
        "step": [verdict.step for verdict in verdicts],
        "reason": [verdict.reason for verdict in verdicts],
        "partner": [verdict.partner for verdict in verdicts],
        "score": pa.array([verdict.score for verdict in verdicts], type=pa.float64()),
    }
    write_table(folder / "verdicts.parquet", columns)
    rejected = [row for row, uid in enumerate(catalogue["uid"]) if uid in drops]
    table = {name: [values[row] for row in rejected] for name, values in catalogue.items()}
    table["reason"] = [verdicts[row].reason for row in rejected]
    write_table(folder / "rejected/samples.parquet", table)


def _members(catalogue: Catalogue, drops: Mapping[str, Drop]) -> list[Member]:
    columns = [catalogue[name] for name in ("uid", "corpus", "group", "caption", "image_sha256")]
    return [Member(*values) for values in zip(*columns, strict=True) if values[0] not in drops]
