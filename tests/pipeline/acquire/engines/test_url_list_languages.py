"""A list with captions in several languages: a row for each that is asked for, with the credit of its translator."""

import json
from collections import Counter
from pathlib import Path

import pytest
from acquire_helpers import encoded, noise, rows_of

from pipeline.acquire.acquire import acquire, source_of, source_params
from pipeline.acquire.card import load_card
from pipeline.acquire.options import AcquireOptions
from pipeline.errors import ConfigError

SOURCE = """
  engine: url_list
  list: pages.jsonl
  columns: {url: url, caption: text, captions: {sw: i18n.sw, ar: i18n.ar}, group: [source, story], file: file}
  languages: [sw, ar]
  only: {aligned: "True"}
  attribution: {file: books.csv, key: [source, story], match: [source, story], template: "$title by $author"}
  translators: {file: by.csv, key: [source, story, lang], match: [source, story], template: "Translated by $name"}
"""
PAGES = [
    {"text": "A dog.", "i18n": {"sw": "Mbwa.", "ar": "كلب."}, "story": "1", "aligned": True},
    {"text": "A cat.", "i18n": {"sw": "Paka."}, "story": "1", "aligned": True},
    {"text": "Anansi", "i18n": {"sw": "Anansi", "ar": "أنانسي"}, "story": "2", "aligned": True},
    {"text": "", "i18n": {"sw": "Mti."}, "story": "2", "aligned": True},
    {"text": "A lion.", "i18n": {"sw": "Simba.", "ar": "أسد"}, "story": "2", "aligned": False},
]


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A folder with the list, its credits and a picture for each page."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    lines = []
    for number, page in enumerate(PAGES):
        (folder / f"{number}.jpg").write_bytes(encoded(noise(number), "JPEG"))
        url = f"https://books.example/{number}.jpg"
        lines.append(json.dumps({"url": url, "source": "asp", "file": f"{number}.jpg", **page}, ensure_ascii=False))
    (folder / "pages.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "books.csv").write_text("source,story,title,author\nasp,1,Pets,Ann\nasp,2,Spider,Bo\n", encoding="utf-8")
    (folder / "by.csv").write_text("source,story,lang,name\nasp,1,sw,Ursula\nasp,2,sw,\n", encoding="utf-8")
    return folder


@pytest.mark.usefixtures("img2dataset")
def test_a_page_is_a_sample_for_each_language_with_its_picture_and_its_translator(write_card, mirror, tmp_path):
    card = write_card(SOURCE)
    acquire(card, AcquireOptions(mirror=mirror), tmp_path)
    rows = rows_of(tmp_path / "raw/mine")
    assert [(row["lang"], row["caption"]) for row in rows if row["status"] == "success"] == [
        ("sw", "Mbwa."),
        ("ar", "كلب."),
        ("sw", "Paka."),
        ("ar", "أنانسي"),
        ("sw", "Mti."),
    ]
    assert Counter(row["reason"] for row in rows) == {"": 5, "untranslated": 3, "left_out": 2}
    dog, _, cat, *_ = rows
    assert dog["sha256"] == rows[1]["sha256"] != cat["sha256"]
    assert {row["group"] for row in rows} == {"asp-1", "asp-2"}
    assert dog["attribution"] == "Pets by Ann. Translated by Ursula"
    assert rows[1]["attribution"] == "Pets by Ann"
    assert next(row for row in rows if row["caption"] == "Mti.")["attribution"] == "Spider by Bo"  # nobody is named
    same = next(row for row in rows if row["group"] == "asp-2" and row["reason"] == "untranslated")
    assert same["error_message"] == "the caption is that in en"


@pytest.mark.usefixtures("img2dataset")
def test_the_recipe_chooses_among_the_languages(write_card, mirror, tmp_path):
    card = write_card(SOURCE)
    options = AcquireOptions(mirror=mirror, languages=("en", "ar"))
    acquire(card, options, tmp_path)
    found = [row["caption"] for row in rows_of(tmp_path / "raw/mine") if row["status"] == "success"]
    assert found == ["A dog.", "كلب.", "A cat.", "Anansi", "أنانسي"]
    assert source_params(card, options) != source_params(card, AcquireOptions(mirror=mirror))


def test_a_language_that_is_not_there_is_named_with_those_that_are(write_card, mirror, tmp_path):
    card = write_card(SOURCE)
    with pytest.raises(ConfigError, match=r"^mine has no captions in de; there are captions in en, sw, ar$"):
        acquire(card, AcquireOptions(mirror=mirror, languages=("de",)), tmp_path)
    with pytest.raises(ConfigError, match=r"^noto has captions in en alone; take its languages out of corpora$"):
        source_of(load_card("noto"), AcquireOptions(languages=("sw",)))


def test_a_card_without_languages_decides_by_the_same_words_as_before() -> None:
    said = load_card("picturebooks").source.model_dump(mode="json")
    assert not {"languages", "only", "translators"} & said.keys() and "captions" not in said["columns"]


def test_the_translations_are_those_that_the_card_tells(corpora):
    card = load_card("picturebooks-translations")
    assert card.source.languages == ("sw", "fr", "af", "pt")
    assert "list" in source_params(card, AcquireOptions(mirror=corpora / "picturebooks", languages=("sw",)))
