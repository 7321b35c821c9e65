"""What a learner meets: samples and words stage by stage, the growth of the vocabulary, and the budget of words."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.curriculum.config import CurriculumConfig
from pipeline.errors import DataError
from pipeline.measure.caption import words_of
from pipeline.measure.language import letters_in
from pipeline.sample import UNSPACED, spaced

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
NEW_WORDS_SHOWN = 24
POINTS = 50  # of the growth curve


def vocabulary_growth(
    captions: "pa.Array", stages: "np.ndarray", points: int = POINTS
) -> tuple[list[dict[str, Any]], list[dict[str, int]]]:
    """Return how the vocabulary grows, by stage and along the order.

    Args:
        captions: (N,) strings by place of the order.
        stages: (N,) by place, rising.
        points: of the curve, about evenly spaced; the ends of stages are among them.

    Returns:
        For each stage ``stage``, ``new_words``, ``vocabulary`` after it and ``frequent_new_words``; and ``stage``,
        ``samples`` and ``vocabulary`` at each point of the curve, from nothing on.
    """
    import numpy as np

    text = _read(captions)
    met = np.full(len(text.words), len(captions), dtype=np.int64)  # the first place of each word
    token_met = np.empty(len(text.token_names), dtype=np.int64)
    token_met[text.tokens[::-1]] = text.places[::-1]  # of several the one that is written last stays: the first
    np.minimum.at(met, text.word_codes, token_met[text.word_tokens])
    ends = np.flatnonzero(np.r_[np.diff(stages) != 0, True]) + 1
    entries, start = [], 0
    for end in ends.tolist():
        new = np.flatnonzero((met >= start) & (met < end))
        names = text.words[new[np.lexsort((text.words[new], -text.counts(start, end)[new]))][:NEW_WORDS_SHOWN]]
        entry = {"stage": int(stages[end - 1]), "new_words": len(new), "vocabulary": int((met < end).sum())}
        entries.append(entry | {"frequent_new_words": names.tolist()})
        start = end
    met.sort()
    cuts = np.unique(np.r_[ends, np.linspace(0, len(captions), points + 1).round().astype(int)[1:]])
    curve = [{"stage": 0, "samples": 0, "vocabulary": 0}]
    for cut, vocabulary in zip(cuts.tolist(), np.searchsorted(met, cuts).tolist(), strict=True):
        curve.append({"stage": int(stages[cut - 1]), "samples": cut, "vocabulary": vocabulary})
    return entries, curve


def growth_by_stage(captions: Mapping[int, "pa.ChunkedArray"]) -> list[dict[str, Any]]:
    """Return how the vocabulary grows with each stage, whose captions are given by its number, rising."""
    import numpy as np
    import pyarrow as pa

    together = pa.chunked_array([chunk for column in captions.values() for chunk in column.chunks], pa.string())
    stages = np.repeat(list(captions), [len(column) for column in captions.values()])
    return vocabulary_growth(together.combine_chunks(), stages)[0]


def words_of_captions(captions: Sequence[str]) -> "np.ndarray":
    """Return the white-space words (N,) of each caption: what a budget counts."""
    import numpy as np

    return np.fromiter((len(spaced(caption).split()) for caption in captions), dtype=np.int64, count=len(captions))


def check_budget(config: CurriculumConfig, words: int) -> None:
    """Raise where the captions have more words than the budget.

    As for BabyLM, each sample counts once, however often training returns to it.

    Raises:
        DataError: with both numbers and the way out.
    """
    if config.word_budget is not None and words > config.word_budget:
        raise DataError(
            f"the training captions have {words:,} words, more than curriculum.word_budget {config.word_budget:,}; "
            "take fewer samples (corpora[].limit, select.filters) or raise the budget"
        )


def exposure(config: CurriculumConfig, stages: "np.ndarray", words: "np.ndarray") -> dict[str, Any]:
    """Return the declared exposure: what each stage is new with, what it offers, and what one pass through it shows.

    A pass shows each of the stage's own pairs once, or with a cumulative pool each of the pool; with a disjoint one,
    replay adds so many earlier pairs that they are its share of all that is seen, with the words to be expected.

    Args:
        config: pool, replay and budget.
        stages: (N,) by place, from 1.
        words: (N,) by place.
    """
    import numpy as np

    count = len(config.stages)
    samples = np.bincount(stages - 1, minlength=count)
    spoken = np.bincount(stages - 1, weights=words, minlength=count).astype(np.int64)
    entries = []
    for number, name in enumerate(config.stages):
        before, before_words = int(samples[:number].sum()), int(spoken[:number].sum())
        own, own_words = int(samples[number]), int(spoken[number])
        replayed = round(own * config.replay / (1 - config.replay)) if before and config.pool == "disjoint" else 0
        pool = (own + before, own_words + before_words) if config.pool == "cumulative" else (own, own_words)
        again = round(replayed * before_words / before) if before else 0
        entry = {"stage": number + 1, "name": name, "samples": own, "words": own_words}
        entry |= {"pool_samples": pool[0], "pool_words": pool[1]}
        entries.append(entry | {"pass_samples": pool[0] + replayed, "pass_words": pool[1] + again})
    return {
        "pool": config.pool,
        "replay": config.replay if config.pool == "disjoint" else 0.0,
        "word_budget": config.word_budget,
        "samples": int(samples.sum()),
        "words": int(spoken.sum()),
        "stages": entries,
    }


class _Text(NamedTuple):
    """Captions as numbers: what stands between spaces are tokens, and a token holds words.

    `tokens` (T,) and `places` (T,) are the tokens of the text with the captions in which they stand, in order;
    `word_codes` (W,) and `word_tokens` (W,) the words in each of `token_names`; `words` are in lower case.
    """

    token_names: "np.ndarray"
    tokens: "np.ndarray"
    places: "np.ndarray"
    words: "np.ndarray"
    word_codes: "np.ndarray"
    word_tokens: "np.ndarray"

    def counts(self, start: int, end: int) -> "np.ndarray":
        """Return how often each word stands in the captions from `start` to before `end`."""
        import numpy as np

        first, last = np.searchsorted(self.places, [start, end])
        tokens = np.bincount(self.tokens[first:last], minlength=len(self.token_names))
        return np.bincount(self.word_codes, weights=tokens[self.word_tokens], minlength=len(self.words))


def _words(token: str) -> list[str]:
    """Return the words in a token; in scripts that write vowels as signs on letters, a word holds them."""
    if token.isascii() or not any(unicodedata.category(character).startswith("M") for character in token):
        return WORD.findall(token)
    return [word for word in words_of(token) if letters_in(word)]


def _read(captions: "pa.Array") -> _Text:
    """Split captions at spaces, and each different token into words: no word holds a space."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if pc.any(pc.match_substring_regex(captions, UNSPACED.pattern)).as_py():
        captions = pa.array([spaced(caption) for caption in captions.to_pylist()], pa.string())
    lists = pc.utf8_split_whitespace(captions)
    tokens = pc.list_flatten(lists).dictionary_encode()
    names = tokens.dictionary.to_pylist()
    found = [_words(name.lower()) for name in names]
    held = pa.array([word for words in found for word in words], pa.string()).dictionary_encode()
    return _Text(
        token_names=np.asarray(names, dtype=object),
        tokens=tokens.indices.to_numpy(),
        places=pc.list_parent_indices(lists).to_numpy(),
        words=np.asarray(held.dictionary.to_pylist(), dtype=object),
        word_codes=held.indices.to_numpy(),
        word_tokens=np.repeat(np.arange(len(names)), [len(words) for words in found]),
    )
