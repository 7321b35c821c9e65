"""A sample taken out of a run, and of every run after it.

`resolve` finds what a uid, a URL or a sha256 stands for and makes tombstones of it. `bury` removes what they name:

1. the raw shards are written again without the rows, which stay as ``excluded`` for the reason ``takedown`` and hold
   nothing else, and the records of acquisition name the new files;
2. all that was made from them is removed, with its records: signals, vectors, selection, index, curriculum, stages,
   card, reports, scratch folders, the orchestrator's history;
3. the models that had been trained are marked by ``TAKEDOWN.json``: a model cannot forget. Train again to be rid of it.

The steps are then done again by whoever called. Killed anywhere, the same call goes on: what is to be done is written
down in ``.part/takedown`` first, and the new raw shards are complete there before the first old one is replaced.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from pipeline import files
from pipeline.acquire.raw import SUCCESS, raw_tables, read_rows, write_shard
from pipeline.acquire.tombstones import PICTURE_KEYS, REASON, Tombstones, identity, url_hash
from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.sample import sample_uid
from pipeline.tables import read_columns
from pipeline.workspace import Counts, Workspace

# What the steps after acquisition write, training aside; see the contracts on disk.
DERIVED = ("signals", "embeddings", "selection", "index", "curriculum", "stages", "card", "reports")
MARK = "TAKEDOWN.json"
VERDICTS = "selection/verdicts.parquet"
Identity = Mapping[str, str]


class Targets(Config):
    """What is to be taken down: single samples by uid, or pictures with all their captions by URL or sha256."""

    uid: tuple[str, ...] = ()
    url: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()


class Burial(Config):
    """What is removed from a run.

    Attributes:
        rows: of the raw tables, failures included.
        samples: uids that are gone.
        pictures: image hashes of which no sample is left.
        steps: that had been done after acquisition.
        outputs: of these steps, directories of the run.
        models: by name, how many samples and pictures each was trained with and should not have been.
    """

    rows: int = 0
    samples: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    models: dict[str, dict[str, int]] = Field(default={})


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of a raw table: its hashes, and what counts it."""

    table: Path
    identity: Identity
    outcome: str


def resolve(run: Path, targets: Targets, known: Tombstones) -> Tombstones:
    """Return the tombstones of what the targets stand for in a run.

    A uid stands for one picture with one caption; that of a caption which lives on with another picture, for the pairs
    that it came from. A URL or a sha256 (of the picture as acquired, or at its source)
    stands for the picture: all its captions, wherever in the run they are.

    Args:
        known: targets that these know need not be there any more.

    Raises:
        ConfigError: a target is no uid or sha256 at all, or nothing in the run answers to it.
    """
    raw_uids = _origins(run)
    wanted = {
        target: hashes | {("uid", raw) for key, value in hashes if key == "uid" for raw in raw_uids.get(value, ())}
        for target, hashes in _hashes(targets).items()
    }
    pairs = {pair for hashes in wanted.values() for pair in hashes}
    met: set[tuple[str, str]] = set()
    pictures: set[tuple[str, str]] = set()
    stones: list[Identity] = [{"uid": uid} for uid in targets.uid if uid in raw_uids]
    rows = list(_rows(run))
    for row in rows:
        hits = pairs & row.identity.items()
        met |= hits
        if any(key == "uid" for key, _ in hits):
            stones.append({key: row.identity[key] for key in ("uid", "row") if key in row.identity})
        if any(key != "uid" for key, _ in hits):
            stones.append(row.identity)
            pictures |= {(key, row.identity[key]) for key in PICTURE_KEYS[1:] if key in row.identity}
    for target, hashes in wanted.items():
        if met.isdisjoint(hashes) and not any(known.knows(*pair) for pair in hashes):
            raise ConfigError(f"{run} holds nothing with the {target}; card/ATTRIBUTION.csv lists what it holds")
    stones += [row.identity for row in rows if not pictures.isdisjoint(row.identity.items())]
    return Tombstones(stones)


def bury(run: Path, tombstones: Tombstones) -> Burial | None:
    """Remove from a run whatever the tombstones name, and all that was made from it; see the module's text.

    Returns:
        What is gone, also by an earlier call that was interrupted; None where there was nothing to do. Call `finish`
        when the run is whole again.
    """
    place = run / ".part/takedown"
    _roll_forward(run)
    earlier = Burial(**files.read_json(place / "burial.json")) if (place / "burial.json").is_file() else None
    rows = list(_rows(run))
    covered = [row for row in rows if tombstones.cover(row.identity)]
    if not covered and earlier is None:
        return None
    burial = _burial(run, rows, covered, earlier or Burial())
    files.write_json(place / "burial.json", burial.model_dump(mode="json"))
    for corpus in sorted({row.table.parent.name for row in covered}):
        _scrub(run, corpus, [row for row in covered if row.table.parent.name == corpus], tombstones)
    _purge(run, burial)
    for name, counts in burial.models.items():
        if (run / "models" / name).is_dir():
            files.write_json(run / "models" / name / MARK, counts)
    return burial


def describe(burial: Burial) -> str:
    """Return what was removed, for a person."""
    return f"{burial.rows:,} rows taken down: {len(burial.samples):,} samples, {len(burial.pictures):,} pictures"


def finish(run: Path) -> None:
    """Forget what was to be done: the run is whole again."""
    files.remove(run / ".part/takedown")


def marked_models(run: Path) -> dict[str, dict[str, int]]:
    """Return the models that were trained with samples which were taken down since, with their numbers."""
    return {path.parent.name: files.read_json(path) for path in sorted(run.glob(f"models/*/{MARK}"))}


def _hashes(targets: Targets) -> dict[str, set[tuple[str, str]]]:
    """Return each target in words, with the hashes by which rows may be known to be it.

    Raises:
        ConfigError: there is no target, or one cannot be what it is given as.
    """
    wanted: dict[str, set[tuple[str, str]]] = {}
    for name, values, length in (("uid", targets.uid, 32), ("sha256", targets.sha256, 64)):
        for value in values:
            if re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", value) is None:
                raise ConfigError(f"{value!r} is no {name}: that is {length} hexadecimal digits")
            keys = ("uid",) if name == "uid" else PICTURE_KEYS[1:]
            wanted[f"{name} {value}"] = {(key, value.lower()) for key in keys}
    wanted |= {f"url {url}": {("url", url_hash(url))} for url in targets.url}
    if not wanted:
        raise ConfigError("say what to take down: --uid, --url or --sha256")
    return wanted


def _origins(run: Path) -> dict[str, list[str]]:
    """Return the uids of the raw rows behind a uid that no raw row has, as its caption was redacted or lives on."""
    redacted = _redacted(run)
    merged = {
        uid: [raw for origin in origins for raw in redacted.get(origin, [origin])] for uid, origins in _merged(run)
    }
    return redacted | merged


def _redacted(run: Path) -> dict[str, list[str]]:
    path = run / "signals/personal.parquet"
    columns = read_columns(path, ["uid", "raw_uids"]) if path.is_file() else {"uid": [], "raw_uids": []}
    return {uid: raw for uid, raw in zip(*columns.values(), strict=True) if raw}


def _merged(run: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the uids of captions that live on with another picture, each with all pairs that had the caption."""
    if not (run / VERDICTS).is_file():
        return
    measured = read_columns(run / "signals/samples.parquet", ["uid", "image_sha256", "caption"])
    of = {uid: (image, caption) for uid, image, caption in zip(*measured.values(), strict=True)}
    origins: dict[str, list[str]] = {}
    for uid, partner in zip(*read_columns(run / VERDICTS, ["uid", "partner"]).values(), strict=True):
        if partner in of:
            origins.setdefault(sample_uid(of[partner][0], of[uid][1]), []).append(uid)
    yield from ((uid, found) for uid, found in origins.items() if uid not in of)


def _rows(run: Path) -> Iterator[_Row]:
    """Yield every row of the raw tables of a run that is known by anything."""
    columns = ("url", "caption", "sha256", "original_sha256", "status", "reason")
    for folder in sorted(path for path in (run / "raw").glob("*") if path.is_dir()):
        for table in raw_tables(folder):
            for url, caption, image, original, status, reason in zip(
                *read_columns(table, columns).values(), strict=True
            ):
                success = status == SUCCESS
                if hashes := identity(url, caption, image if success else "", original):
                    yield _Row(table, hashes, SUCCESS if success else reason)


def _burial(run: Path, rows: Sequence[_Row], covered: Sequence[_Row], earlier: Burial) -> Burial:
    """Return what is to be removed, what an interrupted call had found included."""
    samples = {row.identity["uid"] for row in covered if "uid" in row.identity}
    gone = {id(row) for row in covered}
    stay = {row.identity.get("image_sha256") for row in rows if id(row) not in gone}
    pictures = {row.identity["image_sha256"] for row in covered if "image_sha256" in row.identity} - stay
    before = marked_models(run)
    models = {
        path.name: {
            "samples": before.get(path.name, {}).get("samples", 0) + len(samples),
            "pictures": before.get(path.name, {}).get("pictures", 0) + len(pictures),
        }
        for path in sorted((run / "models").glob("*"))
        if path.is_dir()
    }
    records = [record for record in Workspace(run).records() if not record["step"].startswith("acquire-")]
    written = {name.partition("/")[0] for record in records for name in record["outputs"]} - {"models"}
    present = [name for name in written | set(DERIVED) if (run / name).exists()]
    return Burial(
        rows=earlier.rows + len(covered),
        samples=tuple(sorted({*earlier.samples, *samples})),
        pictures=tuple(sorted({*earlier.pictures, *pictures})),
        steps=tuple(sorted({*earlier.steps, *(record["step"] for record in records)})),
        outputs=tuple(sorted({*earlier.outputs, *present})),
        # With nothing new, the marks are those of the call that was interrupted.
        models={**earlier.models, **models} if covered else earlier.models,
    )


def _scrub(run: Path, corpus: str, covered: Sequence[_Row], tombstones: Tombstones) -> None:
    """Write the shards of a corpus again that hold rows to be removed, and its record."""
    folder = run / ".part/takedown/raw" / corpus
    files.remove(folder)
    folder.mkdir(parents=True)
    for table in sorted({row.table for row in covered}):
        write_shard(list(tombstones.applied(read_rows(table))), folder, table.stem)
    written = files.files_below(folder)
    for path in written:
        files.sync_file(path)
    record = Workspace(run).record(f"acquire-{corpus}")
    if record is not None:
        new = {
            f"raw/{corpus}/{path.name}": {"sha256": files.sha256_file(path), "bytes": path.stat().st_size}
            for path in written
        }
        counts = _recounted(record["counts"], Counter(row.outcome for row in covered))
        record = {**record, "counts": counts, "outputs": {**record["outputs"], **new}}
    files.write_json(folder / "commit.json", record)
    _commit(run, folder)


def _recounted(counts: Counts, removed: Mapping[str, int]) -> Counts:
    """Return the counts of an acquisition after rows have gone, by what they had counted as."""
    if not {"in", "kept", "dropped"} <= counts.keys():
        return counts
    dropped: Counter[str] = Counter(counts["dropped"])
    for outcome, number in removed.items():
        dropped[REASON] += number
        if outcome != SUCCESS:
            dropped[outcome] -= number
    kept = counts["kept"] - removed.get(SUCCESS, 0)
    return {**counts, "kept": kept, "dropped": {key: dropped[key] for key in sorted(dropped) if dropped[key]}}


def _roll_forward(run: Path) -> None:
    """Bring to its end what an interrupted call had complete, and remove what it had not."""
    for folder in (run / ".part/takedown/raw").glob("*"):
        if (folder / "commit.json").is_file():
            _commit(run, folder)
        else:
            files.remove(folder)


def _commit(run: Path, folder: Path) -> None:
    """Put the new shards of a corpus in the place of the old ones, then its record; can be done again."""
    target = run / "raw" / folder.name
    for path in files.files_below(folder):
        if path.name != "commit.json":
            path.replace(target / path.name)
    files.sync_directory(target)
    record = files.read_json(folder / "commit.json")
    if record is not None:
        files.write_json(Workspace(run).record_path(record["step"]), record)
    files.remove(folder)


def _purge(run: Path, burial: Burial) -> None:
    """Remove the records and outputs of all steps after acquisition, models aside, and all scratch."""
    workspace = Workspace(run)
    for step in burial.steps:
        files.remove(workspace.record_path(step))
    for name in (*burial.outputs, ".prefect"):
        files.remove(run / name)
    for path in (run / ".part").glob("*"):
        if path.name != "takedown":
            files.remove(path)
    files.sync_directory(run)
