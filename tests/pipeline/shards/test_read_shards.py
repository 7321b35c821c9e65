import io
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import DataError
from pipeline.files import digest, read_json, write_json
from pipeline.shards.read import ShardReader, open_stages


def test_rows_are_counted_through_the_sets(small_run: Path) -> None:
    stages = open_stages(small_run / "stages")
    reader = ShardReader(*stages.stages)
    assert len(reader) == sum(map(len, stages.stages)) == 120
    second = ShardReader(stages.stages[1])
    start = len(stages.stages[0])
    for row in (0, 7, len(second) - 1):
        assert reader.read(start + row) == second.read(row)
    with Image.open(io.BytesIO(reader.read(119))) as image:
        assert image.size == (stages.image_size, stages.image_size) == (32, 32)


def test_a_reader_can_be_sent_to_another_process(small_run: Path) -> None:
    reader = ShardReader(open_stages(small_run / "stages").evaluation["validation"])
    first = reader.read(3)
    assert pickle.loads(pickle.dumps(reader)).read(3) == first  # noqa: S301 - just written here


def test_opening_names_what_is_missing_or_cut(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no manifest.json"):
        open_stages(tmp_path)
    folder = Path(shutil.copytree(small_run / "stages", tmp_path / "stages"))
    shard = folder / "2-two/00000.tar"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    with pytest.raises(DataError, match=r"2-two/00000.tar is missing or has the wrong size"):
        open_stages(folder)
    shard.write_bytes(whole)
    (folder / "1-one/index.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=r"1-one/index.parquet is missing or damaged"):
        open_stages(folder)


def test_a_shard_that_shrinks_after_opening_is_noticed(small_run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_run / "stages", tmp_path / "stages"))
    part = open_stages(folder).stages[0]
    with (folder / "1-one/00000.tar").open("r+b") as file:
        file.truncate(600)
    with pytest.raises(DataError, match="ends before the picture"):
        ShardReader(part).read(len(part) // 4)


@pytest.mark.parametrize("name", ["../elsewhere", "/etc", "a/../../b", "..", ""])
def test_a_manifest_cannot_point_outside_its_folder(small_run: Path, tmp_path: Path, name: str) -> None:
    manifest = read_json(small_run / "stages/manifest.json")
    manifest["stages"][0]["path"] = name
    del manifest["sha256"]
    write_json(tmp_path / "manifest.json", {**manifest, "sha256": digest(manifest)})
    with pytest.raises(DataError, match="outside its own folders"):
        open_stages(tmp_path)


def test_reading_needs_nothing_heavy() -> None:
    heavy = ("torch", "PIL", "spacy", "pydantic", "prefect")
    code = f"import sys, pipeline.shards.read; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
