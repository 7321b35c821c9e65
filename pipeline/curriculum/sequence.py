"""In which order the pairs of a stage come.

| order | inside a stage |
| --- | --- |
| ``easy_to_hard`` | by difficulty |
| ``random`` | drawn by the seed |
| ``concept_blocked`` | pairs of one head noun together, easy concepts first, easy pairs first |
| ``interleaved`` | the first pair of every concept, then the second of every concept, and so on |
| ``group`` | one work (story, recording) after the other, easy ones first, each from its first page to its last |

A concept's or a work's difficulty is the mean of its pairs in the stage. Pairs without a head noun are one concept.
All ties fall to the name, then to the uid.
"""

from typing import TYPE_CHECKING

from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.pairs import Pairs, require_values

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def arrange(config: CurriculumConfig, pairs: Pairs, stages: "np.ndarray", difficulty: "np.ndarray") -> "np.ndarray":
    """Return the positions (N,) of the pairs, which are sorted by uid, in the sequence of the order."""
    import numpy as np

    if config.within == "random":
        return shuffled(stages, np.random.default_rng([config.seed, len(config.stages)]))
    if config.within == "easy_to_hard":
        return np.lexsort((difficulty, stages))
    if config.within == "group":
        return blocked(stages, _codes(pairs.column("group")), difficulty, inside=page_order(pairs))
    nouns = pairs.signals("caption", ["head_noun"]).column("head_noun").combine_chunks()
    known = np.where(nouns.is_null().to_numpy(zero_copy_only=False), np.nan, 1.0)
    require_values(pairs, "curriculum.within", "caption.head_noun", known)
    concepts = _codes(nouns)
    if config.within == "concept_blocked":
        return blocked(stages, concepts, difficulty, inside=difficulty)
    return interleaved(stages, concepts, difficulty)


def shuffled(stages: "np.ndarray", generator: "np.random.Generator") -> "np.ndarray":
    """Return positions (N,) by stage, drawn within each."""
    import numpy as np

    # A stable sort by stage of a random sequence is a random sequence within each stage.
    drawn = generator.permutation(len(stages))
    return drawn[np.argsort(stages[drawn], kind="stable")]


def blocked(
    stages: "np.ndarray", codes: "np.ndarray", difficulty: "np.ndarray", *, inside: "np.ndarray"
) -> "np.ndarray":
    """Return positions (N,) by stage, in it block after block by mean difficulty, in a block by `inside`.

    Args:
        stages: (N,) from 1.
        codes: (N,) the block of each pair, numbered in the order of names.
        difficulty: (N,) by which blocks are sorted.
        inside: (N,) by which the pairs of a block are.
    """
    import numpy as np

    return np.lexsort((inside, codes, _block_means(stages, codes, difficulty), stages))


def interleaved(stages: "np.ndarray", codes: "np.ndarray", difficulty: "np.ndarray") -> "np.ndarray":
    """Return positions (N,) by stage, in it round robin over blocks; arguments as for `blocked`."""
    import numpy as np

    sequence = blocked(stages, codes, difficulty, inside=difficulty)
    starts = np.flatnonzero(np.r_[True, (np.diff(stages[sequence]) != 0) | (np.diff(codes[sequence]) != 0)])
    lengths = np.diff(np.r_[starts, len(sequence)])
    turn = np.arange(len(sequence)) - np.repeat(starts, lengths)
    return sequence[np.lexsort((np.arange(len(sequence)), turn, stages[sequence]))]


def page_order(pairs: Pairs) -> "np.ndarray":
    """Return each pair's place (N,) among all by where its caption stood in its corpus: shards hold pages in order."""
    import numpy as np
    import pyarrow.compute as pc

    samples = pairs.signals("samples", ["corpus", "raw_shard", "raw_offset"])
    keys = [("corpus", "ascending"), ("raw_shard", "ascending"), ("raw_offset", "ascending")]
    place = np.empty(len(pairs), dtype=np.int64)
    place[pc.sort_indices(samples, sort_keys=keys).to_numpy()] = np.arange(len(pairs))
    return place


def _block_means(stages: "np.ndarray", codes: "np.ndarray", difficulty: "np.ndarray") -> "np.ndarray":
    """Return for each pair (N,) the mean difficulty of its block in its stage."""
    import numpy as np

    _, block = np.unique(stages * (codes.max() + 1) + codes, return_inverse=True)
    means = np.bincount(block, weights=difficulty) / np.bincount(block)
    return np.round(means, 9)[block]  # sums in another order differ in the last bits


def _codes(names: "pa.Array") -> "np.ndarray":
    """Return the place (N,) of each name among all, sorted; no name comes first."""
    import numpy as np
    import pyarrow.compute as pc

    coded = pc.fill_null(names, "").dictionary_encode()
    rank = np.empty(len(coded.dictionary), dtype=np.int64)
    rank[pc.sort_indices(coded.dictionary).to_numpy()] = np.arange(len(rank))
    return rank[coded.indices.to_numpy()]
