"""Answers to look at: some queries that a model answered rightly, and some that it answered wrongly.

An example of ``text_to_image``::

    {"direction", "caption", "rank": of the first correct picture,
     "answer": {"uid": of a pair with that picture, "score": cosine},
     "results": [{"uid": of a pair with that picture, "score", "correct"}]}

and one of ``image_to_text``, where captions are what is found::

    {"direction", "uid": of a pair with the picture, "rank", "answer": {"caption", "score"},
     "results": [{"caption", "score", "correct"}]}
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from essen.config import EvaluateConfig
from essen.evaluate.held_out import HeldOut
from essen.evaluate.recall import DIRECTIONS, turned
from essen.evaluate.retrieval import Bools, Floats, Ints, retrieval_ranks, top_items

SHOWN = 5  # answers recorded of an example


def draw_examples(config: EvaluateConfig, held_out: HeldOut, similarity: Floats, number: int) -> list[dict[str, Any]]:
    """Return examples of both directions, as many of each as the configuration says; see the module's text.

    Args:
        config: number of examples, half of them answered rightly as far as there are any, and seed.
        held_out: the set.
        similarity: (T, I) cosines of its captions and pictures.
        number: place of the set, which tells its draws from those of other sets.
    """
    captions = [{"caption": caption} for caption in held_out.captions]
    pictures = [{"uid": held_out.uids[row]} for row in held_out.galleries.images]
    found = []
    for place, direction in enumerate(DIRECTIONS):
        queries, items = (captions, pictures) if direction == "text_to_image" else (pictures, captions)
        scores, relevant = turned(direction, similarity), turned(direction, held_out.galleries.relevant)
        rng = np.random.default_rng([config.seed, number, 2 + place])
        for row, rank in _drawn(retrieval_ranks(scores, relevant), config.examples, rng):
            found.append(
                {"direction": direction, **queries[row], "rank": rank, **_answers(items, scores[row], relevant[row])}
            )
    return found


def _drawn(ranks: Ints, wanted: int, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Yield row and rank of queries that were answered rightly, then of some that were answered wrongly."""
    for rows, share in ((np.flatnonzero(ranks == 1), -(-wanted // 2)), (np.flatnonzero(ranks > 1), wanted // 2)):
        for row in np.sort(rng.choice(rows, size=min(share, len(rows)), replace=False)):
            yield int(row), int(ranks[row])


def _answers(items: list[dict[str, str]], scores: Floats, relevant: Bools) -> dict[str, Any]:
    """Return the correct item that comes first, and the first items.

    Args:
        items: of the gallery, length G.
        scores, relevant: (G,) of a query.
    """
    best = int(np.where(relevant, scores, -np.inf).argmax())
    return {
        "answer": {**items[best], "score": round(float(scores[best]), 6)},
        "results": [
            {**items[place], "score": round(float(scores[place]), 6), "correct": bool(relevant[place])}
            for place in top_items(scores[None], SHOWN)[0]
        ],
    }
