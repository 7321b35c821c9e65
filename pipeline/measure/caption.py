"""What a caption says and how it is built: signals of any language, and those that spaCy reads where it can.

A caption is read by the parser of its language (`pipeline.measure.parsers`), whose name stands in ``parser``. Words and
sentences are found in every language; what needs a tagger or a parse is null, never 0, where there is none.
``rarity`` needs no word list: it is the mean over a caption's words of -log10 of their share among all words of the
distinct captions in the same language of this run, 2 where a word is every hundredth. Between languages or runs it does
not compare.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.measure.language import base_language, detect_languages, letters_in
from pipeline.measure.parsers import ANY_LANGUAGE, load_parser, parser_of
from pipeline.parts import Spread, here, once
from pipeline.sample import spaced
from pipeline.tables import read_columns, write_table

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Token

# Names and Arrow types of the signals, those of any language first.
PLAIN = {
    "tokens": "int32",
    "characters": "int32",
    "mean_word_length": "float64",
    "lix": "float64",
    "coleman_liau": "float64",
    "detected_lang": "string",
    "repeats": "int32",
}
PARSED = {
    "sentences": "int32",
    "parse_depth": "int32",
    "clauses": "int32",
    "words": "list",
    "lemmas": "list",
    "nouns": "list",
    "verbs": "list",
    "adjectives": "list",
    "head_noun": "string",
    "negation": "bool",
    "question": "bool",
    "quoted_speech": "bool",
}
READ = {"rarity": "float64", "parser": "string"}
# What a component of a pipeline must have found out, for a signal not to be null.
NEEDS = {
    "parse_depth": {"token.dep"},
    "clauses": {"token.dep"},
    "lemmas": {"token.lemma"},
    "nouns": {"token.lemma", "token.tag"},
    "verbs": {"token.lemma", "token.tag"},
    "adjectives": {"token.lemma", "token.tag"},
    "head_noun": {"token.lemma", "token.tag", "token.dep"},
    "negation": {"token.dep"},
}
CLAUSES = frozenset({"ROOT", "ccomp", "xcomp", "advcl", "acl", "relcl", "csubj", "csubjpass"})
VERSION = 3  # raised when a signal gets another meaning or a new one is added
CHUNK = 256  # captions read at once
LONG_WORD = 7  # letters from which LIX calls a word long
SENTENCE_END = re.compile(r"[.!?…。！？।؟۔։።។။]+")
QUESTION = ("?", "？", "؟", "\u037e", "՞", "፧")
QUOTES = frozenset('"“”„«»‟「」『』')
JOINERS = "'’-"  # inside a word
OUTSIDE = f"{JOINERS}\u200c\u200d"  # the last two join letters of Persian and of Indic scripts


def write_caption_signals(
    samples: Path, path: Path, *, model: str, models: Mapping[str, str] | None = None, spread: Spread = here
) -> dict[str, Any]:
    """Measure every distinct caption once and write ``caption.parquet``, one row a sample, sorted by uid.

    Args:
        samples: the catalogue.
        path: the file to write.
        model: package of the spaCy model for English.
        models: packages for other languages, in place of what is installed.
        spread: does the captions; it does not change a byte.

    Returns:
        For each language ``samples``, ``parser``, and ``without``: what is null for it.

    Raises:
        ConfigError: a model is not installed.
    """
    import pyarrow as pa

    columns = read_columns(samples, ["uid", "caption", "lang"])
    keys = list(zip(columns["caption"], columns["lang"], strict=True))
    parsers = {lang: parser_of(lang, models or {}, model) for lang in sorted(set(columns["lang"]))}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    without: dict[str, list[str]] = {}
    for name in sorted(set(parsers.values())):
        parser = _Parser(name)
        own = sorted({key for key in keys if parsers[key[1]] == name})
        without[name] = sorted(unread(parser.nlp))
        read = _read(parser, sorted({caption for caption, _ in own}), spread, path.parents[1] / "parts")
        found |= {(caption, lang): read[caption] for caption, lang in own}
    rare = rarities((lang, found[caption, lang]["words"], caption) for caption, lang in sorted(found))
    distinct = sorted(set(columns["caption"]))
    detected = dict(zip(distinct, detect_languages(distinct), strict=True))
    repeats = Counter(columns["caption"])
    rows = [
        {
            **plain_signals(caption),
            **found[caption, lang],
            "detected_lang": detected[caption],
            "repeats": repeats[caption],
            "rarity": rare[caption, lang],
            "parser": parsers[lang],
        }
        for caption, lang in keys
    ]
    types = {"list": pa.list_(pa.string()), "bool": pa.bool_()}
    out: dict[str, Any] = {"uid": columns["uid"]}
    for column, kind in {**PLAIN, **PARSED, **READ}.items():
        arrow = types[kind] if kind in types else pa.type_for_alias(kind)
        out[column] = pa.array([row.get(column) for row in rows], type=arrow)
    write_table(path, pa.table(out))
    counted = Counter(columns["lang"])
    return {
        lang: {"samples": counted[lang], "parser": name, "without": without[name]} for lang, name in parsers.items()
    }


def rarities(captions: Iterable[tuple[str, Sequence[str], str]]) -> dict[tuple[str, str], float | None]:
    """Return the rarity of captions, see the text of this module; None where a caption has no words.

    Args:
        captions: language, words, and the caption itself, each once.
    """
    rows = list(captions)
    counts: dict[str, Counter[str]] = {}
    for lang, words, _ in rows:
        counts.setdefault(base_language(lang), Counter()).update(words)
    totals = {base: count.total() for base, count in counts.items()}

    def of(base: str, words: Sequence[str]) -> float | None:
        return sum(log10(totals[base] / counts[base][word]) for word in words) / len(words) if words else None

    return {(caption, lang): of(base_language(lang), words) for lang, words, caption in rows}


def words_of(caption: str) -> list[str]:
    """Return the words of a caption in any language, in lower case: white-space parts without outer punctuation.

    Vowel signs, accents and joiners belong to the letter that they follow. Where a script sets no spaces between words,
    letters stand for words, see `pipeline.sample.spaced`.
    """
    letters: list[str] = []
    for character in caption if caption.isascii() else spaced(caption):
        kept = character.isalnum() or character in JOINERS
        kept = kept or (_follows(character) and bool(letters) and letters[-1] != " ")
        letters.append(character if kept else " ")
    return [word for part in "".join(letters).split() if (word := part.strip(OUTSIDE).lower())]


def _follows(character: str) -> bool:
    """Tell whether a character is a part of the letter before it; what chooses the form of an emoji is not."""
    if character.isascii() or "\ufe00" <= character <= "\ufe0f":
        return False
    return character in "\u200c\u200d" or unicodedata.category(character) in ("Mn", "Mc")


def plain_signals(caption: str) -> dict[str, Any]:
    """Return the signals that need no model.

    ``lix`` is Björnsson's (1968) readability index of any language, words a sentence plus the percentage of words of
    seven letters or more; ``coleman_liau`` the school grade of Coleman and Liau (1975), for English. Both are about
    texts; of a single name they say little.
    """
    words = words_of(caption)
    sentences = max(1, sum(letters_in(part) > 0 for part in SENTENCE_END.split(caption)))
    number = max(1, len(words))
    long_words = sum(len(word) >= LONG_WORD for word in words)
    return {
        "tokens": len(words),
        "characters": len(caption),
        "mean_word_length": sum(map(len, words)) / len(words) if words else 0.0,
        "lix": len(words) / sentences + 100 * long_words / number,
        "coleman_liau": (5.88 * letters_in(caption) - 29.6 * sentences) / number - 15.8,
    }


def parse(nlp: "Language", captions: Sequence[str], *, batch_size: int = 256) -> Iterator[dict[str, Any]]:
    """Yield the signals of a parse for each caption; they do not depend on the batches. What `unread` names is None."""
    absent = dict.fromkeys(unread(nlp))
    negates = "neg" in nlp.pipe_labels.get("parser", ())
    for doc in nlp.pipe(captions, batch_size=batch_size):
        yield _parsed_signals(doc, label=negates) | absent


def _read(parser: "_Parser", captions: Sequence[str], spread: Spread, parts: Path) -> dict[str, dict[str, Any]]:
    """Return the signals of a parse by caption."""
    texts = [spaced(caption) for caption in captions] if parser.name == ANY_LANGUAGE else captions
    chunks = [texts[start : start + CHUNK] for start in range(0, len(texts), CHUNK)]
    read = spread(parser, chunks, parts / f"captions-{parser.name.replace(':', '-')}")
    return dict(zip(captions, chain.from_iterable(read), strict=True))


class _Parser:
    """`parse` by a parser that another process loads by its name."""

    def __init__(self, name: str) -> None:
        self.name, self.nlp = name, load_parser(name)

    def __reduce__(self) -> tuple[Any, ...]:
        return once, (_Parser, self.name)

    def __call__(self, captions: Sequence[str]) -> list[dict[str, Any]]:
        return list(parse(self.nlp, captions))


def unread(nlp: "Language") -> frozenset[str]:
    """Return the signals that a pipeline has no components for."""
    assigned = {name for pipe in nlp.pipe_names for name in nlp.get_pipe_meta(pipe).assigns}
    if "token.pos" in assigned:  # of a morphologizer, in place of a tagger
        assigned.add("token.tag")
    return frozenset(signal for signal, needed in NEEDS.items() if not needed <= assigned)


def _parsed_signals(doc: "Doc", *, label: bool) -> dict[str, Any]:
    """Return the signals of a caption; `label` tells whether negation is a label of the parser, as in English."""
    words = [token for token in doc if not token.is_punct and not token.is_space]
    return {
        "sentences": sum(1 for _ in doc.sents),
        "parse_depth": max((_depth(token) for token in words), default=0),
        "clauses": sum(token.dep_.partition(":")[0] in CLAUSES for token in words),
        "words": [token.lower_ for token in words],
        "lemmas": [_lemma(token) for token in words],
        "nouns": [_lemma(token) for token in words if token.pos_ in ("NOUN", "PROPN")],
        "verbs": [_lemma(token) for token in words if token.pos_ == "VERB"],
        "adjectives": [_lemma(token) for token in words if token.pos_ == "ADJ"],
        "head_noun": _head_noun(words),
        "negation": any(token.dep_ == "neg" if label else "Neg" in token.morph.get("Polarity", []) for token in words),
        "question": doc.text.rstrip("\"”'’» ").endswith(QUESTION),
        "quoted_speech": any(character in QUOTES for character in doc.text),
    }


def _depth(token: "Token") -> int:
    """Return the number of arcs between a token and its root; 1 for the root itself."""
    depth = 1
    while token.head is not token and token.head.i != token.i:
        token, depth = token.head, depth + 1
    return depth


def _head_noun(words: "Sequence[Token]") -> str | None:
    """Return the lemma of the noun nearest to the root, the later one of two; None without a noun."""
    nouns = [token for token in words if token.pos_ in ("NOUN", "PROPN")]
    return _lemma(min(nouns, key=lambda token: (_depth(token), -token.i))) if nouns else None


def _lemma(token: "Token") -> str:
    return token.lemma_.lower()
