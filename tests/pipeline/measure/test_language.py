"""Which language a caption is in."""

import json
from pathlib import Path

import pytest

from pipeline.measure.language import detect_languages, letters_in


def test_short_captions_are_never_decided(corpora: Path) -> None:
    lines = (corpora / "picturebooks/pages.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [" ".join(json.loads(line)["text"].split()[: 1 + number % 4]) for number, line in enumerate(lines)]
    short = [text for text in texts if text and letters_in(text) < 20][:200]
    assert len(short) == 200
    assert set(detect_languages(short)) == {"und"}


@pytest.mark.parametrize("lang", ["en", "sw", "fr", "af", "pt"])
def test_pages_of_picture_books_are_told_apart(corpora: Path, lang: str) -> None:
    lines = (corpora / "picturebooks/pages.jsonl").read_text(encoding="utf-8").splitlines()
    pages = [json.loads(line) for line in lines]
    texts = [page["text"] if lang == "en" else page["i18n"].get(lang, "") for page in pages]
    found = detect_languages(text for text in texts if letters_in(text) >= 20)
    decided = [language for language in found if language != "und"]
    assert len(decided) > 0.8 * len(found)
    assert decided.count(lang) > 0.97 * len(decided)
