"""What of a run may be passed on, as a folder of its own: staged shards, their index, data card and credits.

Shards hold one group of licences each, so they are copied as they are or left out as a whole; indexes, sizes, orders,
subsets, ontology, card, credits and manifest are written anew for what remains. Content comes first and the manifest
last: a folder without a manifest is not published; see `pipeline.delivery`.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pipeline import files
from pipeline.addresses import is_url, is_web, shown
from pipeline.cards.config import CardConfig, PublishConfig
from pipeline.cards.datacard import MODELS
from pipeline.delivery import Bucket, Folder, Item, deliver
from pipeline.errors import ConfigError, SafetyError
from pipeline.licences import OPEN
from pipeline.remote import Store
from pipeline.shards.layout import MANIFEST
from pipeline.shards.write import samples_by_group
from pipeline.workspace import Counts, Workspace

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.acquire.card import Card
    from pipeline.shards.read import StagedSet

# Why the groups that are not passed on stay out.
REASONS = {
    "no_derivatives": "no_derivatives",
    "non_commercial": "non_commercial",
    "unknown": "unknown_licence",
    "closed": "not_redistributable",
}


def publish(
    config: PublishConfig,
    run: Path,
    target: Path | str,
    *,
    everything: bool = False,
    models: Mapping[str, Path] = MappingProxyType({}),
) -> Counts:
    """Copy what may be passed on of a run's stages into a folder, with card, credits and a manifest of its own.

    Published are the licences that permit it, share-alike ones in shards of their own. Non-commercial licences, those
    that forbid derivatives (a staged picture is one) and sources that may not be redistributed never are; unknown
    licences are if the recipe says so. What an earlier call published there and this one does not is removed.

    Args:
        target: a new folder, an empty one, or one that this function has written: on this machine, or at the address
            of a store that fsspec knows (``s3://bucket/folder``).
        everything: refuse where anything would be left out.
        models: folders that go along below ``models/``, by name.

    Returns:
        Counts with ``in``, ``kept`` and ``dropped`` by reason.

    Raises:
        ConfigError: the run has no card yet, or the folder holds something else.
        DataError: a file of the stages is missing or damaged.
        SafetyError: nothing may be passed on, or not all of what was asked for.
    """
    destination = open_destination(target, run)
    manifest, card, sources = _finished(run)
    allowed = _allowed(config)
    counts = _counts(manifest, allowed)
    _check(run, counts, everything=everything)
    with tempfile.TemporaryDirectory(prefix="essen-publish-") as scratch:
        items = _build(run, Path(scratch), manifest, allowed, counts, (card, sources), models)
        _check_words(run, Path(scratch), items, models)
        deliver(items, destination)
    return counts


def publishable(config: PublishConfig, run: Path) -> Counts:
    """Return the counts that `publish` would return, and copy nothing.

    Raises:
        ConfigError: the run has no card yet.
    """
    return _counts(_finished(run)[0], _allowed(config))


def _allowed(config: PublishConfig) -> set[str]:
    return {OPEN, "share_alike"} | ({"unknown"} if config.unknown else set())


def open_destination(target: Path | str, run: Path) -> Folder | Bucket:
    """Return where to publish a run to; an address has answered then, so that a refusal comes before all work.

    Raises:
        ConfigError: nothing can be written there, the store does not let us, or it lies in the run.
    """
    if is_web(str(target)):
        raise ConfigError(f"{shown(str(target))} can only be read; publish to a folder, or to a store such as s3://…")
    if is_url(str(target)):
        store = Store(str(target))
        store.names()
        return Bucket(store)
    folder = Path(target)
    if folder.is_file():
        raise ConfigError(f"{folder} is a file; name a folder to publish to")
    if folder.resolve().is_relative_to(run.resolve()) or run.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"{folder} and the run {run} lie in each other; choose another folder")
    return Folder(folder)


def _finished(run: Path) -> tuple[dict[str, Any], CardConfig, "list[Card]"]:
    """Return the manifest of a run's stages, and the words and corpora of its card.

    Raises:
        ConfigError: there are no stages with a card, or they have been overtaken by the steps before them.
    """
    from pipeline.acquire.card import Card
    from pipeline.shards.read import read_manifest
    from pipeline.shards.verify import follows

    records = {record["step"]: record for record in Workspace(run).records()}
    if not {"stage", "card"} <= records.keys():
        raise ConfigError(f"{run} holds no staged shards with a data card; run its recipe there first (essen run)")
    if not all(follows(records[step], records) for step in ("order", "stage", "card") if step in records):
        raise ConfigError(f"{run}: the stages are older than what they were made from; run its recipe there again")
    params = records["card"]["params"]
    try:
        sources = [Card(**values, path=run / "card") for values in params["cards"]]
        config, manifest = CardConfig(**params["config"]), read_manifest(run / "stages")
    except (ValidationError, KeyError):
        manifest = {}
    if "exposure" not in manifest:
        raise ConfigError(f"{run} was made by another version; run its recipe there again (essen run)")
    return manifest, config, sources


def _counts(manifest: Mapping[str, Any], allowed: set[str]) -> Counts:
    counted = samples_by_group((*manifest["stages"], *manifest["evaluation"]))
    dropped = {REASONS[group]: number for group, number in counted.items() if group not in allowed}
    total = sum(counted.values())
    return {"in": total, "kept": total - sum(dropped.values()), "dropped": dropped}


def _check(run: Path, counts: Counts, *, everything: bool) -> None:
    """Raise where what was asked for may not be passed on.

    Raises:
        SafetyError: with the reasons.
    """
    reasons = ", ".join(f"{number} {reason}" for reason, number in counts["dropped"].items())
    if counts["kept"] == 0:
        raise SafetyError(f"{run}: none of its {counts['in']} samples may be passed on ({reasons})")
    if everything and reasons:
        raise SafetyError(f"{run}: not all samples may be passed on ({reasons}); publish the others without --all")


def _check_words(run: Path, scratch: Path, items: Sequence[Item], models: Mapping[str, Path]) -> None:
    """Raise where a card leaves something unsaid, or says it in words that nobody knows.

    Raises:
        ConfigError: with the first fault.
    """
    from pipeline.cards.check import check_cards, check_model_card

    problems = [problem.replace(f"{scratch}/", "") for problem in check_cards(scratch, {item.name for item in items})]
    for name, folder in models.items():
        problems += [problem.replace(f"{folder}/", f"{MODELS}/{name}/") for problem in check_model_card(folder)]
    if problems:
        raise ConfigError(
            f"{run}: {problems[0]} ({len(problems)} in all); correct the data cards or the recipe's card words"
        )


def _build(
    run: Path,
    scratch: Path,
    manifest: dict[str, Any],
    allowed: set[str],
    counts: Counts,
    words: "tuple[CardConfig, list[Card]]",
    models: Mapping[str, Path],
) -> list[Item]:
    """Write what is not copied as it is, and return all files to publish, the manifest last.

    Raises:
        SafetyError: no training sample may be passed on.
    """
    from pipeline.cards.attribution import attribution_rows
    from pipeline.shards.extras import write_extras
    from pipeline.shards.stage import write_manifest
    from pipeline.shards.write import file_entry

    parts = _sets(run, scratch, allowed)
    sets, tables = [part.entry for part in parts], {part.entry["path"]: part.table for part in parts}
    stages = [entry for entry in sets if "stage" in entry]
    if not stages:
        raise SafetyError(f"{run}: no training sample of it may be passed on")
    uids = {uid for table in tables.values() for uid in table.column("uid").to_pylist()}
    files.write_bytes(scratch / "ATTRIBUTION.csv", attribution_rows(run / "stages/ATTRIBUTION.csv", uids).encode())
    part = {
        **manifest,
        "stages": stages,
        "evaluation": [entry for entry in sets if "split" in entry],
        "published": {**counts, "of": manifest["sha256"]},
    }
    beside, forms = _beside(run, scratch, parts, models)
    described = _describe(run, scratch, part, tables, uids, words, beside)
    further = [file_entry(scratch / name) for name in ("ATTRIBUTION.csv", *described)]
    further += [{"file": item.name, "sha256": item.sha256, "bytes": item.source.stat().st_size} for item in forms]
    own_uids = {entry["path"]: tables[entry["path"]].column("uid").to_pylist() for entry in stages}
    further += write_extras(scratch, run / "stages/orders", run / "stages/ontology.json", own_uids)
    size, order = manifest["image"]["size"], manifest["order"]
    facts = {name: part[name] for name in ("exposure", "published")}
    write_manifest(scratch, size, order, stages, part["evaluation"], further=further, **facts)
    shards = [(entry["path"], shard) for entry in sets for shard in entry["shards"]]
    items = [Item(f"{path}/{s['file']}", run / "stages" / path / s["file"], s["sha256"]) for path, s in shards]
    known = {item.source for item in forms}
    own = [path.relative_to(scratch).as_posix() for path in files.files_below(scratch) if path not in known]
    own.sort(key=lambda name: name == MANIFEST)
    return items + forms + [Item(name, scratch / name, files.sha256_file(scratch / name)) for name in own]


def _beside(
    run: Path, scratch: Path, parts: "Sequence[StagedSet]", models: Mapping[str, Path]
) -> tuple[list[str], list[Item]]:
    """Write the forms that other tools open; return what lies beside the shards, models included, and its files."""
    from pipeline.cards.atlas import write_atlas
    from pipeline.cards.clip_benchmark import write_clip_benchmark

    evaluation = [part for part in parts if not part.stage]
    written = [*write_atlas(scratch, run, parts), *write_clip_benchmark(scratch, evaluation)]
    places = {name: scratch / name for name in written} | {f"{MODELS}/{name}": models[name] for name in models}
    items = [
        Item((Path(name) / path.relative_to(place)).as_posix(), path, files.sha256_file(path))
        for name, place in places.items()
        for path in files.files_below(place)
    ]
    return list(places), items


def _sets(run: Path, scratch: Path, allowed: set[str]) -> "list[StagedSet]":
    """Write index and sizes of what remains of each set; return these, with their shards where they are now."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from pipeline.shards.read import open_stages
    from pipeline.shards.stage import difficulty_spread
    from pipeline.shards.write import write_index

    opened = open_stages(run / "stages")
    remaining = []
    for part in (*opened.stages, *opened.evaluation.values()):
        shards = [shard for shard in part.entry["shards"] if shard["licence"] in allowed]
        if not shards:
            continue
        path = part.entry["path"]
        names = pa.array([shard["file"] for shard in shards])
        table = part.table.filter(pc.is_in(part.table.column("shard"), value_set=names))
        entry = {**part.entry, **write_index(scratch / path, table, shards)}
        if "difficulty" in entry:
            entry["difficulty"] = difficulty_spread(table.column("difficulty").to_pylist())
        remaining.append(replace(part, entry=entry, table=table))
    return remaining


def _describe(
    run: Path,
    scratch: Path,
    manifest: dict[str, Any],
    tables: "Mapping[str, pa.Table]",
    uids: set[str],
    words: "tuple[CardConfig, Sequence[Card]]",
    beside: Sequence[str],
) -> list[str]:
    """Write card, Croissant description and training script of what is published; return the files' names."""
    from pipeline.cards.datacard import describe, staged_rows
    from pipeline.cards.facts import gather
    from pipeline.curriculum.exposure import growth_by_stage

    config, sources = words
    rows = [row for row in staged_rows(run) if row["uid"] in uids]
    used = {row["corpus"] for row in rows}
    growth = growth_by_stage({entry["stage"]: tables[entry["path"]].column("caption") for entry in manifest["stages"]})
    present = [source for source in sources if source.name in used]
    facts = gather(config, run, manifest, rows, present, growth=growth, beside=beside)
    return describe(facts, tables, scratch)
