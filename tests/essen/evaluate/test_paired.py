"""Paired comparisons: against scipy, against numbers worked out by hand, and what holds for any numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from essen.evaluate.paired import (
    Reached,
    first_reach,
    holm,
    p_equivalent,
    p_rising,
    paired,
    paired_ratios,
    pooled_deviation,
)

ARM, BASE = [0.13, 0.22, 0.34, 0.41, 0.55], [0.10, 0.20, 0.30, 0.40, 0.50]
scores = st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=2, max_size=12)


def test_differences_carry_students_interval() -> None:
    found = paired(ARM, BASE)
    # .03 .02 .04 .01 .05: mean .03, deviation .0158, half-width 1.24 of it with five seeds
    assert found.mean == pytest.approx(0.03) and found.positive == 5
    low, high = found.interval() or (0.0, 0.0)
    assert high - found.mean == pytest.approx(1.2417 * 0.015811, rel=1e-3) == found.mean - low


def test_p_is_that_of_scipy() -> None:
    found = paired(ARM, BASE)
    assert found.p_above(0.0) == pytest.approx(stats.ttest_rel(ARM, BASE, alternative="greater").pvalue)
    assert found.p_below(0.05) == pytest.approx(
        stats.ttest_1samp(np.subtract(ARM, BASE), 0.05, alternative="less").pvalue
    )


@given(scores, st.floats(0.001, 1))
def test_tost_passes_just_where_the_90_per_cent_interval_is_inside(
    pairs: list[tuple[float, float]], margin: float
) -> None:
    found = paired(*zip(*pairs, strict=True))
    p, interval = p_equivalent(found, margin), found.interval(0.9)
    assert p is not None and interval is not None
    if abs(p - 0.05) > 1e-6:
        assert (p < 0.05) == (-margin < interval[0] and interval[1] < margin)


@given(scores)
def test_turning_a_comparison_round_turns_its_result_round(pairs: list[tuple[float, float]]) -> None:
    arm, base = zip(*pairs, strict=True)
    forth, back = paired(arm, base), paired(base, arm)
    assert forth.mean == pytest.approx(-back.mean, abs=1e-12)
    assert forth.p_above(0) == pytest.approx(back.p_below(0), abs=1e-9)


def test_one_pair_has_no_interval_and_no_p() -> None:
    found = paired([0.2], [0.1])
    assert (found.interval(), found.p_above(0), p_equivalent(found, 1)) == (None, None, None)


def test_a_difference_that_never_varies_is_certain() -> None:
    found = paired([3.0, 4.0, 5.0], [1.0, 2.0, 3.0])
    assert found.interval() == (2.0, 2.0)
    assert (found.p_above(1.0), found.p_above(2.0)) == (0.0, 1.0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_between_the_raw_p_and_bonferroni_and_keeps_their_order(raw: list[float]) -> None:
    named = {str(place): p for place, p in enumerate(raw)}
    adjusted = holm(named)
    assert list(adjusted) == list(named)
    for name, p in named.items():
        assert p <= adjusted[name] <= min(1.0, len(raw) * p) or adjusted[name] == pytest.approx(min(1.0, p * len(raw)))
    order = sorted(named, key=lambda name: named[name])
    assert [adjusted[name] for name in order] == sorted(adjusted.values())


def test_holm_by_hand() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})


def test_ratios_are_compared_on_logarithms() -> None:
    found = paired_ratios([Reached(50), Reached(200)], [Reached(100), Reached(100)])
    assert found.estimate == pytest.approx(1.0)
    low, high = found.interval() or (None, None)
    assert low is not None and high is not None and low * high == pytest.approx(1.0)


def test_a_run_that_never_arrived_counts_with_its_limit_and_opens_its_side() -> None:
    base = [Reached(100.0)] * 3
    found = paired_ratios([Reached(50), Reached(60), Reached(300, censored=True)], base)
    assert found.differences.n == 3 and found.censored == (1, 0)
    low, high = found.interval() or (None, 0.0)
    assert low is not None and high is None
    other = paired_ratios(base, [Reached(50), Reached(60), Reached(300, censored=True)]).interval()
    assert other is not None and other[0] is None and other[1] is not None


def test_the_first_examination_that_reaches_the_target_counts() -> None:
    curve = [(100.0, 0.1), (200.0, 0.3), (300.0, 0.2), (400.0, 0.4)]
    assert first_reach(curve, 0.25) == Reached(200.0)
    assert first_reach(curve, 0.5) == Reached(400.0, censored=True)


def test_a_rise_over_conditions_is_seen_and_a_fall_is_not() -> None:
    rows = [[1.0, 2.0, 3.0, 4.0], [1.5, 2.5, 2.6, 5.0], [0.0, 1.0, 2.0, 3.0]]
    assert p_rising(rows) < 0.01 < 0.9 < p_rising([row[::-1] for row in rows])


def test_the_pooled_deviation_leaves_the_means_out() -> None:
    assert pooled_deviation([[1.0, 3.0], [101.0, 103.0]]) == pytest.approx(math.sqrt(2))
    assert pooled_deviation([[1.0], [2.0]]) is None
