"""Freed memory that is kept or not: both ways are measured."""

import re

import pytest
from programs import run


@pytest.mark.slow
@pytest.mark.parametrize("case", ["essen-nano fp32", "encoding at 128 px"])
def test_a_case_is_measured_both_ways(case: str) -> None:
    done = run("kept_memory.py", "--cases", case, "--batch", "8", "--steps", "2", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found = re.fullmatch(
        rf"{case} +given back: ([\d.]+) s +([\d,]+) faults +([\d.]+) GiB   "
        r"kept: ([\d.]+) s +([\d,]+) faults +([\d.]+) GiB   ([\d.]+)×",
        line,
    )
    assert found is not None, line
    assert all(float(found[number]) > 0 for number in (1, 3, 4, 6, 7))
