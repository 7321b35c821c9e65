"""Pages in several languages, from a list to a report: no book stands on both sides, and its words find it."""

import json
from pathlib import Path

import pytest
import yaml
from own_folder import COLOURS, SHAPES, drawn, essen

from pipeline.tables import read_columns

CARD = """---
name: pages
title: Pages in four languages
licence: CC0-1.0
attribution: Drawn by the test
language: en
child_directed: true
imagery: drawings
redistributable: true
source:
  engine: url_list
  list: pages.jsonl
  columns: {url: url, caption: text, captions: {sw: i18n.sw, ar: i18n.ar, ja: i18n.ja}, group: book, file: file}
---
Coloured shapes on white, told in four languages.
"""
RECIPE = {
    "name": "tongues",
    "corpora": [{"card": "pages.md", "languages": ["sw", "ar", "ja"]}],
    "select": {"split": {"validation": 0.15, "test": 0.25, "by_language": True}},
    "curriculum": {"difficulty": {"caption.tokens": 0.5, "caption.rarity": 0.5}, "stages": ["one", "two"]},
    "embed": {"image_size": 64},
    "stage": {"image_size": 32},
    "model": {"image_size": 32, "fusion": {"kind": "none"}},
    "train": {"steps": 2, "batch_size": 8, "warmup_steps": 1, "objectives": {"matching": 0, "masked": 0}, "threads": 1},
    "evaluate": {"resamples": 100},
}
WORDS = {
    "sw": (
        ("nyekundu", "kijani", "buluu", "chungwa", "zambarau", "nyeusi"),
        ("duara", "mraba", "pembetatu", "msalaba"),
    ),
    "ar": (("حمراء", "خضراء", "زرقاء", "برتقالية", "بنفسجية", "سوداء"), ("دائرة", "مربّع", "مثلّث", "صليب")),
    "ja": (("赤い", "緑の", "青い", "橙の", "紫の", "黒い"), ("円", "四角", "三角", "十字")),
}
TOLD = {"sw": "Kitabu kina {shape} {colour}.", "ar": "هذه {shape} {colour}.", "ja": "{colour}{shape}です。"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run over 24 books of two pages, each told in three languages."""
    from pipeline.acquire.img2dataset.environment import ensure_environment

    ensure_environment()
    folder = tmp_path_factory.mktemp("tongues")
    lines = []
    for colour in range(len(COLOURS)):
        for shape in range(len(SHAPES)):
            for side in (20, 34):
                name = f"{COLOURS[colour]}-{SHAPES[shape]}-{side}.png"
                drawn(COLOURS[colour], SHAPES[shape], side).save(folder / name)
                told = {
                    lang: TOLD[lang].format(colour=colours[colour], shape=shapes[shape]) + ("" if side < 30 else "!")
                    for lang, (colours, shapes) in WORDS.items()
                }
                text = f"{COLOURS[colour]} {SHAPES[shape]}"
                line = {"url": f"https://books.example/{name}", "file": name, "text": text, "book": text, "i18n": told}
                lines.append(json.dumps(line, ensure_ascii=False))
    (folder / "pages.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "pages.md").write_text(CARD, encoding="utf-8")
    (folder / "tongues.yaml").write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    arguments = ("--mirror", folder, "--run", folder / "run", "--engine", "local")
    assert essen("run", folder / "tongues.yaml", *arguments) == 0
    return folder / "run"


def test_every_language_is_counted_with_the_way_in_which_it_was_read(run: Path) -> None:
    said = json.loads((run / "steps/measure.json").read_text(encoding="utf-8"))["counts"]["languages"]
    assert {lang: entry["samples"] for lang, entry in said.items()} == {"ar": 48, "ja": 48, "sw": 48}
    assert said["sw"]["parser"] == "blank:xx" and said["sw"]["frequency"] == "wordfreq has no list"
    assert said["ar"]["parser"] == "blank:ar" and "parse_depth" in said["ar"]["without"]
    kept = read_columns(run / "signals/caption.parquet", ["parser", "parse_depth", "rarity", "tokens"])
    assert set(kept["parse_depth"]) == {None} and None not in kept["rarity"] and min(kept["tokens"]) > 1


def test_no_book_is_taught_in_one_language_and_asked_in_another(run: Path) -> None:
    kept = read_columns(run / "selection/kept.parquet", ["group", "image_sha256", "lang", "split"])
    sides: dict[str, set[str]] = {}
    for group, image, lang, split in zip(*kept.values(), strict=True):
        for unit in (group, image):
            sides.setdefault(unit, set()).add(split.removesuffix(f"_{lang}"))
    assert all(len(side) == 1 for side in sides.values())
    assert {f"test_names_{lang}" for lang in WORDS} <= set(kept["split"])


@pytest.mark.parametrize(("words", "lang"), [("duara nyekundu", "sw"), ("دائرة حمراء", "ar"), ("赤い円", "ja")])
def test_a_picture_is_found_by_words_in_any_script(
    run: Path, words: str, lang: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert essen("search", run, words, "--json") == 0
    best = json.loads(capsys.readouterr().out.splitlines()[-1])["hits"][0]
    assert best["lang"] == lang and all(word in best["caption"] for word in words.split())


def test_the_report_leaves_the_direction_of_writing_to_the_caption_and_says_what_was_not_read(run: Path) -> None:
    page = (run / "reports/report.html").read_text(encoding="utf-8")
    assert '<figcaption lang="ar" dir="auto">هذه' in page
    assert "blank:xx" in page and "word frequency (wordfreq has no list)" in page
    card = (run / "card/README.md").read_text(encoding="utf-8").split("---")[1]
    assert yaml.safe_load(card)["language"] == ["ar", "ja", "sw"]
