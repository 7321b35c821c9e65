"""Retrieval among pictures of one word, by hand."""

import numpy as np
from pytest import approx

from essen.evaluate.controls import MODEL
from essen.evaluate.retrieval import build_galleries
from essen.evaluate.same_word import same_word_measures

COLOURS = ("red", "green", "blue", "black", "white", "brown")
CAPTIONS = [f"a {colour} {thing}" for thing in ("bear", "boat") for colour in COLOURS] + ["a moon"]


def test_who_knows_the_noun_alone_finds_nothing_and_who_knows_the_colour_finds_all() -> None:
    galleries = build_galleries(CAPTIONS, CAPTIONS)
    nouns = np.array([CAPTIONS[row].split()[-1] for row in galleries.images])
    by_noun = (nouns[:, None] == nouns[None]).astype(np.float64)
    captions = [CAPTIONS[row] for row in galleries.captions]
    for similarity, expected in ((galleries.relevant.astype(np.float64), 1.0), (by_noun, 0.0)):
        (measure,) = same_word_measures(similarity, galleries, captions, CAPTIONS)
        # "a" stands in every caption, and a colour in two pictures: what is asked is bear and boat.
        assert len(measure.values[MODEL]) == 12 and measure.chance == approx(1 / 6)
        assert measure.values[MODEL].mean() == expected


def test_without_a_word_of_several_pictures_there_is_no_measure() -> None:
    names = [f"thing{number}" for number in range(8)]
    galleries = build_galleries(names, names)
    assert same_word_measures(np.eye(8), galleries, names, names) == []
