"""Names without spaces, spelled out in English words."""

import functools
import math
import re
from collections.abc import Iterable, Mapping

SHORT_WORDS = frozenset({"a", "an", "at", "by", "dj", "in", "no", "of", "ok", "on", "or", "to", "tv", "up", "vs"})
LONGEST = 18
# Frequencies on the Zipf scale: the common logarithm of occurrences per thousand million words.
FLOOR_OF_THREE_LETTERS = 3.5  # below it, three letters are mostly an abbreviation or a foreign word
FLOOR = 1.4  # below it, wordfreq knows mostly misspellings
RARE = 2.5  # below it are also compounds written as one ("creditcard"): they cost
RARE_COST = 1.0


def spellings(names: Iterable[str]) -> dict[str, str]:
    """Return hyphenated names by what is left of them without hyphens; of several, the first in sorted order."""
    found: dict[str, str] = {}
    for name in sorted(names):
        found.setdefault(name.replace("-", ""), name)
    return found


def spell(name: str, known: Mapping[str, str]) -> str:
    """Return a name with hyphens between its words.

    A name that `known` spells is spelled so. Otherwise runs of letters are split into the words with the largest
    product of frequencies in English; a run that is no sequence of known words stays as it is.
    """
    if name in known:
        return known[name]
    runs = re.findall(r"[a-z]+|[0-9]+|[^a-z0-9-]+", name)
    return "-".join("-".join(split_words(run)) if run.isalpha() else run for run in runs) or name


@functools.cache
def split_words(letters: str) -> tuple[str, ...]:
    """Return the likeliest sequence of English words that make up the letters; the letters themselves if none does."""
    best: list[tuple[float, tuple[str, ...]]] = [(0.0, ()), *([(-math.inf, ())] * len(letters))]
    for end in range(1, len(letters) + 1):
        for start in range(max(0, end - LONGEST), end):
            word = letters[start:end]
            score = best[start][0] + _log_frequency(word)
            if score > best[end][0]:
                best[end] = (score, (*best[start][1], word))
    return best[-1][1] or (letters,)


@functools.cache
def _log_frequency(word: str) -> float:
    """Return the logarithm of a word's frequency, minus infinity for what is not taken for a word."""
    from wordfreq import zipf_frequency

    if len(word) < 3 and word not in SHORT_WORDS:
        return -math.inf
    zipf = zipf_frequency(word, "en")
    if zipf < (FLOOR_OF_THREE_LETTERS if len(word) <= 3 else FLOOR):
        return -math.inf
    return (zipf - 9.0 - (RARE_COST if zipf < RARE else 0.0)) * math.log(10.0)
