"""Order, completeness and survival of the map over processes."""

import os
import signal
import time

import pytest

from pipeline.parallel import ordered_map


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


@pytest.mark.parametrize(("workers", "window"), [(1, 64), (2, 1), (2, 3), (2, 64)])
def test_results_come_in_the_order_of_the_items(workers, window):
    found = list(ordered_map(square, iter(range(40)), workers=workers, crashed=never, window=window))
    assert found == [value * value for value in range(40)]


def test_an_item_that_kills_its_process_costs_itself_alone():
    found = list(ordered_map(square_or_die, range(40), workers=2, crashed=minus_one, window=4))
    assert found == [-1 if value in (7, 30) else value * value for value in range(40)]


def test_an_exception_of_the_function_is_the_callers():
    results = ordered_map(square_or_fail, range(40), workers=2, crashed=never)
    assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
    with pytest.raises(ValueError, match="five"):
        next(results)


def test_no_items_give_no_results():
    assert list(ordered_map(square, [], workers=2, crashed=never)) == []
