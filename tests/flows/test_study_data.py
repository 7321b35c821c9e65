"""The data of a study: no arm is trained on what all arms are asked."""

from pathlib import Path

import pytest
from PIL import Image

from flows.study.data import check_asked
from pipeline import files
from pipeline.errors import DataError
from pipeline.sample import Sample, sample_uid
from pipeline.shards.stage import write_manifest
from pipeline.shards.write import ShardGroup, StagedSample, write_shards


def staged_run(folder: Path, trained: list[int], asked: list[int]) -> Path:
    """Write a run with nothing but stages: a stage and a test set of grey pictures."""

    def sample(grey: int, stage: int) -> StagedSample:
        picture = folder / f"{grey}.jpg"
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (grey, grey, grey)).save(picture)
        image = picture.read_bytes()
        digest, caption = files.sha256_bytes(image), f"grey {grey}"
        about = {
            "lang": "en",
            "corpus": "greys",
            "group": caption,
            "licence": "MIT",
            "attribution": "Us",
            "url": "test:",
        }
        made = Sample(uid=sample_uid(digest, caption), image_sha256=digest, caption=caption, **about)
        return StagedSample(sample=made, image=image, stage=stage, rank=grey, difficulty=0.5 if stage else None)

    parts = [("1-all", [sample(grey, 1) for grey in trained]), ("eval-test", [sample(grey, 0) for grey in asked])]
    entries = [
        {"path": name, **write_shards([ShardGroup(own, len(own))], folder / "stages" / name)} for name, own in parts
    ]
    stages = [{"stage": 1, "name": "all", **entries[0]}]
    write_manifest(folder / "stages", 8, "0" * 64, stages, [{"split": "test", "name": "eval-test", **entries[1]}])
    return folder


def test_pictures_that_are_asked_for_may_not_be_trained_on(tmp_path: Path) -> None:
    baseline = staged_run(tmp_path / "baseline", [10, 20, 30], [40, 50])
    check_asked(baseline, baseline)
    check_asked(staged_run(tmp_path / "more", [10, 20, 30, 60], [40]), baseline)
    with pytest.raises(DataError, match="1 of its training pictures are asked for"):
        check_asked(staged_run(tmp_path / "leak", [10, 50], [40]), baseline)
