"""What a stages directory, or a whole run, promises about itself, checked file by file.

Readers of tar archives accept truncated and altered files without a word (webdataset does in each of five cases), so
nothing here trusts them: content is compared by sha256, then member by member with the index.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import ConfigError, DataError
from pipeline.licences import CLOSED
from pipeline.shards.agreement import verify_agreement
from pipeline.shards.contents import verify_content, verify_set
from pipeline.shards.layout import MANIFEST, NOTE, check_shards
from pipeline.shards.read import file_names, read_manifest
from pipeline.workspace import Workspace, check_funnel


def verify_stages(folder: Path) -> list[str]:
    """Return what is wrong with a stages directory, one line each naming the file; nothing where all is well.

    Checked: the manifest against its own digest; every index, shard and ``sizes.json`` against the manifest; files that
    are missing, extra or swapped; in each shard regular members only, adjacent and sorted, and equal to the index; no
    uid twice in the whole directory; no licence in a shard whose name promises less restrictive ones; and, where all
    that is so, that ranks rise and that orders, subsets and ontology are of the samples that are there. What has been
    published is a stages directory too; of that, also the cards (see `pipeline.cards.check`).
    """
    try:
        manifest = read_manifest(folder)
    except DataError as error:
        return [str(error)]
    entries = [*manifest["stages"], *manifest["evaluation"]]
    by_hash = _names_by_hash(manifest)
    problems = list(_listing(folder, set(file_names(manifest))))
    for file in manifest.get("files", ()):
        problems += verify_content(folder / file["file"], file, by_hash)
    if "published" in manifest:
        problems += _published(folder, manifest["published"], entries)
    seen: dict[str, str] = {}
    for entry in entries:
        problems += verify_set(folder, entry, by_hash, seen)
    problems = problems or verify_agreement(folder, manifest)
    return problems if problems or "published" not in manifest else _cards(folder, manifest)


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


def _cards(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """Check the words of what is published."""
    from pipeline.cards.check import check_cards, check_model_card
    from pipeline.cards.datacard import MODELS

    names = file_names(manifest)
    models = sorted({name.split("/")[1] for name in names if name.startswith(f"{MODELS}/")})
    problems = check_cards(folder, names)
    return problems + [problem for name in models for problem in check_model_card(folder / MODELS / name)]


def _names_by_hash(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of the files that the manifest holds a sha256 of."""
    names = {file["sha256"]: file["file"] for file in manifest.get("files", ())}
    for entry in (*manifest["stages"], *manifest["evaluation"]):
        names |= {file["sha256"]: f"{entry['path']}/{file['file']}" for file in (entry["index"], *entry["shards"])}
    return names


def _listing(folder: Path, expected: set[str]) -> Iterator[str]:
    """Compare the files that are there with the files that the manifest names."""
    try:
        found = {path.relative_to(folder).as_posix() for path in files.files_below(folder)} - {NOTE}
    except ConfigError as error:
        yield str(error)
        return
    yield from (f"{folder / name} is missing" for name in sorted(expected - found))
    yield from (f"{folder / name} is not named by the manifest" for name in sorted(found - expected))


def _published(folder: Path, counts: dict[str, Any], entries: list[dict[str, Any]]) -> list[str]:
    """Check what a published set says it took in, kept and left out."""
    problems = []
    try:
        check_funnel("publish", counts)
    except DataError as error:
        problems.append(f"{folder / MANIFEST}: {error}")
    staged = sum(entry["samples"] for entry in entries)
    if staged != counts["kept"]:
        problems.append(f"{folder / MANIFEST}: {staged} samples are here, {counts['kept']} were published")
    if any(shard["licence"] == CLOSED for entry in entries for shard in entry["shards"]):
        problems.append(f"{folder / MANIFEST} names shards of a source that may not be redistributed")
    return problems


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
        return [f"{run / 'stages' / MANIFEST} was made from another order than {order}; stage again"]
    return []


def check_readers(folder: Path, readers: int) -> None:
    """Raise where a stage of a stages directory has fewer shards than readers; see `check_shards`.

    Raises:
        ConfigError: with what to change.
        DataError: the manifest is missing or damaged.
    """
    for entry in read_manifest(folder)["stages"]:
        check_shards(entry, workers=readers)
