"""How many shards a set has, and a word before readers hang over too few."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.shards.layout import MIN_SAMPLES_PER_SHARD, check_shards, shard_starts


@given(count=st.integers(1, 100_000), shards=st.integers(1, 64))
def test_runs_are_nearly_equal_and_as_many_as_asked_for_where_they_are_long_enough(count: int, shards: int) -> None:
    borders = [0, *sorted(shard_starts(count, shards)), count]
    lengths = [end - start for start, end in pairwise(borders)]
    assert max(lengths) - min(lengths) <= 1
    assert len(lengths) == max(1, min(shards, count // MIN_SAMPLES_PER_SHARD))
    assert min(lengths) >= MIN_SAMPLES_PER_SHARD or len(lengths) == 1


@pytest.mark.parametrize(("shards", "workers", "ranks"), [(1, 2, 1), (1, 1, 2), (7, 4, 2), (8, 8, 8)])
def test_too_few_shards_are_refused_with_the_way_out(shards: int, workers: int, ranks: int) -> None:
    entry = {"path": "1-words", "shards": [{}] * shards}
    with pytest.raises(ConfigError) as caught:
        check_shards(entry, workers=workers, ranks=ranks)
    text = str(caught.value)
    assert text.startswith(f"1-words has {shards} shards for ") and "\n" not in text
    assert f"stage.min_shards: {workers * ranks}" in text


@pytest.mark.parametrize(("shards", "workers", "ranks"), [(1, 0, 1), (1, 1, 1), (8, 4, 2), (9, 4, 2), (2, 0, 2)])
def test_enough_shards_are_enough(shards: int, workers: int, ranks: int) -> None:
    check_shards({"path": "1-words", "shards": [{}] * shards}, workers=workers, ranks=ranks)


def test_the_command_line_tells_before_anything_is_read(small_run: Path) -> None:
    essen = Path(sys.executable).with_name("essen")
    command = [str(essen), "verify", str(small_run / "stages"), "--readers"]
    few = subprocess.run([*command, "3"], capture_output=True, text=True, check=False)
    assert (few.returncode, few.stdout) == (2, "")
    assert "1-one has 2 shards for 3 readers; use at most 2" in few.stderr
    assert "Traceback" not in few.stderr
    assert subprocess.run([*command, "2"], capture_output=True, check=False).returncode == 0
