from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.difficulty import composite, difficulty_of, normalised_rank
from pipeline.curriculum.families import FAMILIES
from pipeline.curriculum.pairs import read_pairs
from pipeline.errors import ConfigError, DataError
from pipeline.tables import read_columns, write_table

values = hnp.arrays(np.float64, st.integers(1, 60), elements=st.integers(-4, 4).map(float) | st.just(np.nan))


@given(values)
def test_ranks_keep_order_and_ties_and_lie_in_the_unit_interval(array: np.ndarray) -> None:
    ranks = normalised_rank(array)
    assert ((ranks > 0) & (ranks < 1)).all()
    for i in range(len(array)):
        for j in range(len(array)):
            if array[i] < array[j]:
                assert ranks[i] < ranks[j]
            elif array[i] == array[j]:
                assert ranks[i] == ranks[j]


@given(values)
def test_ranks_are_symmetric_and_missing_is_the_middle(array: np.ndarray) -> None:
    np.testing.assert_allclose(normalised_rank(-array), 1 - normalised_rank(array), atol=1e-12)
    assert (normalised_rank(array)[np.isnan(array)] == 0.5).all()


@given(values, st.randoms(use_true_random=False))
def test_ranks_do_not_depend_on_the_order_of_samples(array: np.ndarray, random: object) -> None:
    permutation = np.random.default_rng(len(array)).permutation(len(array))
    assert (normalised_rank(array)[permutation] == normalised_rank(array[permutation])).all()


def test_composite_is_the_weighted_mean_and_counts_what_is_missing() -> None:
    signals = {"caption.tokens": np.array([1.0, 2.0, 3.0, 4.0]), "lexicon.zipf_min": np.array([6.0, 5.0, np.nan, 2.0])}
    found = composite(signals, {"caption.tokens": 3, "lexicon.zipf_min": -1})
    tokens = np.array([0.125, 0.375, 0.625, 0.875])
    rarity = np.array([0.5 / 3, 1.5 / 3, 0.5, 2.5 / 3])
    np.testing.assert_allclose(found.value, (3 * tokens + rarity) / 4, atol=1e-9)
    np.testing.assert_allclose(found.components["lexicon.zipf_min"], rarity)
    assert found.missing == {"caption.tokens": 0, "lexicon.zipf_min": 1}
    assert found.weights == {"caption.tokens": 0.75, "lexicon.zipf_min": -0.25}


def test_a_missing_value_can_count_as_the_hardest() -> None:
    found = composite({"a": np.array([5.0, np.nan, 1.0])}, {"a": -1}, missing=1.0)
    np.testing.assert_allclose(found.value, [0.25, 1.0, 0.75])


def test_a_column_without_any_value_is_refused() -> None:
    with pytest.raises(DataError, match=r"lexicon.zipf_min has no value"):
        composite({"lexicon.zipf_min": np.array([np.nan, np.nan])}, {"lexicon.zipf_min": 1})


def test_every_family_declares_weights_that_add_up_to_one() -> None:
    for name, weights in FAMILIES.items():
        assert sum(abs(weight) for weight in weights.values()) == pytest.approx(1), name


def test_a_family_uses_what_was_measured_and_says_what_was_not(word_run: Path) -> None:
    pairs = read_pairs(word_run, {})
    found = difficulty_of(CurriculumConfig(difficulty="caption"), pairs)
    assert set(found.weights) == {"caption.tokens", "caption.parse_depth", "caption.nouns", "lexicon.zipf_mean"}
    assert found.absent == ("lexicon.age_of_acquisition_mean", "lexicon.concreteness_mean")
    assert sum(map(abs, found.weights.values())) == pytest.approx(1)
    assert found.weights["caption.tokens"] / found.weights["caption.nouns"] == pytest.approx(2.5)
    pair = difficulty_of(CurriculumConfig(difficulty="pair"), pairs)
    assert pair.missing == {"alignment.score": 1, "alignment.rank": 1}
    assert pair.absent == ("margin.margin",)


def test_learnability_puts_first_what_the_reference_has_learnt_and_the_learner_has_not(
    word_run: Path, tmp_path: Path
) -> None:
    pairs = read_pairs(word_run, {})
    with pytest.raises(ConfigError, match=r"learnability needs learner.loss and reference.loss, and this run has none"):
        difficulty_of(CurriculumConfig(difficulty="learnability"), pairs)
    uid = read_columns(word_run / "selection/kept.parquet", ["uid"])["uid"]
    own = {"learner": tmp_path / "learner.parquet", "reference": tmp_path / "reference.parquet"}
    write_table(own["learner"], {"uid": uid[:6], "loss": [3.0, 3.0, 1.0, 2.0, 2.0, 2.0]})
    write_table(own["reference"], {"uid": uid, "loss": [1.0, 2.0, 1.0, 3.0] + [1.0] * (len(uid) - 4)})
    config = CurriculumConfig(difficulty="learnability", own_signals=own, missing="hardest")
    found = difficulty_of(config, read_pairs(word_run, own))
    gain = found.signals["derived.learnability"]
    assert gain[:4].tolist() == [2, 1, 0, -1]
    assert found.value[0] < found.value[1] < found.value[2] < found.value[3] < found.value[-1] == 1
    assert found.missing == {"derived.learnability": int(np.isnan(gain).sum())} != {"derived.learnability": 0}
