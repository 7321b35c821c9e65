"""Files that are sound by themselves and do not say the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rewritten import resign

from pipeline.files import digest, read_json, write_json
from pipeline.shards.subset import write_subset
from pipeline.shards.verify import verify_stages
from pipeline.tables import read_columns, read_table, write_table


def test_index_rows_must_equal_the_manifest(stages: Path) -> None:
    path = stages / "1-one/index.parquet"
    columns = read_columns(path)
    write_table(path, {name: values[1:] for name, values in columns.items()})
    resign(stages)
    assert any(str(path) in problem for problem in verify_stages(stages))


def edit_table(path: Path, change: Callable[[dict[str, list[Any]]], None]) -> None:
    columns = read_columns(path)
    schema = read_table(path).schema
    change(columns)
    write_table(path, pa.table(columns, schema=schema))


def edit_json(path: Path, change: Callable[[Any], None]) -> None:
    value = read_json(path)
    change(value)
    write_json(path, value)


def swap_ranks(columns: dict[str, list[Any]]) -> None:
    columns["rank"][:2] = columns["rank"][1::-1]


def replace_uid(columns: dict[str, list[Any]]) -> None:
    columns["uid"][3] = columns["uid"][4]


def add_member_to_node(tree: Any) -> None:
    tree["nodes"][1]["members"].append("f" * 32)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("orders/random.parquet", lambda p: edit_table(p, replace_uid), "is not of the training samples, each once"),
        ("orders/random.parquet", lambda p: edit_table(p, swap_ranks), "is not in the order of its ranks"),
        ("ontology.json", lambda p: edit_json(p, add_member_to_node), "that are not in the shards"),
        ("ontology.json", lambda p: edit_json(p, add_member_to_node), "samples and says"),
        ("subsets/all.npy", lambda p: write_subset(p, ["a" * 32]), "does not name the samples of its shards"),
        ("subsets/2-two.npy", lambda p: write_subset(p, []), "does not name the samples of its shards"),
        ("subsets/2-two.npy", lambda p: p.write_bytes(b"junk"), "no array that NumPy can load"),
    ],
)
def test_what_lies_beside_the_shards_is_compared_with_them(
    stages: Path, name: str, change: Callable[[Path], None], said: str
) -> None:
    change(stages / name)
    resign(stages)
    problems = verify_stages(stages)
    assert problems and all(str(stages / name) in problem for problem in problems), problems
    assert any(said in problem for problem in problems), problems


@pytest.mark.parametrize("name", ["sizes.json", "index.json"])
def test_what_other_readers_are_told_is_what_the_manifest_says(stages: Path, name: str) -> None:
    path = stages / "2-two" / name
    path.write_text(path.read_text().replace("2", "3"))
    problems = verify_stages(stages)
    assert f"{path} does not agree with the manifest" in problems


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda entry: entry.update(words=entry["words"] + 1), "words, the manifest says"),
        (lambda entry: entry.update(stage=4), "holds samples of another stage"),
        (lambda entry: entry.update(samples=entry["samples"] - 1), "rows, the manifest says"),
        (lambda entry: entry["shards"][0].update(samples=1), "samples, the manifest says 1"),
        (lambda entry: entry["shards"].pop(), "is not named by the manifest"),
    ],
)
def test_counts_of_the_manifest_are_those_of_the_files(
    stages: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    manifest = read_json(stages / "manifest.json")
    change(manifest["stages"][1])
    resign(stages, stages=manifest["stages"])
    problems = verify_stages(stages)
    assert any(said in problem for problem in problems), problems


def test_ranks_that_do_not_rise_from_stage_to_stage_are_found(stages: Path) -> None:
    manifest = read_json(stages / "manifest.json")
    first, second = manifest["stages"][:2]
    first["stage"], second["stage"] = second["stage"], first["stage"]
    resign(stages, stages=manifest["stages"])
    assert f"{stages}: the ranks do not rise from stage to stage" in verify_stages(stages)


def test_stages_of_an_earlier_version_are_to_be_made_again(stages: Path) -> None:
    manifest = read_json(stages / "manifest.json")
    del manifest["sha256"], manifest["stages"][0]["shards"][0]["md5"]
    write_json(stages / "manifest.json", {**manifest, "sha256": digest(manifest)})
    problems = verify_stages(stages)
    assert (
        f"{stages / '1-one'}: the manifest does not say the MD5 of its shards; stage again with this version"
        in problems
    )
