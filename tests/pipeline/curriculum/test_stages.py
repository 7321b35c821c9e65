import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.stages import by_quantile, by_value, check_stages
from pipeline.errors import DataError


@given(
    hnp.arrays(np.float64, st.integers(1, 200), elements=st.integers(0, 9).map(float)),
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
)
def test_quantile_stages_follow_difficulty_alone(difficulty: np.ndarray, shares: list[int]) -> None:
    fractions = [share / sum(shares) for share in shares]
    stages = by_quantile(difficulty, fractions)
    assert stages.min() >= 1 and stages.max() <= len(shares)
    order = np.argsort(difficulty, kind="stable")
    assert (np.diff(stages[order]) >= 0).all()
    for value in np.unique(difficulty):
        assert len(set(stages[difficulty == value])) == 1


@given(st.integers(1, 6), st.integers(1, 40))
def test_without_ties_stages_have_their_fractions(count: int, each: int) -> None:
    stages = by_quantile(np.arange(count * each).astype(float), [1 / count] * count)
    assert np.bincount(stages).tolist() == [0] + [each] * count


def test_value_edges_are_inclusive_and_missing_comes_last() -> None:
    stages = by_value(np.array([1, 2, 3, 4, 5, np.nan]), (1, 3))
    assert stages.tolist() == [1, 2, 2, 3, 3, 3]


def test_the_contract_of_stages() -> None:
    config = CurriculumConfig(stages=("words", "names"))
    difficulty = np.array([0.1, 0.2, 0.8, 0.9])
    check_stages(np.array([1, 1, 2, 2]), difficulty, config)
    with pytest.raises(DataError, match=r"stage 2 \(names\) is empty; change curriculum.fractions"):
        check_stages(np.array([1, 1, 1, 1]), difficulty, config)
    with pytest.raises(DataError, match=r"stage 2 \(names\) is easier than the stage before it"):
        check_stages(np.array([2, 2, 1, 1]), difficulty, config)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"stages": ()}, "at least one name"),
        ({"stages": ("a", "a")}, "each once"),
        ({"stages": ("../a", "b")}, "cannot name a folder"),
        ({"difficulty": {"caption.tokens": 0}}, "a weight that is not 0"),
        ({"difficulty": {"tokens": 1}}, "'tokens' is not <signals file>.<column>"),
        ({"stages": ("a", "b"), "fractions": (0.5,)}, "give 2 positive numbers"),
        ({"stages": ("a", "b"), "fractions": (0.5, 0.6)}, "add up to 1.1"),
        ({"stages": ("a", "b"), "by": "value"}, "give 1 values to cut 2 stages"),
        ({"stages": ("a", "b", "c"), "by": "value", "edges": (3, 1)}, "rising"),
        ({"stage": ("a",)}, "Extra inputs"),
    ],
)
def test_configurations_that_cannot_work_are_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        CurriculumConfig.model_validate(values)
