"""Emoji with their names in many languages: which names a drawing gets, what has none, licences, languages."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from acquire_helpers import hashes_below, integrity, npm_package, rows_of

from pipeline.acquire.acquire import acquire, source_params
from pipeline.acquire.card import Card, load_card
from pipeline.acquire.options import AcquireOptions
from pipeline.errors import ConfigError
from pipeline.licences import PUBLISHABLE, licence_class

BALL = {"body": '<circle cx="8" cy="8" r="8" fill="#f00"/>'}
ICONS = {"dog": BALL, "red-heart": BALL, "sunny-day": BALL, "flag-kenya": BALL, "old-dog": BALL | {"hidden": True}}
# The heart stands in the set with the selector of its coloured form, in the names without it; the sun has no name.
CHARACTERS = {"1f415": "dog", "2764-fe0f": "red-heart", "2764": "red-heart", "1f31e": "sunny-day", "1f436": "old-dog"}
NAMES = {
    "sw": {"🐕": "mbwa", "❤": "moyo mwekundu"},
    "ar": {"🐕": "كلب", "❤": "قلب أحمر"},
    "fr": {"🐕": "chien"},
}
LICENCE = "MIT AND Unicode-3.0"


def annotations(names: dict[str, str]) -> dict[str, Any]:
    """The file of a language as CLDR publishes it."""
    entries = {character: {"default": ["a", "b"], "tts": [name]} for character, name in names.items()}
    return {"annotations": {"identity": {}, "annotations": entries | {"☀": {"default": ["no short name"]}}}}


def emoji(**content: object) -> bytes:
    """The archive of a small set of emoji, as npm serves it."""
    files: dict[str, object] = {
        "package.json": {"name": "emoji"},
        "icons.json": {"prefix": "test", "icons": ICONS, "width": 16, "height": 16},
        "info.json": {"license": {"spdx": "MIT"}},
        "chars.json": CHARACTERS,
    }
    return npm_package(files | {f"{name}.json": value for name, value in content.items()})


@pytest.fixture
def names_card(icon_card: Callable[..., Card], tmp_path: Path) -> Callable[..., Card]:
    """Put a set of emoji and a package of names where downloads are kept, and return a card that names both."""

    def make(archive: bytes, *, languages: str = "[sw, ar]", licence: str = LICENCE) -> Card:
        files: dict[str, object] = {f"annotations/{lang}/annotations.json": annotations(NAMES[lang]) for lang in NAMES}
        names = npm_package({"package.json": {"license": "Unicode-3.0"}, **files})
        kept = tmp_path / "cache/npm/test-names-1.0.0.tgz"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(names)
        package = f'{{package: "@test/names", version: 1.0.0, integrity: {integrity(names)}}}'
        options = f", names: {package}, languages: {languages}"
        return icon_card(archive, name="emoji", options=options, engine="icon_names", licence=licence)

    return make


def test_a_drawing_is_a_sample_for_each_language_that_names_it(names_card, tmp_path):
    counts = acquire(names_card(emoji()), AcquireOptions(), tmp_path)
    assert counts == {"in": 10, "kept": 4, "dropped": {"flag": 2, "hidden": 2, "no_name": 2}}
    rows = rows_of(tmp_path / "raw/emoji")
    named = [row for row in rows if row["status"] == "success"]
    assert [(row["url"], row["group"], row["lang"], row["caption"]) for row in named] == [
        ("iconify:test/dog", "dog", "sw", "mbwa"),
        ("iconify:test/dog", "dog", "ar", "كلب"),
        ("iconify:test/red-heart", "red heart", "sw", "moyo mwekundu"),
        ("iconify:test/red-heart", "red heart", "ar", "قلب أحمر"),
    ]
    assert {row["licence"] for row in named} == {LICENCE}
    assert len({row["sha256"] for row in named}) == 1, "both drawings are the same ball"
    nameless = [row for row in rows if row["reason"] == "no_name"]
    assert {(row["url"], row["status"], row["sha256"]) for row in nameless} == {
        ("iconify:test/sunny-day", "excluded", "")
    }


def test_the_recipe_chooses_the_languages_and_one_worker_or_two_give_the_same_bytes(names_card, tmp_path):
    card = names_card(emoji())
    for workers in (1, 2):
        acquire(card, AcquireOptions(languages=("fr",), workers=workers), tmp_path / str(workers))
    assert hashes_below(tmp_path / "1") == hashes_below(tmp_path / "2")
    found = Counter((row["lang"], row["reason"]) for row in rows_of(tmp_path / "1/raw/emoji"))
    assert found == {("fr", ""): 1, ("fr", "no_name"): 2, ("fr", "flag"): 1, ("fr", "hidden"): 1}
    some, other = (source_params(card, AcquireOptions(languages=each)) for each in (("fr",), ("sw",)))
    assert some != other


def test_a_limit_counts_rows(names_card, tmp_path):
    acquire(names_card(emoji()), AcquireOptions(limit=3), tmp_path)
    assert [row["caption"] for row in rows_of(tmp_path / "raw/emoji")] == ["mbwa", "كلب", "moyo mwekundu"]


@pytest.mark.parametrize(
    ("archive", "card", "message"),
    [
        (emoji(), {"languages": "[swa]"}, "has no names in swa; did you mean sw?; it has sw, ar, fr"),
        (emoji(), {"licence": "MIT"}, "data card emoji says MIT, but its two packages say MIT AND Unicode-3.0"),
        (emoji(chars=[]), {}, "@test/emoji@1.0.0 is no set of emoji: it has no chars.json"),
    ],
)
def test_what_does_not_fit_is_one_line(names_card, tmp_path, archive, card, message):
    with pytest.raises(ConfigError) as caught:
        acquire(names_card(archive, **card), AcquireOptions(), tmp_path)
    assert message in str(caught.value)


def test_drawings_named_by_their_set_have_no_other_language(icon_card, tmp_path):
    with pytest.raises(ConfigError, match="captions in en alone"):
        acquire(icon_card(emoji()), AcquireOptions(languages=("sw",)), tmp_path)


def test_the_names_may_be_passed_on():
    assert licence_class(LICENCE) in PUBLISHABLE


@pytest.mark.usefixtures("npm_registry")
def test_a_real_set_is_named_in_swahili(tmp_path):
    counts = acquire(load_card("fluent-emoji-flat-names"), AcquireOptions(languages=("sw",)), tmp_path)
    assert counts["kept"] == 1552
    rows = {row["group"]: row["caption"] for row in rows_of(tmp_path / "raw/fluent-emoji-flat-names")}
    assert [rows[name] for name in ("dog", "red apple", "shopping cart")] == ["mbwa", "tufaha jekundu", "mkokoteni"]
