"""The nearest vectors: sane in every corner, and measured where they are not exact."""

import faiss
import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.index.config import IndexConfig
from pipeline.index.vectors import make_index, measured_recall, nearest, vector_of


def unit(count: int, dim: int = 16, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("k", [1, 5, 10_000])
@pytest.mark.parametrize("factory", ["Flat", "IVF4,Flat", "HNSW8,Flat"])
def test_more_than_there_are_gives_all_and_no_row_below_zero(factory: str, k: int) -> None:
    vectors = unit(300)
    config = IndexConfig(exact_up_to=0 if factory != "Flat" else 300, factory="IVF4,Flat", effort=300, min_recall=0)
    if factory != "Flat":
        config = config.model_copy(update={"factory": factory})
    index, _ = make_index(config, vectors)
    found = nearest(index, vectors[7], k)
    rows = [row for row, _ in found]
    assert rows[0] == 7 and len(set(rows)) == len(rows) == min(k, 300)
    assert all(0 <= row < 300 for row in rows)
    expected = np.sort(vectors @ vectors[7])[::-1][: len(found)]
    np.testing.assert_allclose([score for _, score in found], expected, atol=1e-5)
    np.testing.assert_allclose(vector_of(index, 7), vectors[7])


def test_an_empty_index_finds_nothing() -> None:
    index, about = make_index(IndexConfig(), unit(0))
    assert nearest(index, unit(1)[0], 5) == []
    assert (about["rows"], about["recall"]) == (0, 1.0)


def test_one_vector_is_found() -> None:
    index, _ = make_index(IndexConfig(), unit(1))
    assert nearest(index, unit(1)[0], 5) == [(0, pytest.approx(1.0))]


def test_equal_vectors_are_all_found_in_their_order() -> None:
    index, _ = make_index(IndexConfig(), np.repeat(unit(1), 50, axis=0))
    found = nearest(index, unit(1)[0], 100)
    assert [row for row, _ in found] == list(range(50))


@pytest.mark.parametrize("spoilt", [np.nan, np.inf, 0.0, 3.0])
def test_a_query_that_cannot_be_compared_is_refused(spoilt: float) -> None:
    index, _ = make_index(IndexConfig(), unit(10))
    query = unit(1)[0]
    query[2] = spoilt
    with pytest.raises(DataError, match="must be a unit vector of 16 features"):
        nearest(index, query if spoilt else np.zeros(16, np.float32), 3)
    with pytest.raises(DataError, match="must be a unit vector of 16 features"):
        nearest(index, unit(1, dim=8)[0], 3)


@pytest.mark.parametrize("factory", ["IVF16,Flat", "HNSW16,Flat"])
def test_an_approximate_index_knows_its_recall_and_is_the_same_each_time(factory: str) -> None:
    vectors = unit(3_000)
    config = IndexConfig(exact_up_to=1_000, factory=factory, effort=8, recall_queries=500, min_recall=0.2)
    index, about = make_index(config, vectors)
    assert (about["factory"], about["effort"]) == (factory, 8)
    assert 0.2 < about["recall"] < 1
    true = np.argsort(-(vectors @ vectors.T), axis=1)[:, 1:11]
    _, found = index.search(vectors, 11)
    own = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(true, found.tolist(), strict=True)])
    assert about["recall"] == pytest.approx(own, abs=0.03)
    again = faiss.deserialize_index(faiss.serialize_index(index))
    assert measured_recall(again, vectors, 500) == pytest.approx(about["recall"], abs=1e-4)
    for threads in (1, 2):
        faiss.omp_set_num_threads(threads)
        assert (faiss.serialize_index(make_index(config, vectors)[0]) == faiss.serialize_index(index)).all()


def test_an_index_that_finds_too_little_is_refused_with_the_way_out() -> None:
    config = IndexConfig(exact_up_to=100, factory="IVF64,Flat", effort=1, min_recall=0.9)
    with pytest.raises(ConfigError, match=r"less than index.min_recall \(90.0 %\); raise index.effort \(1\)"):
        make_index(config, unit(5_000))


def test_a_factory_that_needs_more_vectors_is_named() -> None:
    with pytest.raises(ConfigError, match=r"index.factory: IVF4096,Flat does not suit 500 vectors"):
        make_index(IndexConfig(exact_up_to=10, factory="IVF4096,Flat"), unit(500))
