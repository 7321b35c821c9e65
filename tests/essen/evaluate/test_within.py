"""A choice among five pictures of one group, by hand."""

import numpy as np
from pytest import approx

from essen.evaluate.controls import MODEL
from essen.evaluate.retrieval import build_galleries
from essen.evaluate.within import within_measures

PAGES = [f"page {n}" for n in range(14)]
STORIES = ["bear"] * 6 + ["moon"] * 5 + ["sea"] * 3


def test_a_model_that_knows_the_page_is_right_and_one_that_knows_the_story_is_not() -> None:
    galleries = build_galleries(PAGES, PAGES)
    stories = np.array([STORIES[row] for row in galleries.images])
    by_story = (stories[:, None] == stories[None]).astype(np.float64)
    for similarity, expected in ((galleries.relevant.astype(np.float64), 1.0), (by_story, 0.0)):
        (measure,) = within_measures(similarity, galleries, STORIES, [0])
        assert measure.values[MODEL].mean() == expected
        assert measure.chance == 0.2 and set(measure.groups) == {"bear", "moon"} and len(measure.groups) == 11


def test_a_random_model_is_at_chance_and_the_seed_decides() -> None:
    pages, groups = [str(n) for n in range(2000)], [str(n // 8) for n in range(2000)]
    galleries = build_galleries(pages, pages)
    similarity = np.random.default_rng(0).random((2000, 2000))
    (first,), (second,) = (within_measures(similarity, galleries, groups, [0]) for _ in range(2))
    assert first.values[MODEL].mean() == approx(0.2, abs=0.03)
    assert (first.values[MODEL] == second.values[MODEL]).all()


def test_groups_of_few_pictures_are_not_asked() -> None:
    galleries = build_galleries(PAGES, PAGES)
    assert within_measures(np.eye(14), galleries, [str(n // 3) for n in range(14)], [0]) == []


def test_two_captions_of_one_picture_are_both_asked_and_never_against_their_own() -> None:
    images, captions = ["a", "a", "b", "c", "d", "e"], ["1", "2", "3", "4", "5", "6"]
    galleries = build_galleries(images, captions)
    (measure,) = within_measures(galleries.relevant.astype(np.float64), galleries, ["bear"] * 6, [0])
    assert measure.values[MODEL].tolist() == [True] * 6
