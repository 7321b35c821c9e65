from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.curriculum.difficulty import composite, normalised_rank, read_aligned, read_signals
from pipeline.errors import ConfigError, DataError
from pipeline.tables import write_table

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


def test_a_column_without_any_value_is_refused() -> None:
    with pytest.raises(DataError, match=r"lexicon.zipf_min has no value"):
        composite({"lexicon.zipf_min": np.array([np.nan, np.nan])}, {"lexicon.zipf_min": 1})


def test_signals_come_in_the_order_of_the_uids_with_nan_for_absent_ones(tmp_path: Path) -> None:
    write_table(tmp_path / "signals/caption.parquet", {"uid": ["a", "b", "c"], "tokens": [1, 2, None]})
    found = read_signals(tmp_path, pa.array(["c", "x", "b"]), {"caption.tokens"})
    np.testing.assert_array_equal(found["caption.tokens"], [np.nan, np.nan, 2])


def test_a_wrong_name_gives_the_nearest_one(tmp_path: Path) -> None:
    write_table(tmp_path / "signals/caption.parquet", {"uid": ["a"], "tokens": [1], "head_noun": ["dog"]})
    with pytest.raises(ConfigError, match=r"no column caption.token; did you mean tokens\?"):
        read_signals(tmp_path, pa.array(["a"]), {"caption.token"})
    with pytest.raises(ConfigError, match="holds no numbers"):
        read_signals(tmp_path, pa.array(["a"]), {"caption.head_noun"})
    with pytest.raises(ConfigError, match=r"image.parquet is missing; run measure first"):
        read_aligned(tmp_path / "signals/image.parquet", pa.array(["a"]), ["entropy"])
