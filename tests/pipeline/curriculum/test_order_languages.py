"""An order over captions that no tagger has read: what it can rest on, and one line where it cannot."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.exposure import vocabulary_growth, words_of_captions
from pipeline.curriculum.order import order
from pipeline.errors import DataError
from pipeline.files import read_json
from pipeline.tables import read_columns, write_table


@pytest.fixture
def swahili(word_run: Path) -> Path:
    """The run of words and tales, as if it were in Swahili: nothing tagged, no frequency, but rarity."""
    samples = read_columns(word_run / "signals/samples.parquet")
    count = len(samples["uid"])
    write_table(word_run / "signals/samples.parquet", {**samples, "lang": ["sw"] * count})
    caption = read_columns(word_run / "signals/caption.parquet")
    nothing = dict.fromkeys(("nouns", "verbs", "adjectives"), pa.array([None] * count, pa.list_(pa.string())))
    nothing |= {"parse_depth": pa.array([None] * count, pa.int32()), "head_noun": pa.array([None] * count, pa.string())}
    rarity = [float(tokens) for tokens in caption["tokens"]]
    write_table(word_run / "signals/caption.parquet", {**caption, **nothing, "rarity": rarity})
    lexicon = read_columns(word_run / "signals/lexicon.parquet", ["uid"])
    absent = pa.array([None] * count, pa.float64())
    write_table(word_run / "signals/lexicon.parquet", {**lexicon, "zipf_mean": absent, "zipf_min": absent})
    return word_run


def test_length_and_rarity_make_an_order_and_the_frequency_control_says_what_it_keeps(
    swahili: Path, caplog: pytest.LogCaptureFixture
) -> None:
    difficulty = {"caption.tokens": 0.5, "caption.rarity": 0.5}
    counts = order(CurriculumConfig(difficulty=difficulty, stages=("one", "two")), swahili, swahili)
    assert counts["kept"] == 11
    assert "lexicon.zipf_mean has no value for any training sample; the frequency control keeps caption.rarity" in (
        caplog.text
    )


def test_a_family_goes_without_what_is_not_there_and_names_it(swahili: Path) -> None:
    order(CurriculumConfig(stages=("one", "two")), swahili, swahili)
    absent = read_json(swahili / "curriculum/summary.json")["absent"]
    assert {"caption.parse_depth", "lexicon.zipf_min"} <= set(absent)


TAGGER = "no tagger reads captions in sw here; install a spaCy model for it (measure.spacy_models), or use "


@pytest.mark.parametrize(
    ("config", "key", "column", "says"),
    [
        ({"difficulty": "caption.parse_depth"}, "difficulty", "caption.parse_depth", TAGGER),
        ({"by": "value", "column": "caption.nouns", "edges": (2.0,)}, "column", "caption.nouns", TAGGER),
        ({"within": "concept_blocked"}, "within", "caption.head_noun", TAGGER),
        (
            {"difficulty": "lexicon.zipf_min"},
            "difficulty",
            "lexicon.zipf_min",
            "wordfreq has no list for captions in sw",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_one_line_with_the_language_and_the_way_out(
    swahili: Path, config: dict[str, Any], key: str, column: str, says: str
) -> None:
    with pytest.raises(DataError) as error:
        order(CurriculumConfig(stages=("one", "two"), **config), swahili, swahili)
    said = f"curriculum.{key}: signal {column} has no value for any training sample: {says}"
    assert str(error.value).startswith(said) and "\n" not in str(error.value)


def test_words_are_counted_in_scripts_without_spaces_and_with_vowel_signs() -> None:
    captions = ["犬が走る。", "किताब लाल है।", "the dog"]
    assert words_of_captions(captions).tolist() == [4, 3, 2]
    entries, _ = vocabulary_growth(pa.array(captions), np.array([1, 2, 3]))
    assert [set(entry["frequent_new_words"]) for entry in entries] == [
        {"犬", "が", "走", "る"},
        {"किताब", "लाल", "है"},
        {"the", "dog"},
    ]
