from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.difficulty import difficulty_of
from pipeline.curriculum.pairs import read_pairs
from pipeline.curriculum.stages import by_corpus, by_quantile, by_value, check_stages, corpora_by_difficulty, cut
from pipeline.errors import ConfigError, DataError


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


def test_corpora_that_are_named_make_the_stages() -> None:
    corpora = np.array(["noto", "books", "emojione", "books"])
    assert by_corpus(corpora, [["noto", "emojione", "held-out"], ["books"]]).tolist() == [1, 2, 1, 2]
    with pytest.raises(DataError, match=r"corpus emojione stands in no stage; add it to curriculum.corpora"):
        by_corpus(corpora, [["noto"], ["books"]])


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 20)), min_size=1, max_size=60), st.integers(1, 4))
def test_corpora_that_are_not_named_are_grouped_by_median_difficulty(rows: list[tuple[str, int]], count: int) -> None:
    corpora = np.array([row[0] for row in rows])
    difficulty = np.array([float(row[1]) for row in rows])
    names = [f"s{number}" for number in range(count)]
    if len(set(corpora)) < count:
        with pytest.raises(DataError, match="need as many corpora"):
            corpora_by_difficulty(corpora, difficulty, names)
        return
    groups = corpora_by_difficulty(corpora, difficulty, names)
    assert sorted(corpus for group in groups.values() for corpus in group) == sorted(set(corpora))
    config = CurriculumConfig(stages=tuple(names))
    assert check_stages(by_corpus(corpora, list(groups.values())), difficulty, config) == []


def test_a_corpus_that_the_run_has_not_is_refused_with_the_nearest_name(word_run: Path) -> None:
    pairs = read_pairs(word_run, {})
    config = CurriculumConfig(stages=("one", "two"), by="corpus", corpora={"one": ("word",), "two": ("tales",)})
    with pytest.raises(ConfigError, match=r"this run has no corpus word; did you mean words\?"):
        cut(config, pairs, difficulty_of(config, pairs))


def test_the_contract_of_stages() -> None:
    config = CurriculumConfig(stages=("words", "names"))
    difficulty = np.array([0.1, 0.2, 0.8, 0.9])
    assert check_stages(np.array([1, 1, 2, 2]), difficulty, config) == []
    with pytest.raises(DataError, match=r"stage 2 \(names\) is empty; change curriculum.fractions"):
        check_stages(np.array([1, 1, 1, 1]), difficulty, config)
    falling = np.array([2, 2, 1, 1])
    with pytest.raises(DataError, match=r"stage 2 \(names\) is easier than .* set curriculum.monotone: report"):
        check_stages(falling, difficulty, config)
    told = config.model_copy(update={"monotone": "report"})
    assert check_stages(falling, difficulty, told) == ["names"]
