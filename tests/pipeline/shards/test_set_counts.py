"""One number of samples, wherever it is written down: 200 random sets, four to a directory."""

import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.files import read_json, sha256_bytes, write_json
from pipeline.licences import GROUPS, licence_group
from pipeline.sample import Sample, sample_uid
from pipeline.shards.extras import write_extras
from pipeline.shards.stage import write_manifest
from pipeline.shards.verify import verify_stages
from pipeline.shards.write import ShardGroup, StagedSample, samples_by_group, write_shards
from pipeline.tables import read_columns, write_table

LICENCES = ("MIT", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "NOASSERTION")
LAYOUTS = st.fixed_dictionaries({"min_shards": st.integers(1, 4), "max_shard_bytes": st.integers(20_000, 100_000)})
SETS = st.lists(
    st.tuples(st.lists(st.sampled_from(LICENCES), min_size=1, max_size=50), LAYOUTS), min_size=4, max_size=4
)


def staged(number: int, stage: int, rank: int, licence: str) -> StagedSample:
    image = number.to_bytes(2, "big") * (1 + number % 300)
    caption = "word " * (number % 4) + str(number)
    digest = sha256_bytes(image)
    uid = sample_uid(digest, caption)
    names = {"lang": "en", "corpus": "c", "group": "g", "attribution": "a", "url": "u"}
    sample = Sample(uid=uid, image_sha256=digest, caption=caption, licence=licence, **names)
    return StagedSample(sample=sample, image=image, stage=stage, rank=rank, difficulty=rank / 7 if stage else None)


def write_set(folder: Path, samples: list[StagedSample], layout: dict[str, int]) -> dict[str, Any]:
    groups = []
    for name in GROUPS:
        own = [sample for sample in samples if licence_group(sample.sample.licence) == name]
        groups.append(ShardGroup(own, len(own), name))
    return {"path": folder.name, **write_shards(groups, folder, **layout)}


def write_all(folder: Path, sets: list[tuple[list[str], dict[str, int]]], stages: int) -> dict[str, list[str]]:
    """Write a stages directory, the first sets as stages; return the uids of each set in their order."""
    number, trained, held_out, uids = 0, [], [], {}
    for place, (licences, layout) in enumerate(sets):
        stage = place + 1 if place < stages else 0
        samples = [
            staged(number + rank, stage, number + rank if stage else rank, licence)
            for rank, licence in enumerate(licences)
        ]
        number += len(samples)
        name = f"{stage}-s" if stage else f"eval-{place}"
        entry = write_set(folder / name, samples, layout)
        uids[name] = [sample.sample.uid for sample in samples]
        if stage:
            trained.append({"stage": stage, "name": "s", **entry})
        else:
            held_out.append({"split": str(place), "name": name, **entry})
    write_manifest(folder, 16, "0" * 64, trained, held_out, further=write_beside(folder, uids))
    return uids


def write_beside(folder: Path, uids: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Write a control and a tree of all samples, and from them what belongs to the stages."""
    source = folder.parent / "curriculum"
    every = [uid for own in uids.values() for uid in own]
    write_table(source / "controls/reversed.parquet", {"uid": every[::-1], "rank": list(range(len(every)))})
    nodes = [{"id": "root", "level": 0, "samples": len(every)}]
    nodes.append({"id": "root/a", "level": 1, "samples": len(every[::2]), "members": sorted(every[::2])})
    write_json(source / "ontology.json", {"nodes": nodes, "with_noun": 0})
    own = {name: own for name, own in uids.items() if not name.startswith("eval-")}
    return write_extras(folder, source / "controls", source / "ontology.json", own)


@pytest.mark.slow
@settings(max_examples=50)
@given(sets=SETS, stages=st.integers(1, 4))
def test_counts_agree_everywhere(
    tmp_path_factory: pytest.TempPathFactory, sets: list[tuple[list[str], dict[str, int]]], stages: int
) -> None:
    root = tmp_path_factory.mktemp("layout")
    folder = root / "stages"
    uids = write_all(folder, sets, stages)
    manifest = read_json(folder / "manifest.json")
    entries = {entry["path"]: entry for entry in (*manifest["stages"], *manifest["evaluation"])}
    for name, own in uids.items():
        assert read_columns(folder / name / "index.parquet")["uid"] == own
        assert counted(folder / name, entries[name]) == {len(own)}
    assert sum(samples_by_group(entries.values()).values()) == sum(map(len, uids.values()))
    trained = sorted(uid for name, own in uids.items() if not name.startswith("eval-") for uid in own)
    assert len(np.load(folder / "subsets/all.npy")) == len(trained)
    assert sorted(read_columns(folder / "orders/reversed.parquet")["uid"]) == trained
    assert read_json(folder / "ontology.json")["nodes"][0]["samples"] == len(trained)
    assert verify_stages(folder) == []
    shutil.rmtree(root)


def counted(folder: Path, entry: dict[str, Any]) -> set[int]:
    """Return what is said of the number of samples of a set, by everything that says it."""
    in_tars = 0
    for shard in entry["shards"]:
        with tarfile.open(folder / shard["file"]) as tar:
            in_tars += len({name.partition(".")[0] for name in tar.getnames()})
    subset = folder.parent / f"subsets/{folder.name}.npy"
    return {
        entry["samples"],
        in_tars,
        sum(shard["samples"] for shard in entry["shards"]),
        sum(read_json(folder / "sizes.json").values()),
        sum(shard["nsamples"] for shard in read_json(folder / "index.json")["shardlist"]),
        len(np.load(subset)) if subset.is_file() else entry["samples"],
    }
