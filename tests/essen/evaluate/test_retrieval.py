import itertools
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from essen.evaluate.retrieval import (
    build_galleries,
    chance_median_rank,
    chance_recall,
    rerank_scores,
    retrieval_ranks,
    top_items,
)


def test_galleries_join_every_caption_with_all_its_pictures() -> None:
    # two drawings of a dog, one of them also called a puppy, and a cat
    galleries = build_galleries(["a-dog", "b-dog", "a-dog", "cat"], ["dog", "dog", "puppy", "cat"])
    assert galleries.images.tolist() == [0, 1, 3]
    assert galleries.captions.tolist() == [3, 0, 2]
    assert galleries.image_of.tolist() == [0, 1, 0, 2]
    assert galleries.caption_of.tolist() == [1, 1, 2, 0]
    assert galleries.relevant.tolist() == [[False, False, True], [True, True, False], [True, False, False]]


def test_galleries_need_pairs() -> None:
    with pytest.raises(ValueError, match="at least one"):
        build_galleries([], [])
    with pytest.raises(ValueError, match="as many pictures as captions"):
        build_galleries(["a"], ["x", "y"])


def test_any_correct_picture_counts_in_both_directions() -> None:
    relevant = np.array([[True, True, False], [False, False, True]])
    similarity = np.array([[0.1, 0.9, 0.5], [0.8, 0.2, 0.3]])
    assert retrieval_ranks(similarity, relevant).tolist() == [1, 2]
    # picture 0 prefers the wrong text, picture 1 its own, picture 2 the wrong one
    assert retrieval_ranks(similarity.T, relevant.T).tolist() == [2, 1, 2]


def test_ties_are_pessimistic() -> None:
    relevant = np.eye(4, dtype=bool)
    assert retrieval_ranks(np.zeros((4, 4)), relevant).tolist() == [4, 4, 4, 4]


def test_scores_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        retrieval_ranks(np.array([[np.nan, 0.0]]), np.array([[True, False]]))
    with pytest.raises(ValueError, match="no correct item"):
        retrieval_ranks(np.array([[1.0, 0.0]]), np.array([[False, False]]))
    with pytest.raises(ValueError, match="similarity is"):
        retrieval_ranks(np.zeros((2, 3)), np.ones((3, 2), dtype=bool))


@given(data=st.data())
def test_the_rank_is_that_of_a_sorted_list_with_wrong_items_first(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 8)))
    similarity = data.draw(hnp.arrays(np.float64, shape, elements=st.sampled_from([-1.0, 0.0, 0.5, 1.0])))
    relevant = data.draw(hnp.arrays(np.bool_, shape))
    relevant[:, data.draw(st.integers(0, shape[1] - 1))] = True
    ranks = retrieval_ranks(similarity, relevant)
    for row, rank in enumerate(ranks):
        order = sorted(range(shape[1]), key=lambda item: (-similarity[row, item], relevant[row, item]))
        assert rank == 1 + next(place for place, item in enumerate(order) if relevant[row, item])


@pytest.mark.parametrize(("gallery", "correct", "k"), [(5, 1, 1), (6, 2, 3), (7, 3, 2), (4, 4, 1), (3, 1, 10)])
def test_chance_is_what_counting_all_orders_gives(gallery: int, correct: int, k: int) -> None:
    draws = list(itertools.combinations(range(gallery), min(k, gallery)))
    hits = sum(any(item < correct for item in draw) for draw in draws)
    assert chance_recall(np.array([correct]), gallery, k) == pytest.approx(hits / len(draws))


def test_chance_averages_over_queries_with_different_numbers_of_answers() -> None:
    expected = np.mean([1 - comb(90 - m, 5) / comb(90, 5) for m in (1, 1, 4)])
    assert chance_recall(np.array([1, 4, 1]), 90, 5) == pytest.approx(expected)


def test_the_chance_median_rank_of_single_answers_is_the_middle() -> None:
    assert chance_median_rank(np.ones(100, dtype=np.int64), 100) == 50
    assert chance_median_rank(np.full(3, 10), 10) == 1


def test_random_scores_reach_the_chance_level() -> None:
    rng = np.random.default_rng(0)
    relevant = np.zeros((4_000, 50), dtype=bool)
    for row in relevant:
        row[rng.choice(50, size=rng.integers(1, 5), replace=False)] = True
    ranks = retrieval_ranks(rng.normal(size=relevant.shape), relevant)
    for k in (1, 5, 10):
        assert (ranks <= k).mean() == pytest.approx(chance_recall(relevant.sum(axis=1), 50, k), abs=0.025)
    assert np.median(ranks) == pytest.approx(chance_median_rank(relevant.sum(axis=1), 50), abs=1)


def test_reranking_reorders_the_candidates_and_nothing_else() -> None:
    similarity = np.array([[0.9, 0.8, 0.7, 0.6], [0.1, 0.2, 0.3, 0.4]])
    candidates = top_items(similarity, 2)
    assert candidates.tolist() == [[0, 1], [3, 2]]
    lifted = rerank_scores(similarity, candidates, np.array([[-5.0, 3.0], [0.0, -1.0]]))
    assert np.argsort(-lifted, axis=1).tolist() == [[1, 0, 2, 3], [3, 2, 1, 0]]


def test_a_list_longer_than_the_gallery_is_the_whole_gallery() -> None:
    assert top_items(np.zeros((2, 3)), 10).tolist() == [[0, 1, 2], [0, 1, 2]]
