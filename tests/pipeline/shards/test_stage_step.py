import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from run_tables import write_samples

from pipeline.errors import DataError
from pipeline.files import files_below, read_json
from pipeline.sample import sample_uid
from pipeline.shards.config import StageConfig
from pipeline.shards.read import open_stages
from pipeline.shards.stage import stage
from pipeline.tables import read_columns, write_table
from pipeline.workspace import check_funnel


def tree(folder: Path) -> dict[str, str]:
    paths = files_below(folder)
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def test_bytes_depend_on_neither_workers_nor_directory_nor_run(
    small_run: Path, new_run: Callable[[Path], Path], tmp_path: Path
) -> None:
    other = new_run(tmp_path / "another place")
    shutil.copytree(small_run / "curriculum", other / "curriculum")
    stage(StageConfig(image_size=32), other, tmp_path / "two", workers=2)
    stage(StageConfig(image_size=32), small_run, tmp_path / "one", workers=1)
    expected = tree(small_run / "stages")
    assert len(expected) == 35
    assert tree(tmp_path / "two/stages") == expected
    assert tree(tmp_path / "one/stages") == expected


def test_every_kept_sample_is_staged_once_in_its_set(small_run: Path) -> None:
    split = read_columns(small_run / "selection/kept.parquet")
    order = read_columns(small_run / "curriculum/order.parquet")
    stages = open_stages(small_run / "stages")
    found = [uid for part in stages.stages for uid in part.column("uid")]
    assert found == order["uid"]
    assert [rank for part in stages.stages for rank in part.column("rank")] == list(range(len(found)))
    for name, part in stages.evaluation.items():
        assert list(part.column("uid")) == sorted(
            uid for uid, s in zip(split["uid"], split["split"], strict=True) if s == name
        )
        assert set(part.column("stage")) == {0}
        assert part.table.column("difficulty").null_count == len(part)
    assert set(stages.evaluation) == {"validation", "test_names"}


def test_counts_and_manifest_agree(small_run: Path, tmp_path: Path) -> None:
    counts = stage(StageConfig(image_size=16), small_run, tmp_path, workers=1)
    check_funnel("stage", counts)
    manifest = read_json(tmp_path / "stages/manifest.json")
    assert counts["stages"] == {entry["name"]: entry["samples"] for entry in manifest["stages"]}
    assert counts["evaluation"] == {entry["split"]: entry["samples"] for entry in manifest["evaluation"]}
    assert counts["in"] == 160
    medians = [entry["difficulty"]["median"] for entry in manifest["stages"]]
    assert medians == sorted(medians)


def copied(small_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_run, tmp_path / "run", ignore=shutil.ignore_patterns("stages")))


def corrupt_picture(run: Path, uid: str, *, keep_hash: bool) -> Path:
    """Cut the tail off a sample's raw picture; with `keep_hash` the signals hold the damaged bytes' own hash."""
    rows = read_columns(run / "signals/samples.parquet")
    place = rows["uid"].index(uid)
    tar, offset, size = run / rows["raw_shard"][place], rows["raw_offset"][place], rows["raw_size"][place]
    data = bytearray(tar.read_bytes())
    data[offset + size // 2 : offset + size] = bytes(size - size // 2)
    tar.write_bytes(data)
    if keep_hash:
        rows["image_sha256"][place] = hashlib.sha256(data[offset : offset + size]).hexdigest()
        write_samples(run, rows)
    return tar


@pytest.mark.parametrize(("keep_hash", "said"), [(False, "is not what was acquired"), (True, "is not whole")])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_damaged_raw_picture_is_one_line_and_no_manifest(
    small_run: Path, tmp_path: Path, keep_hash: bool, said: str, workers: int
) -> None:
    run = copied(small_run, tmp_path)
    rows = read_columns(run / "signals/samples.parquet")
    png = {uid for uid, ext in zip(rows["uid"], rows["ext"], strict=True) if ext == "png"}
    uid = next(uid for uid in read_columns(run / "curriculum/order.parquet")["uid"] if uid in png)
    tar = corrupt_picture(run, uid, keep_hash=keep_hash)
    with pytest.raises(DataError, match=said) as caught:
        stage(StageConfig(image_size=16), run, tmp_path, workers=workers)
    assert str(tar) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "stages/manifest.json").exists()


def test_a_missing_raw_shard_is_named(small_run: Path, tmp_path: Path) -> None:
    run = copied(small_run, tmp_path)
    (run / "raw/lines/00000.tar").unlink()
    with pytest.raises(DataError, match=r"lines/00000.tar is missing; run acquire again"):
        stage(StageConfig(image_size=16), run, tmp_path, workers=1)


def test_an_order_of_other_samples_is_refused(small_run: Path, tmp_path: Path) -> None:
    run = copied(small_run, tmp_path)
    order = read_columns(run / "curriculum/order.parquet")
    write_table(run / "curriculum/order.parquet", {name: values[1:] for name, values in order.items()})
    with pytest.raises(DataError, match="run order again"):
        stage(StageConfig(image_size=16), run, tmp_path, workers=1)


def test_a_caption_that_lives_on_is_staged_with_the_picture_that_stayed(small_run: Path, tmp_path: Path) -> None:
    """And the picture goes to the shards of the strictest licence, of the caption's own source too."""
    run = copied(small_run, tmp_path)
    kept = read_columns(run / "selection/kept.parquet")
    order = read_columns(run / "curriculum/order.parquet")
    samples = read_columns(run / "signals/samples.parquet")
    here, there = (kept["uid"].index(uid) for uid in order["uid"][:2])
    row = {name: values[here] for name, values in kept.items()}
    caption = {name: kept[name][there] for name in ("caption", "caption_uid")}
    pair = {
        **row,
        **caption,
        "uid": sample_uid(row["image_sha256"], caption["caption"]),
        "attribution": "A; caption: B",
    }
    write_table(run / "selection/kept.parquet", {name: [*values, pair[name]] for name, values in kept.items()})
    last = {name: values[-1] for name, values in order.items()} | {"uid": pair["uid"], "rank": len(order["uid"])}
    write_table(run / "curriculum/order.parquet", {name: [*values, last[name]] for name, values in order.items()})
    samples["licence"][samples["uid"].index(caption["caption_uid"])] = "CC-BY-SA-4.0"
    write_table(run / "signals/samples.parquet", samples)
    stage(StageConfig(image_size=16), run, tmp_path, workers=1)
    staged = {row["uid"]: row for part in open_stages(tmp_path / "stages").stages for row in part.table.to_pylist()}
    assert (staged[pair["uid"]]["caption"], staged[pair["uid"]]["attribution"]) == (pair["caption"], "A; caption: B")
    assert staged[pair["uid"]]["shard"].startswith("sa-") and staged[pair["picture_uid"]]["shard"].startswith("sa-")
