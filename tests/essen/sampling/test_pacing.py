import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from essen.config import PacingConfig
from essen.sampling.pacing import pace

LINEAR = PacingConfig()
CONFIGS = st.one_of(
    st.builds(PacingConfig, kind=st.sampled_from(["linear", "root", "geometric", "competence"]), root=st.floats(1, 8)),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5).map(
        lambda pairs: PacingConfig(
            kind="step", schedule=tuple(zip(*(sorted(column) for column in zip(*pairs, strict=True)), strict=True))
        )
    ),
)


@given(CONFIGS, st.integers(0, 60), st.floats(0.01, 20), st.floats(0, 50), st.sampled_from([0, 0.1, 1, 2, 7]))
def test_it_never_falls_stays_between_its_bounds_and_is_full_at_the_end(
    config: PacingConfig, total: int, low: float, more: float, unit: float
) -> None:
    high = low + more
    values = [pace(config, step, total, low, high, unit) for step in range(total + 3)]
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(values))
    assert min(values) >= low and values[total] == values[total + 2] == high
    if total and config.kind != "step":
        assert values[0] == pytest.approx(low)


@pytest.mark.parametrize(("low", "high", "unit", "expected"), [(1, 8, 2, [1, 3, 5, 7, 8]), (3, 20, 8, [3, 11, 19, 20])])
def test_units_that_do_not_divide_the_way_neither_fall_below_the_start_nor_miss_the_end(
    low: float, high: float, unit: float, expected: list[float]
) -> None:
    values = [pace(LINEAR, step, 700, low, high, unit) for step in range(701)]
    assert sorted(set(values)) == expected


def test_no_time_and_no_way_are_legal() -> None:
    assert pace(LINEAR, 0, 0, 1, 8, 2) == 8
    assert [pace(LINEAR, step, 10, 5, 5, 2) for step in (0, 5, 10)] == [5, 5, 5]


def test_competence_is_that_of_platanios_et_al() -> None:
    config, c0 = PacingConfig(kind="competence", root=2), 0.01
    for t in (0, 1, 37, 99, 100):
        assert pace(config, t, 100, c0, 1) == pytest.approx(min(1, (t * (1 - c0**2) / 100 + c0**2) ** 0.5))
    straight = PacingConfig(kind="competence", root=1)
    assert pace(straight, 50, 100, c0, 1) == pytest.approx(0.5 * (1 - c0) + c0)


def test_root_geometric_and_schedule() -> None:
    assert pace(PacingConfig(kind="root", root=2), 25, 100, 2, 10) == pytest.approx(6)
    assert pace(PacingConfig(kind="geometric"), 50, 100, 0.01, 1) == pytest.approx(0.1)
    fixed = PacingConfig(kind="step", schedule=((0.25, 0.5), (0.5, 0.75)))
    assert [pace(fixed, step, 8, 1, 9) for step in range(9)] == [1, 1, 5, 5, 7, 7, 7, 7, 9]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "step"},
        {"schedule": [(0, 1)]},
        {"kind": "step", "schedule": [(0.5, 0.1), (0.2, 0.4)]},
        {"kind": "step", "schedule": [(0, 2)]},
    ],
)
def test_a_schedule_that_falls_or_is_not_asked_for_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"sampling\.pacing\.schedule"):
        PacingConfig.model_validate(wrong)
