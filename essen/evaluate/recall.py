"""Retrieval by any encoder: R@1, R@5, R@10 in both directions, and the fusion module's order of the first answers."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from essen.evaluate.controls import FUSION, MODEL, NO_PICTURE, SHUFFLED_CAPTIONS, SHUFFLED_PICTURES, TOWERS
from essen.evaluate.encoders import Encoder, Features, similarities
from essen.evaluate.measures import Measure
from essen.evaluate.retrieval import (
    Bools,
    Floats,
    Galleries,
    Ints,
    chance_recall,
    rerank_scores,
    retrieval_ranks,
    top_items,
)

Number = TypeVar("Number", bound=np.generic)
KS = (1, 5, 10)
DIRECTIONS = ("text_to_image", "image_to_text")


def turned(direction: str, table: NDArray[Number]) -> NDArray[Number]:
    """Return a table of captions by pictures as one of queries by gallery."""
    return table if direction == "text_to_image" else table.T


def reranked(
    encoder: Encoder, texts: Features, images: Features, similarity: Floats, direction: str, top: int
) -> Floats:
    """Return scores (queries, gallery) with the first answers of every query in the fusion module's order.

    Args:
        encoder: the model.
        texts, images: features of T captions and I pictures.
        similarity: (T, I) of the towers.
        direction: ``text_to_image`` or ``image_to_text``.
        top: number of answers that are put in order.
    """
    by_query = turned(direction, similarity)
    candidates = top_items(by_query, top)
    queries = np.repeat(np.arange(len(by_query)), candidates.shape[1])
    captions, pictures = (queries, candidates.ravel())
    if direction == "image_to_text":
        captions, pictures = pictures, captions
    logits = encoder.match(texts, images, captions, pictures)
    return rerank_scores(by_query, candidates, logits.reshape(candidates.shape))


def shuffled(galleries: Galleries, side: str, rng: np.random.Generator) -> Bools:
    """Return what would be correct (T, I) if every pair had the caption, or the picture, of another pair."""
    relevant = np.zeros_like(galleries.relevant)
    captions, images = galleries.caption_of, galleries.image_of
    if side == SHUFFLED_CAPTIONS:
        captions = rng.permutation(captions)
    else:
        images = rng.permutation(images)
    relevant[captions, images] = True
    return relevant


def recall_measures(
    encoder: Encoder,
    texts: Features,
    images: Features,
    galleries: Galleries,
    groups: Sequence[str],
    *,
    rerank_top: int,
    seed: Sequence[int],
) -> list[Measure]:
    """Return recall in both directions, by the towers and with the first answers ordered by the fusion module.

    Args:
        encoder: the model.
        texts: features of the T unique captions.
        images: features of the I unique pictures and of the grey one.
        galleries: which belong together, of N pairs.
        groups: (N,) unit of every pair; a query has that of its first pair.
        rerank_top, seed: answers to reorder, 0 for none; of the shuffling.
    """
    everything = similarities(texts, images)
    similarity, grey = everything[:, :-1], np.repeat(everything[:, -1:], everything.shape[1] - 1, axis=1)
    rng = np.random.default_rng(list(seed))
    relevant = {side: shuffled(galleries, side, rng) for side in (SHUFFLED_PICTURES, SHUFFLED_CAPTIONS)}
    measures = []
    for direction in DIRECTIONS:
        correct = turned(direction, galleries.relevant)
        first = galleries.captions if direction == "text_to_image" else galleries.images
        units = [groups[row] for row in first]
        scores = {TOWERS: turned(direction, similarity)}
        if encoder.fuses and rerank_top:
            scores[FUSION] = reranked(encoder, texts, images, similarity, direction, rerank_top)
        for scorer, matrix in scores.items():
            ranks = {MODEL: retrieval_ranks(matrix, correct)}
            if scorer == TOWERS:  # the fusion module would reorder first answers that are all the same picture
                ranks[NO_PICTURE] = retrieval_ranks(turned(direction, grey), correct)
            for side, wrong in relevant.items():
                ranks[side] = retrieval_ranks(matrix, turned(direction, wrong))
            measures += _at_k(direction, scorer, ranks, correct, units)
    return measures


def _at_k(direction: str, scorer: str, ranks: dict[str, Ints], correct: Bools, units: list[str]) -> list[Measure]:
    gallery = correct.shape[1]
    return [
        Measure(
            name=f"{direction}_R@{k}",
            scorer=scorer,
            values={name: found <= k for name, found in ranks.items()},
            groups=units,
            chance=chance_recall(correct.sum(axis=1), gallery, k),
            gallery=gallery,
        )
        for k in KS
    ]
