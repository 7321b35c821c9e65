"""Retrieval: given a text find its pictures, given a picture find its texts.

Galleries hold unique pictures and unique captions; every picture that was published with a caption is a correct answer
to it, and the other way round. Ties are broken against the model, so a constant score earns nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Galleries:
    """The unique pictures and captions of a set of N pairs, and which belong together.

    Attributes:
        images: (I,) the first pair of every picture.
        captions: (T,) the first pair of every caption.
        image_of: (N,) place in `images` of every pair's picture.
        caption_of: (N,) place in `captions` of every pair's caption.
        relevant: (T, I) true where a pair joins the caption and the picture.
    """

    images: Ints
    captions: Ints
    image_of: Ints
    caption_of: Ints
    relevant: Bools


def build_galleries(images: Sequence[Any] | Ints, captions: Sequence[Any] | Ints) -> Galleries:
    """Return the galleries of N pairs.

    Args:
        images: identity of each pair's picture, length N; equal where the content is equal.
        captions: identity of each pair's caption, length N; equal where the text counts as equal.

    Raises:
        ValueError: the lengths differ or there is no pair.
    """
    if len(images) != len(captions) or not len(images):
        raise ValueError(f"need as many pictures as captions and at least one, got {len(images)}, {len(captions)}")
    image_first, image_of = np.unique(np.asarray(images), return_index=True, return_inverse=True)[1:]
    caption_first, caption_of = np.unique(np.asarray(captions), return_index=True, return_inverse=True)[1:]
    relevant = np.zeros((len(caption_first), len(image_first)), dtype=np.bool_)
    relevant[caption_of, image_of] = True
    return Galleries(image_first, caption_first, image_of, caption_of, relevant)


def retrieval_ranks(similarity: Floats, relevant: Bools) -> Ints:
    """Return for every query the rank of its best correct item, 1 being first.

    A wrong item with the same score stands before the correct one. For the other direction pass both transposed.

    Args:
        similarity: (Q, G) score of every gallery item for every query, higher is better.
        relevant: (Q, G) true where the item is a correct answer.

    Returns:
        (Q,) int64 in 1..G.

    Raises:
        ValueError: the shapes differ, a score is not a number, or a query has no correct item.
    """
    if similarity.shape != relevant.shape:
        raise ValueError(f"similarity is {similarity.shape}, relevant is {relevant.shape}")
    if np.isnan(similarity).any():
        raise ValueError("a similarity is not a number")
    if not relevant.any(axis=1).all():
        raise ValueError("a query has no correct item in the gallery")
    best = np.where(relevant, similarity, -np.inf).max(axis=1)
    before = (similarity >= best[:, None]) & ~relevant
    return 1 + before.sum(axis=1, dtype=np.int64)


def chance_recall(num_relevant: Ints, gallery: int, k: int) -> float:
    """Return the exact expected R@k of an order drawn at random.

    For a query with m correct items of G that is 1 - C(G-m, k) / C(G, k), the hypergeometric probability of at least
    one correct item among k drawn; the mean over queries is returned.

    Args:
        num_relevant: (Q,) correct items of every query.
        gallery: items in the gallery, G.
        k: length of the list; a list longer than the gallery holds all of it.
    """
    from scipy.stats import hypergeom

    values, counts = np.unique(num_relevant, return_counts=True)
    hit = 1.0 - hypergeom.pmf(0, gallery, values, min(k, gallery))
    return float(np.average(hit, weights=counts))


def chance_median_rank(num_relevant: Ints, gallery: int) -> int:
    """Return the median rank that an order drawn at random gives: the smallest k with an expected R@k of a half."""
    low, high = 1, gallery
    while low < high:
        middle = (low + high) // 2
        if chance_recall(num_relevant, gallery, middle) >= 0.5:
            high = middle
        else:
            low = middle + 1
    return low


def rerank_scores(similarity: Floats, candidates: Ints, scores: Floats) -> Floats:
    """Return the similarity with each query's candidates lifted above all others and ordered by another score.

    Args:
        similarity: (Q, G) first scores.
        candidates: (Q, K) gallery rows to reorder, in general the first K of every query.
        scores: (Q, K) second scores of these.

    Returns:
        (Q, G) float64; the rest of the gallery keeps its order behind the candidates.
    """
    lifted = similarity.astype(np.float64)
    second = scores.astype(np.float64)
    above = lifted.max(initial=0.0) + 1.0 + second - second.min(initial=0.0)
    np.put_along_axis(lifted, candidates, above, axis=1)
    return lifted


def top_items(similarity: Floats, k: int) -> Ints:
    """Return (Q, min(k, G)) gallery rows of the best items of every query, best first, ties by row."""
    order = np.argsort(-similarity, axis=1, kind="stable")
    return order[:, : min(k, similarity.shape[1])]
