"""What of a run may be passed on, as a folder of its own: staged shards, their index, data card and credits.

Shards hold one group of licences each, so they are copied as they are or left out as a whole; indexes, sizes, orders,
subsets, ontology, card, credits and manifest are written anew for what remains. Content comes first and the manifest
last: a folder without a manifest is not published. Everything that touches the destination is in `Folder`.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pipeline import files
from pipeline.cards.config import CardConfig, PublishConfig
from pipeline.errors import ConfigError, DataError, SafetyError
from pipeline.licences import OPEN
from pipeline.shards.write import samples_by_group
from pipeline.workspace import Counts, Workspace

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.acquire.card import Card

# Why the groups that are not passed on stay out.
REASONS = {
    "no_derivatives": "no_derivatives",
    "non_commercial": "non_commercial",
    "unknown": "unknown_licence",
    "closed": "not_redistributable",
}


@dataclass(frozen=True, slots=True)
class Item:
    """A file to publish: its name in the destination, where it lies now, and the sha256 that it must have."""

    name: str
    source: Path
    sha256: str


class Folder:
    """A destination on this machine; names are relative to it, with slashes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> set[str]:
        """Return the names of all files that are there."""
        found = files.files_below(self.root) if self.root.exists() else []
        return {path.relative_to(self.root).as_posix() for path in found}

    def manifest(self) -> dict[str, Any] | None:
        """Return the manifest of what was published there, None where nothing was.

        Raises:
            DataError: there is a manifest of something else.
        """
        from pipeline.shards.read import read_manifest

        return read_manifest(self.root) if (self.root / "manifest.json").is_file() else None

    def has(self, item: Item) -> bool:
        """Tell whether a file is there already, whole."""
        path = self.root / item.name
        return path.is_file() and files.sha256_file(path) == item.sha256

    def put(self, item: Item) -> None:
        """Copy a file there, atomically.

        Raises:
            DataError: its content is not what it should be.
        """
        path = self.root / item.name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        shutil.copyfile(item.source, part)
        if files.sha256_file(part) != item.sha256:
            files.remove(part)
            raise DataError(f"{item.source} is damaged: its sha256 is not the one in the manifest; stage again")
        files.sync_file(part)
        part.replace(path)
        files.sync_directory(path.parent)

    def remove(self, name: str) -> None:
        """Remove a file, and its folder where that is empty then."""
        path = self.root / name
        files.remove(path)
        files.sync_directory(path.parent)
        if path.parent != self.root and not any(path.parent.iterdir()):
            path.parent.rmdir()


def publish(config: PublishConfig, run: Path, target: Path, *, everything: bool = False) -> Counts:
    """Copy what may be passed on of a run's stages into a folder, with card, credits and a manifest of its own.

    Published are the licences that permit it, share-alike ones in shards of their own. Non-commercial licences, those
    that forbid derivatives (a staged picture is one) and sources that may not be redistributed never are; unknown
    licences are if the recipe says so. What an earlier call published there and this one does not is removed.

    Args:
        target: a new folder, an empty one, or one that this function has written.
        everything: refuse where anything would be left out.

    Returns:
        Counts with ``in``, ``kept`` and ``dropped`` by reason.

    Raises:
        ConfigError: the run has no card yet, or the folder holds something else.
        DataError: a file of the stages is missing or damaged.
        SafetyError: nothing may be passed on, or not all of what was asked for.
    """
    if "://" in str(target):
        raise ConfigError(f"{target} is no local folder; publish to a folder and copy that, its manifest.json last")
    if target.resolve().is_relative_to(run.resolve()) or run.resolve().is_relative_to(target.resolve()):
        raise ConfigError(f"{target} and the run {run} lie in each other; choose another folder")
    manifest, card, sources = _finished(run)
    allowed = {OPEN, "share_alike"} | ({"unknown"} if config.unknown else set())
    counts = _counts(manifest, allowed)
    _check(run, counts, everything=everything)
    with tempfile.TemporaryDirectory(prefix="essen-publish-") as scratch:
        items = _build(run, Path(scratch), manifest, allowed, counts, (card, sources))
        _deliver(items, Folder(target))
    return counts


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


def _build(
    run: Path,
    scratch: Path,
    manifest: dict[str, Any],
    allowed: set[str],
    counts: Counts,
    words: "tuple[CardConfig, list[Card]]",
) -> list[Item]:
    """Write what is not copied as it is, and return all files to publish, the manifest last.

    Raises:
        SafetyError: no training sample may be passed on.
    """
    from pipeline.cards.attribution import attribution_rows
    from pipeline.shards.extras import write_extras
    from pipeline.shards.stage import write_manifest
    from pipeline.shards.write import file_entry

    sets, tables = _sets(run, scratch, allowed)
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
    described = _describe(run, scratch, part, tables, uids, words)
    further = [file_entry(scratch / name) for name in ("ATTRIBUTION.csv", *described)]
    own_uids = {entry["path"]: tables[entry["path"]].column("uid").to_pylist() for entry in stages}
    further += write_extras(scratch, run / "stages/orders", run / "stages/ontology.json", own_uids)
    size, order = manifest["image"]["size"], manifest["order"]
    facts = {name: part[name] for name in ("exposure", "published")}
    write_manifest(scratch, size, order, stages, part["evaluation"], further=further, **facts)
    shards = [(entry["path"], shard) for entry in sets for shard in entry["shards"]]
    items = [Item(f"{path}/{s['file']}", run / "stages" / path / s["file"], s["sha256"]) for path, s in shards]
    own = [path.relative_to(scratch).as_posix() for path in files.files_below(scratch)]
    own.sort(key=lambda name: name == "manifest.json")
    return items + [Item(name, scratch / name, files.sha256_file(scratch / name)) for name in own]


def _sets(run: Path, scratch: Path, allowed: set[str]) -> "tuple[list[dict[str, Any]], dict[str, pa.Table]]":
    """Write index and sizes of what remains of each set; return their entries, and the indexes by folder."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from pipeline.shards.read import open_stages
    from pipeline.shards.stage import difficulty_spread
    from pipeline.shards.write import write_index

    opened = open_stages(run / "stages")
    entries, tables = [], {}
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
        entries.append(entry)
        tables[path] = table
    return entries, tables


def _describe(
    run: Path,
    scratch: Path,
    manifest: dict[str, Any],
    tables: "Mapping[str, pa.Table]",
    uids: set[str],
    words: "tuple[CardConfig, Sequence[Card]]",
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
    return describe(gather(config, run, manifest, rows, present, growth=growth), tables, scratch)


def _deliver(items: Sequence[Item], target: Folder) -> None:
    """Bring the files to their destination; interrupted anywhere, the same call ends in the same files.

    Raises:
        ConfigError: it holds something that was not published by us.
    """
    from pipeline.shards.read import file_names

    try:
        before = target.manifest()
    except DataError:
        raise ConfigError(f"{target.root} holds another manifest.json; choose an empty folder") from None
    wanted = {item.name for item in items}
    known = wanted | set(file_names(before) if before else ())
    present = target.names()
    if foreign := sorted(name for name in present if name.removesuffix(".part") not in known):
        raise ConfigError(
            f"{target.root} holds {foreign[0]}, which is no part of a published set; choose an empty folder"
        )
    # The old manifest goes after the files that only it names, and before any content changes: a call that is killed
    # leaves a folder that the next one knows as its own, and that no reader takes for whole.
    for name in sorted(present - wanted):
        target.remove(name)
    if "manifest.json" in present:
        target.remove("manifest.json")
    for item in items:
        if not target.has(item):
            target.put(item)
