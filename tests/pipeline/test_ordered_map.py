"""Order, completeness and survival of the map over processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faults import crashed, decode, decode_once

from pipeline.parallel import Limits, ordered_map

MIB = 1 << 20


def square(value: int) -> int:
    time.sleep(0.001 * (value % 3))
    return value * value


def square_or_die(value: int) -> int:
    if value in (7, 30):
        os.kill(os.getpid(), signal.SIGKILL)
    return value * value


def square_or_fail(value: int) -> int:
    if value == 5:
        raise ValueError("five")
    return value * value


def never(value: int) -> int:
    raise AssertionError(f"{value} did not crash")


def minus_one(value: int) -> int:
    return -1


def sleep(seconds: int) -> int:
    time.sleep(seconds)
    return seconds


def process(value: int) -> int:
    return os.getpid()


@pytest.mark.parametrize(("workers", "window"), [(1, 64), (2, 1), (2, 3), (2, 64), (3, 200)])
def test_results_come_in_the_order_of_the_items(workers, window):
    found = list(ordered_map(square, iter(range(40)), workers=workers, crashed=never, window=window))
    assert found == [value * value for value in range(40)]


@pytest.mark.parametrize("window", [4, 64])
def test_an_item_that_kills_its_process_costs_itself_alone(window):
    found = list(ordered_map(square_or_die, range(40), workers=2, crashed=minus_one, window=window))
    assert found == [-1 if value in (7, 30) else value * value for value in range(40)]


def test_an_exception_of_the_function_is_the_callers():
    results = ordered_map(square_or_fail, range(40), workers=2, crashed=never)
    assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
    with pytest.raises(ValueError, match="five"):
        next(results)


def test_no_items_give_no_results():
    assert list(ordered_map(square, [], workers=2, crashed=never)) == []


def test_no_more_items_are_taken_than_the_window():
    taken = []
    results = ordered_map(square, (taken.append(n) or n for n in range(1_000)), workers=2, crashed=never, window=16)
    next(results)
    assert len(taken) <= 16 + 2
    results.close()


def test_what_nobody_wants_any_more_ends_at_once():
    """A process under way with an item of a minute, and one that is only starting."""
    results = ordered_map(sleep, [0, *[60] * 20], workers=2, crashed=minus_one, window=4)
    assert next(results) == 0
    started = time.monotonic()
    results.close()
    assert time.monotonic() - started < 20


def test_one_worker_stays_in_this_process_unless_there_are_limits():
    assert set(ordered_map(process, range(3), workers=1, crashed=never)) == {os.getpid()}
    limits = Limits(seconds=60, memory=600 * MIB)
    assert os.getpid() not in set(ordered_map(process, range(3), workers=1, crashed=never, limits=limits))


@pytest.mark.parametrize(
    "faults",
    [
        ["abort", "allocate", "hang", "deaf"],
        pytest.param([*["abort"] * 24, *["allocate"] * 22, *["hang"] * 3, "deaf"], marks=pytest.mark.slow),
    ],
    ids=["4", "50"],
)
def test_faults_cost_their_items_and_nothing_else(faults):
    items = []
    for number, fault in enumerate(faults):
        items += [f"picture {number}.{k}" for k in range(5)] + [fault]
    limits = Limits(seconds=0.5, memory=600 * MIB)
    found = list(ordered_map(decode, items, workers=2, crashed=crashed, limits=limits))
    assert found == [f"crashed {item}" if item in faults else item.upper() for item in items]
    assert sum(result.startswith("crashed") for result in found) == len(faults)


def test_a_process_that_somebody_else_killed_costs_no_item(tmp_path):
    items = [str(tmp_path / f"{number}{'.once' if number % 10 == 3 else ''}") for number in range(30)]
    found = list(ordered_map(decode_once, items, workers=2, crashed=crashed))
    assert found == [item.upper() for item in items]


def test_processes_end_with_the_one_that_started_them():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "if __name__ == '__main__':\n"
        "    from faults import decode, crashed\n"
        "    from pipeline.parallel import ordered_map\n"
        "    found = ordered_map(decode, ['a', 'b', *['hang'] * 8], workers=2, crashed=crashed, window=8)\n"
        "    print(next(found), flush=True)\n"
        "    next(found), next(found)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "A\n"
    children = _children(parent.pid)
    assert len(children) >= 2
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while any(_alive(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(child) for child in children)


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
