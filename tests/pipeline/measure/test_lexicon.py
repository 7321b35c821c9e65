"""How common words are, by wordfreq."""

from pathlib import Path

import pytest
import wordfreq

from pipeline.measure.lexicon import frequencies, write_lexicon_signals
from pipeline.tables import read_columns, write_table


def test_frequencies_are_those_of_the_list() -> None:
    dog, zebra = (wordfreq.zipf_frequency(word, "en") for word in ("dog", "zebra"))
    assert frequencies("Dog, zebra!", "en") == {
        "zipf_mean": pytest.approx((dog + zebra) / 2),
        "zipf_min": pytest.approx(zebra),
        "coverage": 1.0,
    }


def test_unknown_words_lower_the_coverage_alone() -> None:
    known = frequencies("a dog", "en")
    half = frequencies("a dog xqzzv vvkqx", "en")
    assert half == {**known, "coverage": 0.5}
    assert frequencies("xqzzv", "en") == {"zipf_mean": None, "zipf_min": None, "coverage": 0.0}
    assert frequencies("…", "en") == {"zipf_mean": None, "zipf_min": None, "coverage": 0.0}


def test_languages_without_a_list_are_null_and_counted(tmp_path: Path) -> None:
    columns = {"uid": ["0", "1", "2"], "caption": ["chien", "mpira", "dog"], "lang": ["fr", "sw", "en"]}
    write_table(tmp_path / "samples.parquet", columns)
    assert write_lexicon_signals(tmp_path / "samples.parquet", tmp_path / "lexicon.parquet") == 1
    rows = read_columns(tmp_path / "lexicon.parquet")
    assert rows["zipf_mean"][1] is None and rows["coverage"][1] is None
    assert rows["zipf_mean"][0] == pytest.approx(wordfreq.zipf_frequency("chien", "fr", wordlist="small"))
