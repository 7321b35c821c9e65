"""What lies beside the shards: copies for a trainer, cut to the samples that are there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.files import files_below, read_json, sha256_file
from pipeline.shards.extras import ontology_part, write_extras
from pipeline.shards.read import open_stages
from pipeline.shards.subset import read_subset, subset_array
from pipeline.tables import read_columns


def test_a_trainer_finds_orders_and_ontology_as_the_curriculum_has_them(small_run: Path) -> None:
    stages, curriculum = small_run / "stages", small_run / "curriculum"
    names = sorted(path.name for path in (curriculum / "controls").iterdir())
    assert sorted(path.name for path in (stages / "orders").iterdir()) == names != []
    for name in names:
        assert read_columns(stages / "orders" / name) == read_columns(curriculum / "controls" / name)
    assert (stages / "ontology.json").read_bytes() == (curriculum / "ontology.json").read_bytes()


def test_every_file_beside_the_sets_is_in_the_manifest(small_run: Path) -> None:
    folder = small_run / "stages"
    listed = {entry["file"]: entry for entry in read_json(folder / "manifest.json")["files"]}
    beside = {
        path.relative_to(folder).as_posix() for name in ("orders", "subsets") for path in (folder / name).iterdir()
    }
    assert listed.keys() == {"ATTRIBUTION.csv", "ontology.json", *beside}
    for name, entry in listed.items():
        path = folder / name
        assert (entry["sha256"], entry["bytes"]) == (sha256_file(path), path.stat().st_size)


def test_a_part_of_the_samples_takes_the_same_part_of_everything(small_run: Path, tmp_path: Path) -> None:
    stages = open_stages(small_run / "stages").stages
    part = {stage.folder.name: list(stage.column("uid"))[number::3] for number, stage in enumerate(stages)}
    del part["3-three"]
    uids = {uid for own in part.values() for uid in own}
    source = small_run / "stages"
    entries = write_extras(tmp_path, source / "orders", source / "ontology.json", part)
    for path in (tmp_path / "orders").iterdir():
        whole, cut = read_columns(source / "orders" / path.name), read_columns(path)
        rows = [row for row, uid in enumerate(whole["uid"]) if uid in uids]
        assert cut == {name: [values[row] for row in rows] for name, values in whole.items()}
        assert set(cut["uid"]) == uids
    expected = {**part, "all": uids}
    assert {path.stem for path in (tmp_path / "subsets").iterdir()} == expected.keys()
    for name, own in expected.items():
        assert read_subset(tmp_path / f"subsets/{name}.npy").tobytes() == subset_array(own).tobytes()
    assert [entry["file"] for entry in entries] == sorted(
        (path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path)), key=order_of_entries
    )


def order_of_entries(name: str) -> tuple[int, bool, str]:
    return ("orders", "ontology.json", "subsets").index(name.partition("/")[0]), name.endswith("all.npy"), name


def test_a_part_of_an_ontology_counts_its_own() -> None:
    nodes = [
        {"id": "root", "level": 0, "samples": 3},
        {"id": "root/a", "level": 1, "samples": 2, "members": ["1", "2"]},
        {"id": "root/a/dog", "level": 2, "samples": 2, "members": ["1", "2"]},
        {"id": "root/b", "level": 1, "samples": 1, "members": ["3"]},
        {"id": "root/b/cat", "level": 2, "samples": 1, "members": ["3"]},
    ]
    part = ontology_part({"min_count": 1, "with_noun": 3, "nodes": nodes}, {"1"})
    assert [(node["id"], node["samples"]) for node in part["nodes"]] == [("root", 1), ("root/a", 1), ("root/a/dog", 1)]
    assert (part["min_count"], part["with_noun"]) == (1, 1)
    assert nodes[1]["members"] == ["1", "2"]


STAGE = """
import sys
from pathlib import Path
from pipeline.shards.config import StageConfig
from pipeline.shards.stage import stage
stage(StageConfig(image_size=32), Path(sys.argv[1]), Path(sys.argv[2]), workers=1)
"""


@pytest.mark.parametrize("seed", ["1", "2"])
def test_bytes_do_not_depend_on_how_a_process_hashes(small_run: Path, tmp_path: Path, seed: str) -> None:
    run = os.path.relpath(small_run, tmp_path)
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", STAGE, run, "new"], cwd=tmp_path, env=environment, check=True, timeout=120)
    made = {p.relative_to(tmp_path / "new").as_posix(): sha256_file(p) for p in files_below(tmp_path / "new")}
    expected = {p.relative_to(small_run).as_posix(): sha256_file(p) for p in files_below(small_run / "stages")}
    assert made == expected
