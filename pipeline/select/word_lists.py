"""Lists of words that decide on captions, by heading: the project's own, which is English, and a person's."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.measure.caption import words_of

WORD_LIST = Path(__file__).with_name("unsafe_words.yaml")
Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """One heading of a list: phrases that count, and phrases in which they do not."""

    words: frozenset[Phrase]
    harmless: tuple[Phrase, ...] = ()


@cache
def word_list() -> Mapping[str, Heading]:
    """Return the word list that comes with the project, by heading. It is English."""
    return read_word_list(WORD_LIST)


def read_word_list(path: Path) -> Mapping[str, Heading]:
    """Return a word list by heading.

    Raises:
        ConfigError: it is not there, or not of the form of the project's own.
    """
    import yaml

    try:
        parsed = yaml.safe_load(path.read_text(encoding="utf-8"))
        return {
            name: Heading(frozenset(_phrases(entry["words"])), tuple(_phrases(entry.get("except", ()))))
            for name, entry in parsed.items()
        }
    except OSError as error:
        raise ConfigError(f"select.safety.word_lists: {path}: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError, AttributeError, KeyError, TypeError):
        raise ConfigError(
            f"select.safety.word_lists: {path} is no list of words; write headings, each with words: [...]"
        ) from None


def says(words: Sequence[str], lemmas: Collection[str], heading: Heading) -> bool:
    """Tell whether a caption, by its words or their lemmas, says what stands under a heading."""
    rest = words
    for phrase in heading.harmless:
        rest = _without(rest, phrase)
    taken_out = Counter(words) - Counter(rest)
    found: set[Phrase] = {(lemma,) for lemma in lemmas if lemma not in taken_out}
    for length in {len(phrase) for phrase in heading.words}:
        found |= {tuple(rest[start : start + length]) for start in range(len(rest) - length + 1)}
    return not heading.words.isdisjoint(found)


def _phrases(entries: Iterable[str]) -> list[Phrase]:
    return [phrase for entry in entries if (phrase := tuple(words_of(entry)))]


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
