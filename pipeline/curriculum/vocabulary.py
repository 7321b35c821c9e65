"""Stages by vocabulary growth: comprehensible input, as in Krashen's (1985) input just beyond what is known.

A stage is open to a pair when all its content words but `new_words` were taught before it: they are among the
`seed_words` most frequent lemmas, or stand in a pair of an earlier stage. Out of the pairs to which it is open, a stage
takes its share of all pairs, greedily: those with the fewest new words first, among them those whose rarest word is
most frequent. Pairs that are alike in both stay together, so a word is taught with all the pairs that are ready for it,
and a stage can be a little larger or smaller than its share. The last stage takes what is left.

Frequency is the number of pairs with a lemma, ties in alphabetical order. Nothing is drawn; nothing depends on the
order of rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.curriculum.lemmas import Lemmas

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class VocabularyCut:
    """Stages by vocabulary.

    Attributes:
        stages: (N,) from 1.
        new: (N,) content words of each pair that no earlier stage has, when its stage took it.
        facts: for the summary: seed words, unread captions, and for each stage what was known and what it was open to.
    """

    stages: "np.ndarray"
    new: "np.ndarray"
    facts: dict[str, Any]


def by_vocabulary(
    lemmas: Lemmas, count: int, shares: Sequence[float], *, seed_words: int, new_words: int
) -> VocabularyCut:
    """Return each pair's stage by the rule of this module.

    Args:
        lemmas: content words of the pairs.
        count: N, the number of pairs.
        shares: one a stage, adding up to 1.
        seed_words: lemmas that are known from the beginning.
        new_words: most lemmas of a pair that are not.
    """
    import numpy as np

    rank = frequency_rank(lemmas)
    rarest = np.full(count, -1, dtype=np.int64)
    np.maximum.at(rarest, lemmas.rows, rank[lemmas.codes])
    known = rank < seed_words
    stages = np.full(count, len(shares), dtype=np.int64)
    new = np.zeros(count, dtype=np.int64)
    left = np.ones(count, dtype=bool)
    entries = []
    for stage, share in enumerate(np.cumsum(shares), start=1):
        unknown = np.bincount(lemmas.rows[~known[lemmas.codes]], minlength=count)
        open_to = left & (unknown <= new_words)
        entries.append({"known": int(known.sum()), "open_to": int(open_to.sum())})
        if stage == len(shares):
            taken = left
        else:
            taken = _first(open_to, unknown * (len(rank) + 1) + rarest, round(share * count) - int((~left).sum()))
        stages[taken], new[taken] = stage, unknown[taken]
        left = left & ~taken
        known[lemmas.codes[taken[lemmas.rows]]] = True
    facts = {
        "seed_words": min(seed_words, len(rank)),
        "new_words": new_words,
        "unread": lemmas.unread,
        "beyond": int((new > new_words).sum()),
        "stages": entries,
    }
    return VocabularyCut(stages=stages, new=new, facts=facts)


def frequency_rank(lemmas: Lemmas) -> "np.ndarray":
    """Return the place (L,) of every lemma by the number of captions with it, most first, ties by name."""
    import numpy as np

    frequency = np.bincount(lemmas.codes, minlength=len(lemmas.names))
    rank = np.empty(len(frequency), dtype=np.int64)
    rank[np.lexsort((np.arange(len(frequency)), -frequency))] = np.arange(len(frequency))
    return rank


def _first(candidates: "np.ndarray", key: "np.ndarray", wanted: int) -> "np.ndarray":
    """Return the mask (N,) of about `wanted` candidates with the smallest keys; equal keys stay together."""
    import numpy as np

    keys = np.sort(key[candidates])
    if len(keys) <= wanted or not len(keys):
        return candidates
    last = keys[max(wanted, 1) - 1]
    below, upto = np.searchsorted(keys, last, side="left"), np.searchsorted(keys, last, side="right")
    whole = below == 0 or upto - wanted <= wanted - below
    return candidates & (key <= last if whole else key < last)
