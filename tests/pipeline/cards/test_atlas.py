"""The map of the pictures: the same on every call, true to distances as far as a plane can be, with every picture."""

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cards.atlas import map_places
from pipeline.errors import DataError

PLANES = arrays.arrays(np.float32, st.tuples(st.integers(3, 12), st.just(2)), elements=st.floats(-1, 1, width=32))


@settings(max_examples=30)
@given(points=PLANES, seed=st.integers(0, 99))
def test_points_of_a_plane_keep_their_distances(points: np.ndarray, seed: int) -> None:
    names = [f"{row:x}" for row in range(len(points))]
    axes = np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 2)))[0]
    places = map_places(names, names, (points @ axes.T).astype(np.float32))
    wanted = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.testing.assert_allclose(np.linalg.norm(places[:, None] - places[None], axis=2), wanted, atol=1e-3)
    assert np.var(places[:, 0]) >= np.var(places[:, 1]) - 1e-3


def test_neither_the_order_of_the_rows_nor_a_repetition_moves_a_picture() -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    names = [f"{row:02x}" for row in range(20)]
    places = map_places(names, names, vectors)
    again = map_places(names, names[::-1], vectors[::-1])
    assert np.array_equal(places, again)
    twice = map_places([*names, *names], names, vectors)
    assert np.allclose(twice[:20], places, atol=1e-3) and np.array_equal(twice[:20], twice[20:])


def test_a_picture_without_a_vector_is_named() -> None:
    with pytest.raises(DataError, match=r"1 pictures have no vector \(ff"):
        map_places(["00", "ff"], ["00"], np.ones((1, 4), np.float32))
