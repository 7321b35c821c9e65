"""Exactly the pairs of brute force, whatever the vectors; and vectors that are none are named."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.select import neighbours
from pipeline.select.neighbours import pairs_at_or_above, pairs_between


def unit(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def planted(count: int, dim: int, seed: int, *, decay: float = 0.0) -> np.ndarray:
    """Vectors of which every fifth is a near-copy; with a decay, features matter less and less."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, dim)) * np.exp(-decay * np.arange(dim))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    noise = rng.normal(size=(count, dim)) / np.sqrt(dim)
    copies = np.arange(1, count, 5)
    rows[copies] = rows[rng.integers(0, copies)] + noise[copies] * rng.uniform(0, 0.5, (len(copies), 1))
    return unit(rows)


def brute_force(left: np.ndarray, right: np.ndarray, cosine: float) -> dict[tuple[int, int], float]:
    products = np.round(left.astype(np.float64) @ right.astype(np.float64).T, 12)
    return {(int(a), int(b)): products[a, b] for a, b in np.argwhere(products >= cosine)}


def found(pairs: neighbours.Pairs) -> dict[tuple[int, int], float]:
    columns = (pairs.first.tolist(), pairs.second.tolist(), pairs.cosine.tolist())
    return {(a, b): cosine for a, b, cosine in zip(*columns, strict=True)}


def upper(pairs: dict[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    return {pair: cosine for pair, cosine in pairs.items() if pair[0] < pair[1]}


@pytest.fixture(params=["axes", "vectors"])
def bounds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds by leading axes, as for many vectors, or the vectors themselves, as for few."""
    monkeypatch.setattr(neighbours, "SMALL", 0 if request.param == "axes" else 1e11)
    monkeypatch.setattr(neighbours, "AXES", 0)


@pytest.mark.usefixtures("bounds")
@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("cosine", [0.5, 0.8, 0.95, 1.0])
def test_the_pairs_of_brute_force_and_no_others(cosine: float, decay: float) -> None:
    vectors = planted(3_000, 128, 0, decay=decay)
    expected = upper(brute_force(vectors, vectors, cosine))
    pairs = found(pairs_at_or_above(vectors, cosine))
    assert pairs.keys() == expected.keys()
    assert all(abs(pairs[pair] - expected[pair]) < 2e-12 for pair in pairs)
    assert len(expected) > (100 if cosine < 1 else -1)


@pytest.mark.usefixtures("bounds")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(1, 70), st.floats(-0.99, 1.0))
def test_the_pairs_of_brute_force_for_any_shape_and_threshold(seed: int, count: int, dim: int, cosine: float) -> None:
    vectors = planted(count, dim, seed)
    assert found(pairs_at_or_above(vectors, cosine)).keys() == upper(brute_force(vectors, vectors, cosine)).keys()


def test_threads_blocks_precision_and_order_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    vectors = planted(2_500, 64, 1)
    expected = found(pairs_at_or_above(vectors, 0.7))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert found(pairs_at_or_above(vectors, 0.7)) == expected
    finally:
        torch.set_num_threads(threads)
    order = np.random.default_rng(0).permutation(len(vectors))
    turned = found(pairs_at_or_above(np.ascontiguousarray(vectors[order]), 0.7))
    assert {tuple(sorted((int(order[a]), int(order[b])))): cosine for (a, b), cosine in turned.items()} == expected
    monkeypatch.setattr(neighbours, "SMALL", 0)
    monkeypatch.setattr(neighbours, "AXES", 0)
    changes = (("SMALL", 1e11), ("BLOCK", (64, 192)), ("LEADING", (4,)), ("LEADING", ()), ("CHUNK", 100), ("PART", 100))
    for name, value in (*changes, ("FEATURES", 1_000), ("SAMPLE", 70), ("PROBE", 30)):
        with monkeypatch.context() as patch:
            patch.setattr(neighbours, name, value)
            assert found(pairs_at_or_above(vectors, 0.7)) == expected
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert found(pairs_at_or_above(vectors, 0.7)) == expected


def test_pairs_between_two_sets() -> None:
    vectors = planted(1_500, 48, 2)
    left, right = np.ascontiguousarray(vectors[:600]), np.ascontiguousarray(vectors[600:])
    pairs = found(pairs_between(left, right, 0.9))
    assert pairs.keys() == brute_force(left, right, 0.9).keys() and len(pairs) > 20
    assert not found(pairs_between(left, np.zeros((0, 48), dtype=np.float32), 0.9))


def test_none_one_and_all_the_same() -> None:
    assert not found(pairs_at_or_above(np.zeros((0, 8), dtype=np.float32), 0.5))
    one = planted(1, 8, 0)
    assert not found(pairs_at_or_above(one, 0.5))
    pairs = found(pairs_at_or_above(np.repeat(one, 40, axis=0), 0.99))
    assert len(pairs) == 40 * 39 // 2 and all(0 <= a < b < 40 for a, b in pairs)
    with pytest.raises(DataError, match=r"more than 100 pairs have a cosine of 0.99 or more; raise the threshold"):
        pairs_at_or_above(np.repeat(one, 500, axis=0), 0.99, max_pairs=100)
