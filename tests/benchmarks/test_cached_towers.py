"""Trainings whose towers stand still: each way is timed for each choice of objectives."""

import re
from pathlib import Path

import pytest
from PIL import Image
from programs import run


@pytest.mark.slow
def test_each_choice_of_objectives_is_timed_both_ways(tmp_path: Path) -> None:
    (tmp_path / "mulberry").mkdir()
    for number in range(4):
        Image.new("RGB", (40, 40), (60 * number, 90, 200)).save(tmp_path / f"mulberry/{number}.png")
    sizes = ("--samples", "16", "--size", "32", "--batch", "8", "--steps", "2", "--rounds", "1")
    done = run("cached_towers.py", "--corpora", str(tmp_path), *sizes)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if "×" in line]
    assert [row[:20].strip() for row in rows] == ["contrast alone", "and matching", "and masked words"]
    for row in rows:
        computed, kept, ratio, _ = map(float, re.findall(r"\d+\.?\d*", row))
        assert computed > 0 and kept > 0 and ratio > 0


def test_without_drawings_it_says_what_to_name(tmp_path: Path) -> None:
    done = run("cached_towers.py", "--corpora", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == f"there are no drawings below {tmp_path}; name their folder with --corpora\n"
