"""Which page of its story a caption belongs to: a choice among few pictures of one group.

Pictures of one group share a style and their characters, so a model that only tells stories apart is at chance here.
"""

from collections.abc import Sequence

import numpy as np

from essen.evaluate.controls import MODEL, TOWERS
from essen.evaluate.measures import Measure
from essen.evaluate.retrieval import Floats, Galleries, Ints

CHOICES = 5


def within_measures(
    similarity: Floats, galleries: Galleries, groups: Sequence[str], seed: Sequence[int]
) -> list[Measure]:
    """Return the share of captions whose picture scores above `CHOICES` - 1 others of its group; ties are wrong.

    Captions whose group has fewer pictures than that are not asked; where none is left, there is no measure.

    Args:
        similarity: (T, I) of T captions and I pictures.
        galleries: which belong together, of N pairs.
        groups: (N,) group of every pair.
        seed: of the choice of the others.
    """
    rng = np.random.default_rng(list(seed))
    pictures: dict[str, set[int]] = {}
    for row, image in enumerate(galleries.image_of.tolist()):
        pictures.setdefault(groups[row], set()).add(image)
    asked, hits = [], []
    for caption, row in enumerate(galleries.captions.tolist()):
        relevant = galleries.relevant[caption]
        others = [image for image in sorted(pictures[groups[row]]) if not relevant[image]]
        if len(others) >= CHOICES - 1:
            wrong: Ints = rng.choice(others, size=CHOICES - 1, replace=False)
            own = galleries.image_of[row]
            asked.append(groups[row])
            hits.append(similarity[caption, own] > similarity[caption, wrong].max())
    if not asked:
        return []
    return [
        Measure(
            name=f"which_of_{CHOICES}_in_group",
            scorer=TOWERS,
            values={MODEL: np.array(hits)},
            groups=asked,
            chance=1 / CHOICES,
            gallery=CHOICES,
        )
    ]
