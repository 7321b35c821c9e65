from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from essen.sampling.draw import BatchRule
from essen.sampling.streams import CaptionStream

CODES = st.lists(st.integers(0, 12), min_size=1, max_size=60).map(lambda codes: np.array(codes, dtype=np.int64))


def stream_of(captions: np.ndarray, images: np.ndarray, size: int, together: int, seed: int = 0) -> CaptionStream:
    rule = BatchRule.of(images, captions, size=size, together=together)
    return CaptionStream(np.arange(len(captions)), rule, seed=(seed,))


@given(CODES, st.integers(1, 20), st.integers(1, 3), st.integers(0, 5))
def test_batches_are_exact_pure_and_distinct_where_they_can_be(
    captions: np.ndarray, size: int, together: int, seed: int
) -> None:
    own = np.arange(len(captions))
    first, second = (stream_of(captions, own, size, together, seed) for _ in range(2))
    forwards = [first.batch(number) for number in range(12)]
    backwards = [second.batch(number) for number in reversed(range(12))][::-1]
    enough = np.minimum(np.bincount(captions), together).sum()
    assert first.rows_per_pass == enough
    for one, other in zip(forwards, backwards, strict=True):
        assert one.tolist() == other.tolist()
        assert len(one) == size and set(one) <= set(range(len(captions)))
        assert len(set(one.tolist())) == min(size, len(captions))
        if size <= enough:
            assert max(Counter(captions[one].tolist()).values()) <= together


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 12)), min_size=1, max_size=60), st.integers(1, 20))
def test_no_batch_holds_two_captions_of_a_picture_while_there_are_pictures(
    rows: list[tuple[int, int]], size: int
) -> None:
    images, captions = np.array(rows, dtype=np.int64).T
    stream = stream_of(captions, images, size, together=2)
    for number in range(12):
        batch = stream.batch(number)
        assert len(set(images[batch].tolist())) == min(size, len(set(images.tolist())))
        if size <= stream.rows_per_pass:
            assert max(Counter(captions[batch].tolist()).values()) <= 2


@settings(max_examples=12, deadline=None)
@given(CODES, CODES, st.integers(1, 20), st.integers(1, 3))
def test_every_row_comes_in_time(captions: np.ndarray, images: np.ndarray, size: int, together: int) -> None:
    count = min(len(captions), len(images))
    stream = stream_of(captions[:count], images[:count], size, together)
    seen: set[int] = set()
    for number in range(1500):
        seen.update(stream.batch(number).tolist())
    assert seen == set(range(count))


def test_a_pass_visits_every_caption_evenly() -> None:
    captions = np.array([0] * 10 + [1] * 3 + [2, 3, 4, 5])
    stream = stream_of(captions, np.arange(len(captions)), size=6, together=1)
    assert all(sorted(captions[stream.batch(number)]) == [0, 1, 2, 3, 4, 5] for number in range(20))


def test_a_pass_visits_every_picture_once_and_all_of_its_captions_in_turn() -> None:
    images = np.repeat(np.arange(20), 5)
    stream = stream_of(np.arange(100), images, size=4, together=2)
    assert stream.batches_per_pass == 5
    passes = [np.concatenate([stream.batch(5 * number + part) for part in range(5)]) for number in range(60)]
    assert all(sorted(images[rows]) == list(range(20)) for rows in passes)
    assert set(np.concatenate(passes).tolist()) == set(range(100))
