"""Whether the files of a stages directory, each sound by itself, say the same of the samples."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import DataError
from pipeline.shards.extras import ALL, ONTOLOGY, ORDERS, SUBSETS
from pipeline.shards.subset import read_subset, subset_array
from pipeline.tables import read_columns


def verify_agreement(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """Return what does not agree, one line each naming the file.

    Checked: words and stage of every set; ranks, which rise through all stages and in each evaluation set; and what the
    manifest lists of orders, ontology and subsets, which are of exactly the training samples.

    Args:
        folder: the stages directory, of which every file has its sha256.
        manifest: of the directory.
    """
    stages = sorted(manifest["stages"], key=lambda entry: int(entry["stage"]))
    tables = {
        entry["path"]: read_columns(folder / entry["path"] / "index.parquet", ["uid", "words", "stage", "rank"])
        for entry in (*stages, *manifest["evaluation"])
    }
    problems: list[str] = []
    for entry in (*stages, *manifest["evaluation"]):
        problems += _verify_rows(folder / entry["path"] / "index.parquet", entry, tables[entry["path"]])
    ranks = [rank for entry in stages for rank in tables[entry["path"]]["rank"]]
    if not _rises(ranks):
        problems.append(f"{folder}: the ranks do not rise from stage to stage")
    uids = {entry["path"]: tables[entry["path"]]["uid"] for entry in stages}
    for name in (file["file"] for file in manifest.get("files", ())):
        problems += _verify_extra(folder, name, uids)
    return problems


def _verify_rows(index: Path, entry: Mapping[str, Any], columns: Mapping[str, list[Any]]) -> Iterator[str]:
    words = sum(columns["words"])
    if words != entry["words"]:
        yield f"{index} holds {words} words, the manifest says {entry['words']}"
    if set(columns["stage"]) != {entry.get("stage", 0)}:
        yield f"{index} holds samples of another stage"
    if not _rises(columns["rank"]):
        yield f"{index} is not in the order of its ranks"


def _rises(ranks: Sequence[int]) -> bool:
    return all(one < other for one, other in pairwise(ranks))


def _verify_extra(folder: Path, name: str, uids: Mapping[str, Sequence[str]]) -> list[str]:
    """Compare one of the files beside the sets with the uids of the stages."""
    kind, _, file = name.partition("/")
    everything = [uid for own in uids.values() for uid in own]
    if kind == ORDERS:
        return _verify_order(folder / name, everything)
    if kind == SUBSETS:
        own = {**uids, ALL: everything}
        return _verify_subset(folder / name, own.get(file.removesuffix(".npy"), ()))
    if kind == ONTOLOGY:
        return _verify_ontology(folder / name, set(everything))
    return []


def _verify_order(path: Path, uids: Sequence[str]) -> list[str]:
    columns = read_columns(path, ["uid", "rank"])
    if sorted(columns["uid"]) != sorted(uids):
        return [f"{path} is not of the training samples, each once"]
    return [] if _rises(columns["rank"]) else [f"{path} is not in the order of its ranks"]


def _verify_subset(path: Path, uids: Sequence[str]) -> list[str]:
    try:
        same = read_subset(path).tobytes() == subset_array(uids).tobytes()
    except DataError as error:
        return [str(error)]
    return [] if same else [f"{path} does not name the samples of its shards"]


def _verify_ontology(path: Path, uids: set[str]) -> list[str]:
    problems = []
    for node in files.read_json(path)["nodes"]:
        members = node.get("members", uids)
        if node["samples"] != len(members):
            problems.append(f"{path}: {node['id']} holds {len(members)} samples and says {node['samples']}")
        if not uids.issuperset(members):
            problems.append(f"{path}: {node['id']} holds samples that are not in the shards")
    return problems
