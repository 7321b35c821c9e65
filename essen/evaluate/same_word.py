"""Retrieval among pictures of one word: what is left to be known once the word itself is.

A word is what stands in the captions of at least `LEAST` pictures, and of at most half of them: "a" and "of" part
nothing. Each caption is asked once for each of its words, among the pictures whose captions have that word. Nothing
but spelling is looked at, so colours and sizes are words as nouns are.
"""

from collections.abc import Sequence

import numpy as np

from essen.evaluate.controls import MODEL, TOWERS
from essen.evaluate.measures import Measure
from essen.evaluate.retrieval import Floats, Galleries
from pipeline.sample import normalise_caption

LEAST, LARGEST_SHARE = 5, 0.5


def same_word_measures(
    similarity: Floats, galleries: Galleries, captions: Sequence[str], groups: Sequence[str]
) -> list[Measure]:
    """Return R@1 among the pictures of one word, ties counted as wrong; nothing where no word has enough pictures.

    Args:
        similarity: (T, I) of T captions and I pictures.
        galleries: which belong together, of N pairs.
        captions: (T,) texts, in the order of the galleries.
        groups: (N,) group of every pair.
    """
    words = [set(normalise_caption(caption).casefold().split()) for caption in captions]
    pictures: dict[str, set[int]] = {}
    for row, own in enumerate(words):
        for word in own:
            pictures.setdefault(word, set()).update(np.flatnonzero(galleries.relevant[row]).tolist())
    most = LARGEST_SHARE * similarity.shape[1]
    pools = {word: np.array(sorted(own)) for word, own in pictures.items() if LEAST <= len(own) <= most}
    hits, chances, asked, sizes = [], [], [], []
    for row, own in enumerate(words):
        for word in sorted(own & pools.keys()):
            pool = pools[word]
            scores, right = similarity[row, pool], galleries.relevant[row, pool]
            if right.all():
                continue
            hits.append(bool(scores[right].max() > scores[~right].max()))
            chances.append(float(right.mean()))
            asked.append(groups[int(galleries.captions[row])])
            sizes.append(len(pool))
    if not hits:
        return []
    return [
        Measure(
            name="r@1_same_word",
            scorer=TOWERS,
            values={MODEL: np.array(hits)},
            groups=asked,
            chance=float(np.mean(chances)),
            note=f"among {np.mean(sizes):.0f} pictures on average",
        )
    ]
