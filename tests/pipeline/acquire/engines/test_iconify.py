"""Icon sets: what is drawn, what is left out and why, how names become words, and equal bytes however it is run."""

import io
from collections import Counter

import numpy as np
import pytest
from acquire_helpers import hashes_below, icon_package
from PIL import Image

from pipeline.acquire.acquire import acquire, source_params
from pipeline.acquire.card import load_card
from pipeline.acquire.engines.iconify import load_set, svg_text
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import raw_tables, read_raw
from pipeline.errors import ConfigError, DataError
from pipeline.files import files_below
from pipeline.tables import read_columns

RED = '<circle cx="8" cy="8" r="8" fill="#f00"/>'
ICONS = {
    "ball": {"body": RED},
    "tall-box": {"body": '<path d="M0 0h8v16H0z" fill="#00f"/>', "width": 8},
    "moved": {"body": '<path d="M16 0h16v16H16z" fill="#0f0"/>', "left": 16},
    "old-ball": {"body": RED, "hidden": True},
    "flag-of-nowhere": {"body": RED},
    "pennant": {"body": RED},
    "hand": {"body": RED},
    "hand-dark": {"body": RED},
    "hand-medium-light": {"body": RED},
    "boy-medium-skin-tone": {"body": RED},
    "elf-tone3": {"body": RED},
    "police-car": {"body": RED},
    "police-car-light": {"body": RED},
    "broken": {"body": "<path d='M0 0"},
    "empty": {"body": ""},
    "outside": {"body": '<image href="/etc/hostname" width="16" height="16"/>'},
}
CATEGORIES = {"Flags": ["pennant"], "Toys": ["ball", "tall-box"]}


@pytest.fixture
def package() -> bytes:
    return icon_package(ICONS, categories=CATEGORIES)


def pictures(folder):
    return {row["url"]: (row, image) for row, image in read_raw(folder)}


def test_every_icon_is_a_row_with_its_picture_or_a_reason(icon_card, package, tmp_path):
    counts = acquire(icon_card(package), AcquireOptions(), tmp_path)
    reasons = {"flag": 2, "hidden": 1, "not_drawable": 3, "skin_tone": 4}
    assert counts == {"in": 16, "kept": 6, "dropped": reasons}
    rows = read_columns(raw_tables(tmp_path / "raw" / "icons")[0])
    assert rows["url"] == [f"iconify:test/{name}" for name in ICONS]
    assert Counter(zip(rows["status"], rows["reason"], strict=True)) == {
        ("success", ""): 6,
        ("excluded", "flag"): 2,
        ("excluded", "hidden"): 1,
        ("excluded", "skin_tone"): 4,
        ("failed_to_resize", "not_drawable"): 3,
    }
    row, _ = pictures(tmp_path / "raw" / "icons")["iconify:test/tall-box"]
    wanted = {"caption": "tall box", "group": "tall box", "category": "Toys", "licence": "MIT", "attribution": "Me"}
    assert {key: row[key] for key in wanted} == wanted
    assert (row["lang"], row["ext"], row["width"], row["height"]) == ("en", "png", 128, 128)
    assert "iconify:test/police-car-light" in pictures(tmp_path / "raw" / "icons")


def test_a_drawing_keeps_its_shape_on_white(icon_card, package, tmp_path):
    acquire(icon_card(package), AcquireOptions(), tmp_path)
    found = pictures(tmp_path / "raw" / "icons")

    def colours(name):
        picture = Image.open(io.BytesIO(found[f"iconify:test/{name}"][1]))
        assert (picture.mode, picture.size) == ("RGB", (128, 128))
        return np.asarray(picture)

    ball, box, moved = colours("ball"), colours("tall-box"), colours("moved")
    assert tuple(ball[64, 64]) == (255, 0, 0)
    assert tuple(ball[0, 0]) == (255, 255, 255)
    assert tuple(box[64, 64]) == (0, 0, 255)
    assert tuple(box[64, 10]) == tuple(box[64, 117]) == (255, 255, 255)
    assert (moved == (0, 255, 0)).all()


def test_one_worker_or_two_in_any_place_give_the_same_bytes(icon_card, package, tmp_path):
    card = icon_card(package)
    acquire(card, AcquireOptions(workers=1), tmp_path / "one")
    acquire(card, AcquireOptions(workers=2), tmp_path / "two")
    assert hashes_below(tmp_path / "one" / "raw") == hashes_below(tmp_path / "two" / "raw")


def test_the_exclusions_are_the_cards(icon_card, package, tmp_path):
    card = icon_card(package, options=", exclude: {flags: false, skin_tones: false}, size: 32")
    counts = acquire(card, AcquireOptions(limit=11), tmp_path, name="all")
    assert counts == {"in": 11, "kept": 10, "dropped": {"hidden": 1}}
    assert {row["width"] for row, _ in read_raw(tmp_path / "raw" / "all")} == {32}


def test_another_licence_than_the_cards_is_refused(icon_card, tmp_path):
    card = icon_card(icon_package(ICONS, licence="CC-BY-NC-4.0"))
    with pytest.raises(ConfigError, match=r"card icons says MIT, but @test/icons says CC-BY-NC-4\.0"):
        acquire(card, AcquireOptions(), tmp_path)
    assert not (tmp_path / "raw" / "icons").exists() or not files_below(tmp_path / "raw" / "icons")


def test_a_set_without_a_usable_icon_is_an_empty_corpus(icon_card, tmp_path):
    card = icon_card(icon_package({"old": {"body": RED, "hidden": True}, "bad": {"body": "<"}}))
    with pytest.raises(DataError, match=r"empty corpus: no row of icons succeeded \(hidden 1, not_drawable 1"):
        acquire(card, AcquireOptions(), tmp_path)
    assert not (tmp_path / "raw" / "icons").exists()


def test_a_package_that_is_no_icon_set_is_refused(icon_card, tmp_path):
    with pytest.raises(ConfigError, match=r"icons\.tgz|icons-1\.0\.0\.tgz"):
        acquire(icon_card(b"no archive at all"), AcquireOptions(), tmp_path)


ARROW = '<path d="M2 10V6h8V2l6 6-6 6v-4z" fill="#f00"/>'  # points right, and is not its own mirror image
TURNS = [(rotate, flips) for rotate in range(4) for flips in ((), ("hFlip",), ("vFlip",), ("hFlip", "vFlip"))]


def turned(picture, rotate, flips):
    """The same with Pillow: mirrored, then turned clockwise."""
    if "hFlip" in flips:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if "vFlip" in flips:
        picture = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return picture.rotate(-90 * rotate, expand=True)


def test_icons_and_aliases_are_turned_and_mirrored(icon_card, tmp_path):
    body = {"body": '<rect width="6" height="2" x="1" y="3" fill="#00f"/>' + ARROW}
    box = {"left": -4, "top": 2, "width": 24, "height": 12}
    icons = {"plain": {**body, **box}}
    for rotate, flips in TURNS:
        icons[f"icon-{rotate}-{'-'.join(flips)}"] = {**body, **box, "rotate": rotate, **dict.fromkeys(flips, True)}
    names = {f"alias-{rotate}-{'-'.join(flips)}": (rotate, flips) for rotate, flips in TURNS}
    aliases = {
        name: {"parent": "plain", "rotate": rotate, **dict.fromkeys(flips, True)}
        for name, (rotate, flips) in names.items()
    }
    card = icon_card(icon_package(icons, aliases=aliases), options=", aliases: true, size: 96")
    counts = acquire(card, AcquireOptions(), tmp_path)
    assert counts["kept"] == 1 + 2 * len(TURNS)
    found = pictures(tmp_path / "raw" / "icons")

    def colours(name):
        return Image.open(io.BytesIO(found[f"iconify:test/{name}"][1]))

    for name, (rotate, flips) in names.items():
        expected = np.asarray(turned(colours("plain"), rotate, flips), dtype=int)
        for other in (name, name.replace("alias", "icon")):
            assert np.abs(np.asarray(colours(other), dtype=int) - expected).mean() < 1, other


def test_aliases_of_aliases_add_up_and_one_without_an_end_is_not_drawable(icon_card, tmp_path):
    aliases = {
        "left": {"parent": "right", "hFlip": True},
        "right-again": {"parent": "left", "hFlip": True},
        "up": {"parent": "down", "rotate": 2},
        "down": {"parent": "right", "rotate": 1},
        "lost": {"parent": "nothing"},
        "loop": {"parent": "pool"},
        "pool": {"parent": "loop"},
        "old": {"parent": "hidden-one"},
        "flag-of-right": {"parent": "right"},
        "pennant-two": {"parent": "pennant"},
    }
    icons = {"right": {"body": ARROW}, "up-icon": {"body": ARROW, "rotate": 3}, "pennant": {"body": RED}}
    package = icon_package(
        {**icons, "hidden-one": {"body": RED, "hidden": True}}, aliases=aliases, categories=CATEGORIES
    )
    counts = acquire(icon_card(package, options=", aliases: true"), AcquireOptions(), tmp_path)
    assert counts == {"in": 14, "kept": 6, "dropped": {"flag": 3, "hidden": 2, "not_drawable": 3}}
    found = {url.rpartition("/")[2]: (row, image) for url, (row, image) in pictures(tmp_path / "raw" / "icons").items()}
    assert found["right-again"][1] == found["right"][1]
    assert found["up"][1] == found["up-icon"][1]
    assert found["left"][1] != found["right"][1]
    assert found["left"][0]["caption"] == found["left"][0]["group"] == "left"
    without = acquire(icon_card(package), AcquireOptions(), tmp_path / "without")
    assert without["in"] == 4


def test_a_box_of_its_own_that_is_turned_changes_its_sides(icon_card):
    card = icon_card(icon_package({"wide": {"body": RED, "left": 2, "width": 32, "height": 8, "rotate": 1}}))
    assert 'viewBox="14.0 -12.0 8 32"' in svg_text(load_set(card.source), "wide", 64)


def test_names_can_be_spelled_by_hand(icon_card, package, tmp_path):
    acquire(icon_card(package, options=", spelled: {ball: red-ball}"), AcquireOptions(limit=1), tmp_path)
    row, _ = pictures(tmp_path / "raw" / "icons")["iconify:test/ball"]
    assert (row["caption"], row["group"]) == ("red ball", "red ball")


def test_parameters_change_with_what_decides_the_outcome_alone(icon_card, package):
    card = icon_card(package)
    params = source_params(card, AcquireOptions())
    assert params == source_params(card, AcquireOptions(workers=1))
    assert params != source_params(card, AcquireOptions(limit=5))
    assert params["tools"].keys() >= {"pillow", "resvg_py"}
    assert "spelling" in source_params(load_card("fxemoji"), AcquireOptions())


@pytest.mark.usefixtures("npm_registry")
def test_a_real_set_is_drawn_whole_and_its_names_are_spelled_out(tmp_path):
    counts = acquire(load_card("fxemoji"), AcquireOptions(), tmp_path)
    assert counts == {"in": 1034, "kept": 1011, "dropped": {"flag": 23}}
    rows = [row for row, _ in read_raw(tmp_path / "raw" / "fxemoji")]
    captions = {row["url"].removeprefix("iconify:fxemoji/"): row["caption"] for row in rows}
    wanted = {
        "alarmclock": "alarm clock",
        "fireengine": "fire engine",
        "birthdaycake": "birthday cake",
        "foxcrying": "fox crying",
        "frenchfries": "french fries",
        "2hearts": "2 hearts",
        "dog": "dog",
        "hampster": "hamster",
        "toykotower": "tokyo tower",
    }
    assert {name: captions.get(name) for name in wanted} == wanted
    assert "flaginhole" not in captions
    assert {row["licence"] for row in rows} == {"Apache-2.0"}
    assert {row["attribution"] for row in rows} == {
        "Firefox OS Emoji by Mozilla (https://github.com/mozilla/fxemoji), Apache-2.0"
    }
