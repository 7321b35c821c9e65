"""Work in parts: what other processes do is what this one would have done, whoever was lost on the way."""

import os
import pickle
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError, DataError
from pipeline.files import files_below, sha256_file
from pipeline.measure.config import EmbedConfig, MeasureConfig
from pipeline.measure.measure import embed, measure
from pipeline.parts import Outcome, Part, Spread, do_part, here, once, spread_in_parts


def squared(number: int) -> int:
    return number * number


def refusing(number: int) -> int:
    raise DataError(f"{number} will not do")


class Deadly:
    """Kills the process that it is called in, unless that is the one with the given id."""

    def __init__(self, survivor: int) -> None:
        self.survivor = survivor

    def __call__(self, number: int) -> int:
        if number == 3 and os.getpid() != self.survivor:
            os.kill(os.getpid(), signal.SIGKILL)
        return -number


def by_processes(parts: Sequence[Part]) -> Iterator[Outcome]:
    """Do each part in a process of its own, the last one first."""
    outcomes: dict[Path, Outcome] = {}
    for part in reversed(parts):
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            error = pool.submit(do_part, *part).exception()
            outcomes[part.request] = error if isinstance(error, Exception) else do_part(*part)
    yield from (outcomes[part.request] for part in parts)


def in_place(parts: Sequence[Part]) -> Iterator[Outcome]:
    return (do_part(*part) for part in parts)


@given(numbers=st.lists(st.integers(), max_size=40), parts=st.integers(1, 9))
def test_results_come_in_the_order_of_the_items(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], parts: int
) -> None:
    folder = tmp_path_factory.mktemp("parts") / "numbers"
    spread = spread_in_parts(in_place, parts=parts, note=pytest.fail)
    assert list(spread(squared, numbers, folder)) == list(here(squared, numbers, folder)) == [n * n for n in numbers]
    assert not folder.exists() or not list(folder.iterdir())


def test_a_part_that_kills_its_worker_is_done_here_and_said(tmp_path: Path) -> None:
    notes: list[str] = []
    spread = spread_in_parts(by_processes, parts=3, note=notes.append)
    assert list(spread(Deadly(os.getpid()), range(6), tmp_path / "numbers")) == [0, -1, -2, -3, -4, -5]
    assert len(notes) == 1
    assert "numbers 001" in notes[0] and "done here" in notes[0]


def test_what_a_person_can_cause_is_told_as_here(tmp_path: Path) -> None:
    spread = spread_in_parts(by_processes, parts=1, note=pytest.fail)
    with pytest.raises(DataError, match="7 will not do"):
        list(spread(refusing, [7], tmp_path / "numbers"))


def test_a_part_is_done_once_and_a_damaged_result_again(tmp_path: Path) -> None:
    def twice_and_damaged(parts: Sequence[Part]) -> Iterator[Outcome]:
        for part in parts:
            first = do_part(*part)
            result = part.request.with_suffix(".result")
            before = result.stat().st_mtime_ns
            assert do_part(*part) == first and result.stat().st_mtime_ns == before
            result.write_bytes(pickle.dumps(["something else"]))
            yield first

    notes: list[str] = []
    spread = spread_in_parts(twice_and_damaged, parts=2, note=notes.append)
    assert list(spread(squared, [1, 2, 3], tmp_path / "numbers")) == [1, 4, 9]
    assert len(notes) == 2


def test_a_worker_without_the_runs_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="all workers share"):
        do_part(tmp_path / "000.request", "0" * 64)
    (tmp_path / "000.request").write_bytes(b"half")
    with pytest.raises(DataError, match="damaged"):
        do_part(tmp_path / "000.request", "0" * 64)


def test_what_is_slow_to_load_is_loaded_once_in_a_process() -> None:
    assert once(Deadly, 1) is once(Deadly, 1)
    assert once(Deadly, 1) is not once(Deadly, 2)


def test_signals_and_vectors_done_in_parts_are_the_same_bytes(small_run: Path, tmp_path: Path) -> None:
    def made(name: str, spread: Spread) -> dict[str, str]:
        out = tmp_path / name
        measure(MeasureConfig(workers=1), {"shapes": small_run / "raw/shapes"}, small_run, out, spread=spread)
        embed(EmbedConfig(image_size=32, batch_size=16), out, out, spread=spread)
        return {
            str(file.relative_to(out)): sha256_file(file)
            for folder in ("signals", "embeddings")
            for file in files_below(out / folder)
        }

    for name in ("alone", "apart"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "raw").symlink_to(small_run / "raw")
    alone = made("alone", here)
    assert len(alone) > 10
    assert made("apart", spread_in_parts(in_place, parts=2, note=pytest.fail)) == alone
