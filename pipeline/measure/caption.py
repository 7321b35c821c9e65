"""What a caption says and how it is built, read by spaCy; null, and counted, in languages it cannot read."""

import functools
import importlib.util
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.errors import ConfigError
from pipeline.measure.language import detect_languages, letters_in
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
CLAUSES = frozenset({"ROOT", "ccomp", "xcomp", "advcl", "acl", "relcl", "csubj", "csubjpass"})
VERSION = 2  # raised when a signal gets another meaning or a new one is added
SPACY = "spacy>=3.8,<3.9"
LONG_WORD = 7  # letters from which LIX calls a word long
SENTENCE_END = re.compile(r"[.!?…。！？।؟]+")
QUOTES = frozenset('"“”„«»‟')


def load_model(name: str) -> "Language":
    """Load a spaCy model that is installed as a package, without its entity recogniser.

    Raises:
        ConfigError: it or spaCy is not installed, or they do not fit each other.
    """
    _check_installed(name)
    package = importlib.import_module(name)
    nlp: Language = package.load(exclude=["ner"])
    _multiply_with_numpy(nlp)
    return nlp


def _check_installed(name: str) -> None:
    """Raise unless spaCy and a model are there and fit each other; what is installed says so without being loaded.

    Raises:
        ConfigError: with the command that helps.
    """
    try:
        spacy = version("spacy")
    except PackageNotFoundError:
        raise ConfigError(f"spaCy is not installed; install it with: pip install '{SPACY}'") from None
    try:
        model = distribution(name)
    except PackageNotFoundError:
        if importlib.util.find_spec(name) is not None:  # a folder on the path, which tells nothing of itself
            return
        raise ConfigError(
            f"the spaCy model {name} is not installed; install it with: pip install {name.replace('_', '-')}"
        ) from None
    from packaging.requirements import Requirement

    for wanted in map(Requirement, model.requires or ()):
        if wanted.name == "spacy" and not wanted.specifier.contains(spacy, prereleases=True):
            raise ConfigError(
                f"the spaCy model {name} {model.version} needs spacy{wanted.specifier}, and {spacy} is installed; "
                f"install it with: pip install 'spacy{wanted.specifier}'"
            )


def _multiply_with_numpy(nlp: "Language") -> None:
    """Let a model's layers multiply matrices through NumPy, whose library knows this machine's vector instructions."""
    from thinc.api import NumpyOps

    class NumpyGemm(NumpyOps):
        def gemm(self, x: Any, y: Any, out: Any = None, trans1: bool = False, trans2: bool = False) -> Any:
            import numpy as np

            return np.matmul(x.T if trans1 else x, y.T if trans2 else y, out=out)

    ops = NumpyGemm()
    for _, component in nlp.pipeline:
        model = getattr(component, "model", None)
        for node in model.walk() if model is not None else ():
            node.ops = ops


@functools.cache  # every step of a run asks for it when its key is made, and loading the model takes a second
def model_identity(name: str) -> dict[str, str]:
    """Return name, version and hash of an installed model, which are part of what captions are measured with.

    Raises:
        ConfigError: it is not installed.
    """
    nlp = load_model(name)
    folder = Path(nlp.path) if nlp.path else Path()
    listing = {file.relative_to(folder).as_posix(): files.sha256_file(file) for file in files.files_below(folder)}
    return {
        "name": f"{nlp.meta['lang']}_{nlp.meta['name']}",
        "version": nlp.meta["version"],
        "sha256": files.digest(listing),
        "spacy": version("spacy"),
    }


def write_caption_signals(samples: Path, path: Path, *, model: str) -> int:
    """Measure every distinct caption once and write ``caption.parquet``, one row a sample, sorted by uid.

    Returns:
        The number of samples whose language the model cannot read; what needs a parse is null for them.
    """
    import pyarrow as pa

    columns = read_columns(samples, ["uid", "caption", "lang"])
    nlp = load_model(model)
    readable = {nlp.lang, "und"}
    keys = list(zip(columns["caption"], columns["lang"], strict=True))
    captions = sorted({caption for caption, lang in keys if lang in readable})
    parsed = dict(zip(captions, parse(nlp, captions), strict=True))
    distinct = sorted(set(columns["caption"]))
    detected = dict(zip(distinct, detect_languages(distinct), strict=True))
    repeats = Counter(columns["caption"])
    rows = [
        {
            **plain_signals(caption),
            "detected_lang": detected[caption],
            "repeats": repeats[caption],
            **(parsed[caption] if lang in readable else {}),
        }
        for caption, lang in keys
    ]
    types = {"list": pa.list_(pa.string()), "bool": pa.bool_()}
    out: dict[str, Any] = {"uid": columns["uid"]}
    for name, kind in {**PLAIN, **PARSED}.items():
        arrow = types[kind] if kind in types else pa.type_for_alias(kind)
        out[name] = pa.array([row.get(name) for row in rows], type=arrow)
    write_table(path, pa.table(out))
    return sum(lang not in readable for _, lang in keys)


def words_of(caption: str) -> list[str]:
    """Return the words of a caption in any language, in lower case: white-space parts without outer punctuation."""
    parts = ("".join(c if c.isalnum() or c in "'’-" else " " for c in caption)).split()
    return [word for part in parts if (word := part.strip("'’-").lower())]


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
    """Yield the signals of a parse for each caption; they do not depend on the batches."""
    for doc in nlp.pipe(captions, batch_size=batch_size):
        yield _parsed_signals(doc)


def _parsed_signals(doc: "Doc") -> dict[str, Any]:
    words = [token for token in doc if not token.is_punct and not token.is_space]
    return {
        "sentences": sum(1 for _ in doc.sents),
        "parse_depth": max((_depth(token) for token in words), default=0),
        "clauses": sum(token.dep_ in CLAUSES for token in words),
        "words": [token.lower_ for token in words],
        "lemmas": [_lemma(token) for token in words],
        "nouns": [_lemma(token) for token in words if token.pos_ in ("NOUN", "PROPN")],
        "verbs": [_lemma(token) for token in words if token.pos_ == "VERB"],
        "adjectives": [_lemma(token) for token in words if token.pos_ == "ADJ"],
        "head_noun": _head_noun(words),
        "negation": any(token.dep_ == "neg" for token in words),
        "question": doc.text.rstrip("\"”'’ ").endswith("?"),
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
