"""Words that have no place in a corpus for children: a hit stops the run, or drops the sample where the recipe says so.

Networks that look for adult content were trained on photographs and are blind to drawings, so the words decide here.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.errors import ConfigError, SafetyError
from pipeline.measure.caption import words_of
from pipeline.select.config import SafetyConfig
from pipeline.select.verdict import Drop
from pipeline.tables import read_columns

WORD_LIST = Path(__file__).with_name("unsafe_words.yaml")
Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """One heading of the word list: phrases that count, and phrases in which they do not."""

    words: frozenset[Phrase]
    harmless: tuple[Phrase, ...]


@cache
def word_list() -> Mapping[str, Heading]:
    """Return the word list that comes with the project, by heading."""
    import yaml

    parsed = yaml.safe_load(WORD_LIST.read_text(encoding="utf-8"))
    return {
        name: Heading(
            words=frozenset(tuple(words_of(word)) for word in entry["words"]),
            harmless=tuple(tuple(words_of(phrase)) for phrase in entry["except"]),
        )
        for name, entry in parsed.items()
    }


def safety_drops(config: SafetyConfig, run: Path, remaining: Iterable[str]) -> dict[str, Drop]:
    """Look at the captions of the samples that remain.

    Returns:
        The drops by uid, with the reason ``unsafe_<heading>``.

    Raises:
        ConfigError: the recipe names a heading that the list does not have.
        SafetyError: there are hits and the recipe does not say that they are to be dropped.
    """
    if config.on_hit == "off":
        return {}
    unknown = sorted(set(config.headings) - word_list().keys())
    if unknown:
        raise ConfigError(f"select.safety.headings: no heading {unknown[0]}; there are {', '.join(word_list())}")
    samples = read_columns(run / "signals/samples.parquet", ["uid", "caption"])
    lemmas = read_columns(run / "signals/caption.parquet", ["nouns", "verbs"])
    wanted, allowed = set(remaining), {caption.casefold() for caption in config.allow}
    drops = {}
    for uid, caption, nouns, verbs in zip(*samples.values(), *lemmas.values(), strict=True):
        if uid in wanted and caption.casefold() not in allowed:
            heading = unsafe_heading(caption, [*(nouns or ()), *(verbs or ())], config.headings or tuple(word_list()))
            if heading:
                drops[uid] = Drop("safety", f"unsafe_{heading}")
    if drops and config.on_hit == "stop":
        found = Counter(drop.reason.removeprefix("unsafe_") for drop in drops.values())
        listed = ", ".join(f"{number} {heading}" for heading, number in sorted(found.items()))
        raise SafetyError(
            f"{len(drops)} captions hold words that do not belong in a corpus for children ({listed}); to leave these "
            "samples out, set select.safety.on_hit: drop"
        )
    return drops


def unsafe_heading(caption: str, lemmas: Sequence[str], headings: Sequence[str]) -> str:
    """Return the first heading that a caption falls under, or nothing."""
    words = words_of(caption)
    for name in headings:
        heading = word_list()[name]
        rest = words
        for phrase in heading.harmless:
            rest = _without(rest, phrase)
        taken_out = Counter(words) - Counter(rest)
        found = _phrases(rest, 4) | {(lemma,) for lemma in lemmas if lemma not in taken_out}
        if found & heading.words:
            return name
    return ""


def _phrases(words: Sequence[str], longest: int) -> set[Phrase]:
    return {
        tuple(words[start : start + length])
        for length in range(1, longest + 1)
        for start in range(len(words) - length + 1)
    }


def _without(words: Sequence[str], phrase: Phrase) -> list[str]:
    """Return the words with every occurrence of a phrase taken out."""
    rest, place = [], 0
    while place < len(words):
        if tuple(words[place : place + len(phrase)]) == phrase:
            place += len(phrase)
        else:
            rest.append(words[place])
            place += 1
    return rest
