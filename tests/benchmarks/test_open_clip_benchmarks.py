"""The comparisons with open_clip, at the scale at which they only show that they run."""

import json
import re
from pathlib import Path

import pytest
from programs import run


@pytest.mark.slow
def test_throughput_of_equal_costs_beside_each_other(tmp_path: Path) -> None:
    done = run("throughput.py", "--smoke", "--json", str(tmp_path / "rates.json"))
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "rates.json").read_text())
    own, *others = record["forward_flops"].values()
    assert len(others) == 2 and all(abs(each / own - 1) <= 0.05 for each in others)
    sides = [f"{name} {precision}" for precision in ("fp32", "bf16") for name in record["forward_flops"]]
    assert list(record["rounds"]) == sides
    for side in sides:
        (rate,) = record["rounds"][side]
        assert rate["pairs"] > 0 and rate["per_processor"] > 0 and 0 <= rate["waited"] < 1
        assert any(line.startswith(side) and line.count("×") >= 2 for line in done.stdout.splitlines())
    assert "essen in bf16 to fp32: " in done.stdout


@pytest.mark.slow
def test_a_training_of_each_scored_by_the_same_code(tmp_path: Path) -> None:
    done = run("open_clip_training.py", "--smoke", "--seeds", "2", "--json", str(tmp_path / "record.json"))
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["samples_seen"] == 64
    assert abs(record["forward_flops"]["theirs"] / record["forward_flops"]["ours"] - 1) <= 0.05
    assert [seed["seed"] for seed in record["seeds"]] == [0, 1]
    for side, kind in (("ours", "essen"), ("theirs", "open_clip")):
        scores = [seed[side]["scores"] for seed in record["seeds"]]
        assert all(one["model"]["kind"] == kind for one in scores)
        assert len({one["model"]["weights_sha256"] for one in scores}) == 2
    sides = [seed[side]["scores"]["sets"] for seed in record["seeds"] for side in ("ours", "theirs")]
    assert len({sets[0]["sha256"] for sets in sides}) == 1
    line = next(line for line in done.stdout.splitlines() if "text_to_image_R@1 " in line and "towers" in line)
    assert len(re.findall(r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]", line)) == 2


def test_without_a_run_it_says_what_to_name() -> None:
    done = run("open_clip_training.py")
    assert done.returncode == 1 and done.stderr == "name a run's folder, or try --smoke\n"
