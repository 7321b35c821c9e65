"""Whatever the sets and shards: manifest, sizes, index, card, Croissant, table, script and tars count the same."""

import json
import os
import re
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_datacard import parts, table

from pipeline.cards.config import CardConfig
from pipeline.cards.datacard import describe
from pipeline.cards.facts import gather
from pipeline.cards.open_clip import train_data
from pipeline.curriculum.exposure import growth_by_stage
from pipeline.files import read_json
from pipeline.licences import GROUPS
from pipeline.sample import Sample, sample_uid
from pipeline.shards.read import open_stages
from pipeline.shards.stage import write_manifest
from pipeline.shards.write import ShardGroup, StagedSample, write_shards
from pipeline.tables import read_columns

EXAMPLES = int(os.environ.get("ESSEN_EXAMPLES", "25"))  # configurations
LICENCES = {
    "open": "CC-BY-4.0",
    "share_alike": "CC-BY-SA-4.0",
    "non_commercial": "CC-BY-NC-4.0",
    "unknown": "NOASSERTION",
}
SIZES = st.dictionaries(st.sampled_from(sorted(LICENCES)), st.integers(1, 40), min_size=1)


def staged(name: str, group: str, number: int, stage: int, rank: int) -> StagedSample:
    digest = f"{hash_of(name, group, number):064x}"
    caption = " ".join(["word"] * (1 + number % 4))
    sample = Sample(
        uid=sample_uid(digest, caption),
        image_sha256=digest,
        caption=caption,
        lang="en",
        corpus=f"corpus-{group}",
        group=str(number),
        licence=LICENCES[group],
        attribution="The painters",
        url="test:",
    )
    difficulty = rank / 1_000 if stage else None
    return StagedSample(sample=sample, image=b"\xff\xd8" + bytes(number), stage=stage, rank=rank, difficulty=difficulty)


def hash_of(*parts: object) -> int:
    return int.from_bytes(json.dumps(parts).encode()) % 2**256


def write_set(root: Path, path: str, sizes: dict[str, int], stage: int, rank: int, min_shards: int) -> dict[str, Any]:
    groups = []
    for group in GROUPS:
        if count := sizes.get(group, 0):
            samples = [staged(path, group, number, stage, rank + number) for number in range(count)]
            groups.append(ShardGroup(samples, count, group))
            rank += count
    return {"path": path, **write_shards(groups, root / path, min_shards=min_shards, max_shard_bytes=40_960)}


def tar_counts(folder: Path) -> dict[str, int]:
    counts = {}
    for shard in sorted(folder.glob("*.tar")):
        with tarfile.open(shard) as tar:
            counts[shard.name] = len({name.partition(".")[0] for name in tar.getnames()})
    return counts


@pytest.mark.slow
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    stages=st.lists(SIZES, min_size=1, max_size=3),
    evaluation=st.lists(SIZES, max_size=2),
    min_shards=st.integers(1, 4),
    pool=st.sampled_from(["disjoint", "cumulative"]),
)
def test_all_counts_agree(
    small_run: Path, stages: list[dict[str, int]], evaluation: list[dict[str, int]], min_shards: int, pool: str
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        run, root = Path(scratch) / "run", Path(scratch) / "stages"
        (run / "curriculum").mkdir(parents=True)
        shutil.copy(small_run / "curriculum/summary.json", run / "curriculum/summary.json")
        starts = [sum(sum(sizes.values()) for sizes in stages[:place]) for place in range(len(stages))]
        spread = {"difficulty": {"median": 0.2, "min": 0.1, "max": 0.3}}
        trained = [
            {"stage": n, "name": f"s{n}", **spread, **write_set(root, f"{n}-s{n}", sizes, n, start, min_shards)}
            for n, (sizes, start) in enumerate(zip(stages, starts, strict=True), start=1)
        ]
        held_out = [
            {"split": f"e{n}", "name": f"eval-e{n}", **write_set(root, f"eval-e{n}", sizes, 0, 0, min_shards)}
            for n, sizes in enumerate(evaluation)
        ]
        exposure = {"pool": pool, "replay": 0.0, "word_budget": None}
        write_manifest(root, 32, "0" * 64, trained, held_out, exposure=exposure)
        check(run, root, pool)


def check(run: Path, root: Path, pool: str) -> None:
    opened = open_stages(root)
    sets = (*opened.stages, *opened.evaluation.values())
    tables = {part.entry["path"]: part.table for part in sets}
    rows = pa.concat_tables(tables.values()).to_pylist()
    growth = growth_by_stage({part.stage: part.table.column("caption") for part in opened.stages})
    describe(gather(CardConfig(), run, opened.manifest, rows, (), growth=growth), tables, root)

    counted = {part.entry["path"]: part.entry["samples"] for part in sets}
    assert {part.entry["path"]: len(part) for part in sets} == counted
    for path in counted:
        sizes = read_json(root / path / "sizes.json")
        assert tar_counts(root / path) == sizes and sum(sizes.values()) == counted[path]
    described = read_columns(root / "samples.parquet", ["set", "words"])
    assert {path: described["set"].count(path.removeprefix("eval-")) for path in counted} == counted
    train = [entry["samples"] for entry in opened.manifest["stages"]]
    records = {e["@id"]: int(e["description"].split()[0]) for e in read_json(root / "croissant.json")["recordSet"]}
    assert records.pop("all") == sum(train) == train_data(opened.manifest).samples
    assert list(records.values()) == list(counted.values())
    front, body = parts(root / "README.md")
    assert [int(row[2]) for row in table(body, "### Stages")] == train
    assert [int(row[1]) for row in table(body, "### Splits")] == [sum(train), *list(counted.values())[len(train) :]]
    assert sum(int(row[2].replace(",", "")) for row in table(body, "## Licences")) == sum(counted.values())
    assert f"with {sum(described['words']):,} words" in body
    assert [len(list(root.glob(path))) for path in front["configs"][0]["data_files"][0]["path"]] == [
        len(entry["shards"]) for entry in opened.manifest["stages"]
    ]
    script = (root / "train_open_clip.sh").read_text()
    shown = [int(number) for number in re.findall(r'^    train \d-\S+ ".*" (\d+) ', script, flags=re.MULTILINE)]
    assert shown == ([sum(train[: n + 1]) for n in range(len(train))] if pool == "cumulative" else train)
