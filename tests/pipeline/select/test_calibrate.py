"""Planted copies and labelled ones: recall and precision by tier, a figure of the curves, and a sheet of pairs."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_contamination import scene

from pipeline import files
from pipeline.errors import ConfigError
from pipeline.measure.embed import EfficientNetLite0
from pipeline.select.calibrate import CalibrationConfig, calibrate, found, planted, sample
from pipeline.select.judgement import SWEEPS, is_reported, judge, summary, wilson

TIERS = {"exact", "combined", *SWEEPS}


@pytest.fixture(scope="module")
def encoder() -> EfficientNetLite0:
    return EfficientNetLite0(64)


def test_planted_copies_are_found_and_nothing_else(tmp_path: Path, encoder: EfficientNetLite0) -> None:
    for n in range(12):
        files.write_bytes(tmp_path / f"pictures/{n}.png", scene(n))
    config = CalibrationConfig(pictures=10, transforms=("re-encode q60", "crop 5 %", "recolour", "flip"))
    result = calibrate(config, tmp_path / "out", pictures=tmp_path / "pictures", encoder=encoder)
    rows = {row["name"]: row for row in result["copies"]}
    assert set(rows) == set(config.transforms)
    both = zip(result["copies"], result["choosing"]["copies"], strict=True)
    assert all(row["known"] + other["known"] == 10 and row["known"] > 1 for row, other in both)
    assert all(set(row["tiers"]) == TIERS for row in rows.values())
    assert rows["re-encode q60"]["tiers"]["combined"] == {"recall": 1.0, "precision": 1.0}
    assert rows["re-encode q60"]["tiers"]["exact"]["recall"] == 0
    assert rows["recolour"]["tiers"]["redrawn"]["recall"] >= 0.7
    assert rows["flip"]["tiers"]["combined"]["recall"] == 0
    for row in rows.values():
        assert row["tiers"]["combined"]["precision"] in (None, 1.0)
    for tier, curve in result["curves"].items():
        for points in curve["copies"].values():
            recall = [point["recall"] for point in points]
            assert recall == sorted(recall, reverse=tier != "perceptual")  # looser finds more
    assert files.read_json(tmp_path / "out/calibration.json") == json.loads(json.dumps(result))
    for name in ("calibration.png", "calibration-pairs.png"):
        with Image.open(tmp_path / "out" / name) as image:
            assert min(image.size) > 100
    printed = summary(result)
    assert len(printed) == 5 + 2 * (1 + 5) and printed[1].startswith("re-encode q60")
    again = calibrate(config, tmp_path / "again", pictures=tmp_path / "pictures", encoder=encoder)
    assert again == result
    for name in ("calibration.json", "calibration-pairs.png"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_labelled_copies_and_consecutive_pages(corpora: Path, tmp_path: Path, encoder: EfficientNetLite0) -> None:
    """Some of the labelled pairs, with the stories that they are from."""
    stories = ("0004", "0210")
    books, truth = tmp_path / "picturebooks", tmp_path / "truth"
    with (corpora / "picturebooks/pages.jsonl").open(encoding="utf-8") as file:
        pages = [page for line in file if (page := json.loads(line))["story"] in stories and page["source"] == "asp"]
    for page in pages:
        (books / page["image"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(corpora / "picturebooks" / page["image"], books / page["image"])
    files.write_bytes(books / "pages.jsonl", "".join(json.dumps(page) + "\n" for page in pages).encode())
    with (corpora / "neardup-truth/pairs.csv").open(encoding="utf-8", newline="") as file:
        labels = [label for label in csv.DictReader(file) if label["dup_of"].split("-")[1] in stories]
    for label in labels:
        (truth / label["image"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(corpora / "neardup-truth" / label["image"], truth / label["image"])
    with (truth / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(labels[0]))
        writer.writeheader()
        writer.writerows(labels)
    result = calibrate(CalibrationConfig(), tmp_path / "out", truth=truth, encoder=encoder)
    for half in (result, result["choosing"]):
        recall = {row["name"]: row["tiers"]["combined"]["recall"] for row in half["copies"]}
        assert recall["labelled gsn-modified"] >= 0.85
        assert half["consecutive"]["pairs"] > 3
        assert half["consecutive"]["merged"]["combined"] == 0
    known = [
        row["known"] + other["known"] for row, other in zip(result["copies"], result["choosing"]["copies"], strict=True)
    ]
    assert sum(known) == len(labels)
    assert summary(result)[-1].startswith("merged story pages")


def test_what_cannot_be_calibrated_on_is_named(tmp_path: Path, encoder: EfficientNetLite0) -> None:
    with pytest.raises(ConfigError, match="there is nothing to calibrate on"):
        calibrate(CalibrationConfig(), tmp_path, encoder=encoder)
    with pytest.raises(ConfigError, match="there is no transform turn; there are re-encode q90"):
        calibrate(CalibrationConfig(transforms=("turn",)), tmp_path, encoder=encoder)
    with pytest.raises(ConfigError, match=r"has no pairs.csv with image, dup_of and relation"):
        calibrate(CalibrationConfig(), tmp_path, truth=tmp_path, encoder=encoder)
    (tmp_path / "one").mkdir()
    with pytest.raises(ConfigError, match="fewer than two pictures"):
        calibrate(CalibrationConfig(), tmp_path, pictures=tmp_path / "one", encoder=encoder)


def test_thresholds_are_chosen_on_the_half_for_choosing_alone(tmp_path: Path, encoder: EfficientNetLite0) -> None:
    """Where pairs of the other half change, the suggestion and the curves stay."""
    for n in range(16):
        files.write_bytes(tmp_path / f"pictures/{n}.png", scene(n))
    config = CalibrationConfig(pictures=16, transforms=("crop 10 %", "recolour"), tolerance=0)
    trials = planted(config, sample(config, found(None, tmp_path / "pictures")), encoder)
    first = judge(config.rule, trials, None, config.tolerance)
    spoilt = []
    for trial in trials:
        scores = replace(trial.scores, weakest=np.where(trial.reported, -1.0, trial.scores.weakest))
        spoilt.append(replace(trial, scores=scores))
    second = judge(config.rule, spoilt, None, config.tolerance)
    assert first["suggested"]["thresholds"] == second["suggested"]["thresholds"]
    assert (first["curves"], first["choosing"]) == (second["curves"], second["choosing"])
    assert (
        {row["tiers"]["redrawn"]["recall"] for row in second["copies"]}
        == {0}
        != {row["tiers"]["redrawn"]["recall"] for row in first["copies"]}
    )
    again = CalibrationConfig(pictures=16, transforms=("recolour",), seed=1)
    names = [picture.sha256 for picture in trials[0].gallery.pictures[:16]]
    assert {is_reported(config.seed, name) for name in names} == {True, False}
    assert any(is_reported(config.seed, name) != is_reported(again.seed, name) for name in names)


def test_intervals_are_those_of_wilson() -> None:
    assert wilson(0, 0) == [0, 1]
    assert wilson(5, 10) == pytest.approx([0.2366, 0.7634])
    assert wilson(0, 1_000)[0] == 0 < wilson(0, 1_000)[1] < 0.004
