"""What word lists say of a caption: how common its words are, how concrete, how early they are learned.

For each list there are the mean over the words that it knows (for a list without numbers: their share) and its
*coverage*, the share of a caption's words that it knows. A word is looked up as it stands, then by its lemma.

- ``zipf_mean``, ``zipf_min``, ``coverage``: wordfreq's log10 of occurrences in a billion words, in 40 languages; null
  in all others, for which ``caption.rarity`` counts words in the run itself. Chinese, Japanese and Korean need a
  library that finds words (`WORD_FINDERS`).
- ``<list>_mean``, ``<list>_max``, ``<list>_coverage`` or ``<list>_share``: the lists of `pipeline.measure.wordlists`;
  those that come from packages are English, and null for captions in other languages.
- ``child_directedness``: the composite of `child_directedness`.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import ConfigError
from pipeline.measure.caption import words_of
from pipeline.measure.language import READ_AS_ENGLISH, base_language
from pipeline.measure.parsers import version_of
from pipeline.measure.wordlists import ENGLISH, SENSES, Table, english_tables, existing, has_values, identity, own_table
from pipeline.tables import read_columns, write_table

WORD_LIST = "best"  # the large list where a language has one
NAMES = ("zipf", *ENGLISH)
LISTED_AS = {"bs": "sh", "hr": "sh", "sr": "sh", "nn": "nb", "no": "nb", "tl": "fil", "und": "en"}
WORD_FINDERS = {"zh": "jieba", "ja": "mecab-python3", "ko": "mecab-python3"}
# What a caption for children has, each from 0 to 1: the signal's values that count as nothing and as all of it.
CHILD_DIRECTED = {
    "zipf_mean": (3.0, 6.0),
    "tokens": (25.0, 1.0),
    "clauses": (5.0, 1.0),
    "concreteness_mean": (2.0, 5.0),
    "familiar_share": (0.5, 1.0),
    "age_of_acquisition_mean": (10.0, 3.0),
}


def lexicon_identity(names: Sequence[str], own: Mapping[str, Path]) -> dict[str, Any]:
    """Return what decides the signals: the lists with versions and hashes, and the ends of the composite's parts.

    Raises:
        ConfigError: a list is unknown, not installed or not there.
    """
    for name in names:
        if name not in NAMES:
            raise ConfigError(f"measure.lexicons: there is no lexicon {name}; known: {', '.join(NAMES)}")
    for name in own:
        if name in (*NAMES, *SENSES):
            raise ConfigError(f"measure.own_lexicons: {name} is the name of another lexicon; choose a new one")
    found: dict[str, Any] = {name: identity(name) for name in names if name in ENGLISH}
    if "zipf" in names:
        finders = {name: there for name in sorted(set(WORD_FINDERS.values())) if (there := version_of(name))}
        found["zipf"] = {"wordfreq": version("wordfreq"), "wordlist": WORD_LIST, **finders}
    found |= {f"own:{name}": files.sha256_file(existing(path)) for name, path in sorted(own.items())}
    return found | {"child_directedness": {name: list(ends) for name, ends in CHILD_DIRECTED.items()}}


@cache
def frequency_list(lang: str) -> tuple[str, str]:
    """Return the language of wordfreq's list for captions in a language, and why there is none: one of them is empty.

    Never that of a language that is merely near, which wordfreq itself would take: English for Swahili.
    """
    from wordfreq import available_languages, zipf_frequency

    base = LISTED_AS.get(base_language(lang), base_language(lang))
    if base not in available_languages(WORD_LIST):
        return "", "wordfreq has no list"
    try:
        zipf_frequency("a", base, wordlist=WORD_LIST)
    except ImportError:
        return "", f"wordfreq's list needs a library, pip install {WORD_FINDERS.get(base, 'wordfreq[cjk]')}"
    return base, ""


def write_lexicon_signals(
    samples: Path, path: Path, *, names: Sequence[str], own: Mapping[str, Path]
) -> dict[str, str]:
    """Write ``lexicon.parquet``, one row a sample, sorted by uid; beside it must lie ``caption.parquet``.

    Returns:
        For each language without frequencies, why; nothing where none were asked for.

    Raises:
        ConfigError: a list cannot be had.
    """
    import pyarrow as pa

    english = {column: table for name in names if name in ENGLISH for column, table in english_tables(name).items()}
    owned = {name: own_table(file) for name, file in sorted(own.items())}
    columns = read_columns(samples, ["caption", "lang"])
    signals = ["words", "lemmas", "tokens", "clauses"]
    parsed = read_columns(path.with_name("caption.parquet"), ["uid", *signals])
    uids = parsed.pop("uid")
    measured: dict[tuple[str, str], dict[str, Any]] = {}
    keys = list(zip(columns["caption"], columns["lang"], strict=True))
    for (caption, lang), *read in zip(keys, *parsed.values(), strict=True):
        if (caption, lang) in measured:
            continue
        words, lemmas, tokens, clauses = read
        words = words if words is not None else words_of(caption)
        tables = owned | (english if base_language(lang) in READ_AS_ENGLISH else {})
        values = frequencies(caption, lang) if "zipf" in names and frequency_list(lang)[0] else {}
        values |= looked_up(words, lemmas if lemmas is not None else words, tables)
        score = child_directedness({**values, "tokens": tokens, "clauses": clauses})
        measured[caption, lang] = {**values, "child_directedness": score}
    out: dict[str, Any] = {"uid": uids}
    for name in _column_names(names, english | owned):
        out[name] = pa.array([measured[key].get(name) for key in keys], type=pa.float64())
    write_table(path, pa.table(out))
    langs = sorted(set(columns["lang"])) if "zipf" in names else []
    return {lang: why for lang in langs if (why := frequency_list(lang)[1])}


def frequencies(caption: str, lang: str) -> dict[str, float | None]:
    """Return the frequencies of a caption's words; ``und`` is looked up as English.

    Words that the list does not know have no frequency; they lower ``coverage``, the share of words that it knows. A
    caption without any known word has null frequencies.
    """
    from wordfreq import zipf_frequency
    from wordfreq.tokens import tokenize

    base, _ = frequency_list(lang)
    words = tokenize(caption, base) if base in ("zh", "ja") else words_of(caption)
    scores = [zipf_frequency(word, base, wordlist=WORD_LIST) for word in words]
    found = [score for score in scores if score > 0]
    return {
        "zipf_mean": sum(found) / len(found) if found else None,
        "zipf_min": min(found) if found else None,
        "coverage": len(found) / len(words) if words else 0.0,
    }


def child_directedness(signals: Mapping[str, Any]) -> float | None:
    """Return how much a caption is like those made for children, 0 to 1.

    The mean over the parts of `CHILD_DIRECTED` that are known: common words, few of them, few clauses, concrete,
    familiar and early ones, each part rising in a straight line from the value that counts 0 to the one that counts 1.
    Null where fewer than three parts are known. It is a description of text, not a finding about children.
    """
    parts = []
    for name, (nothing, all_of_it) in CHILD_DIRECTED.items():
        value = signals.get(name)
        if value is not None:
            parts.append(min(1.0, max(0.0, (value - nothing) / (all_of_it - nothing))))
    return sum(parts) / len(parts) if len(parts) >= 3 else None


def looked_up(words: Sequence[str], lemmas: Sequence[str], tables: Mapping[str, Table]) -> dict[str, float | None]:
    """Return what tables say of words, each looked up as it stands, then by its lemma."""
    found: dict[str, float | None] = {}
    for name, table in tables.items():
        entries = [word if word in table else lemma for word, lemma in zip(words, lemmas, strict=True)]
        known = [table[entry] for entry in entries if entry in table]
        values = [value for value in known if value is not None]
        share = len(known) / len(words) if words else 0.0
        if has_values(table):
            found[f"{name}_mean"] = sum(values) / len(values) if values else None
            found[f"{name}_max"] = max(values, default=None)
            found[f"{name}_coverage"] = share
        else:
            found[f"{name}_share"] = share
    return found


def _column_names(names: Sequence[str], tables: Mapping[str, Table]) -> Iterator[str]:
    if "zipf" in names:
        yield from ("zipf_mean", "zipf_min", "coverage")
    for name, table in tables.items():
        yield from (f"{name}_{part}" for part in (("mean", "max", "coverage") if has_values(table) else ("share",)))
    yield "child_directedness"
