from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from essen.sampling.draw import BatchRule, draw, draw_fitting, draw_shares, fitting, redraw


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), min_size=1, max_size=40), st.integers(1, 3))
def test_fitting_keeps_who_comes_first(rows: list[tuple[int, int]], together: int) -> None:
    images, captions = np.array(rows, dtype=np.int64).T
    rule = BatchRule.of(images, captions, size=4, together=together)
    order = np.random.default_rng(0).permutation(len(rows))
    seen_images: set[int] = set()
    seen_captions: Counter[int] = Counter()
    expected = []
    for row in order:
        new = images[row] not in seen_images
        seen_images.add(images[row])
        expected.append(bool(new and seen_captions[captions[row]] < together))
        seen_captions[captions[row]] += bool(new)
    assert fitting(order, rule).tolist() == expected


def test_a_draw_repeats_captions_before_pictures_and_pictures_before_rows() -> None:
    images, captions = np.array([0, 0, 1, 2, 3]), np.array([0, 1, 2, 2, 2])
    rule = BatchRule.of(images, captions, size=4, together=1)
    rng, pool = np.random.default_rng(0), np.arange(5)
    for _ in range(20):
        two, four, five, seven = (draw(rng, pool, size, rule) for size in (2, 4, 5, 7))
        assert len(set(captions[two].tolist())) == 2
        assert len(set(images[four].tolist())) == 4
        assert sorted(five) == [0, 1, 2, 3, 4]
        assert len(seven) == 7 and set(seven.tolist()) == set(range(5))
        assert len(draw_fitting(rng, pool, 4, rule)) == 2


def test_a_draw_goes_on_until_it_has_found_the_few_that_fit() -> None:
    captions = np.concatenate([np.zeros(5000, dtype=np.int64), np.arange(1, 9)])
    rule = BatchRule.of(np.arange(5008), captions, size=8, together=1)
    found = draw(np.random.default_rng(0), np.arange(5008), 8, rule, taken=np.array([0]))
    assert sorted(found) == list(range(5000, 5008))


def test_a_part_of_a_batch_makes_way_for_the_other() -> None:
    images = np.array([0, 1, 2, 3, 4, 0, 1, 5, 6])
    rule = BatchRule.of(images, np.arange(9), size=6)
    part = redraw(np.random.default_rng(0), np.array([5, 6, 7]), np.array([5, 6, 7, 8]), rule, np.array([0, 2]))
    assert sorted(part) == [6, 7, 8]


def test_what_a_source_lacks_comes_from_the_others_with_a_share() -> None:
    rule = BatchRule.of(np.arange(30), np.arange(30), size=10)
    pools = [np.arange(2), np.arange(2, 20), np.arange(20, 30)]
    for seed in range(20):
        rows = draw_shares(np.random.default_rng(seed), pools, np.array([0.9, 0.1, 0.0]), rule)
        assert len(set(rows.tolist())) == 10 and {0, 1} <= set(rows.tolist()) and rows.max() < 20


def test_the_expected_rows_of_a_source_are_its_share() -> None:
    rule = BatchRule.of(np.arange(300), np.arange(300), size=8)
    pools, shares = [np.arange(100), np.arange(100, 200), np.arange(200, 300)], np.array([0.04, 0.3, 0.66])
    rng = np.random.default_rng(0)
    rows = np.concatenate([draw_shares(rng, pools, shares, rule) for _ in range(2000)])
    assert np.abs(np.bincount(rows // 100) / len(rows) - shares).max() < 0.01


def test_asked_for_a_batch_may_hold_several_captions_of_a_picture() -> None:
    images = np.zeros(4, dtype=np.int64)
    rule = BatchRule.of(images, np.arange(4), size=4, allow_same_image=True)
    assert fitting(np.arange(4), rule).all()
