"""Clip art in a small package made here, and the real one: captions, credits and licences from the metadata."""

from html import escape

import pytest
from acquire_helpers import debian_package, encoded, hashes_below, noise, rows_of

from pipeline.acquire.acquire import acquire, source_params
from pipeline.acquire.card import load_card
from pipeline.acquire.engines.openclipart import availability
from pipeline.acquire.options import AcquireOptions
from pipeline.errors import ConfigError

ROOT = "usr/share/openclipart"
PUBLIC = "http://web.resource.org/cc/PublicDomain"
RECT = '<rect width="30" height="20" fill="#a0f"/>'


def art(
    title: str,
    description: str = "",
    keywords: tuple[str, ...] = (),
    creator: str = "Ann",
    licence: str = PUBLIC,
    language: str = "en",
    body: str = RECT,
) -> bytes:
    words = "".join(f"<rdf:li>{escape(word)}</rdf:li>" for word in keywords)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20"><metadata><rdf:RDF
 xmlns:cc="http://web.resource.org/cc/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><cc:Work rdf:about="">
 <dc:title>{escape(title)}</dc:title><dc:description>{escape(description)}</dc:description>
 <dc:subject><rdf:Bag>{words}</rdf:Bag></dc:subject>
 <dc:creator><cc:Agent><dc:title>{escape(creator)}</dc:title></cc:Agent></dc:creator>
 <dc:publisher><cc:Agent><dc:title>Library</dc:title></cc:Agent></dc:publisher>
 <cc:license rdf:resource="{licence}"/><dc:language>{language}</dc:language>
 </cc:Work></rdf:RDF></metadata>{body}</svg>""".encode()


DRAWINGS = {
    "animals/bee.svg": art("Bee", "A bee that flies.", ("insect", "animal", "")),
    "animals/gatto_rossi_02.svg": art("Gatto02", "rossi@example.org", creator="Rossi [rossi@example.org]"),
    "animals/lion.svg": art("lion.svg", "Lion", language="FR"),
    "animals/tiger.svg": art("TIGER", licence="http://creativecommons.org/licenses/GPL/2.0/"),
    "animals/seal.svg": art("seal", licence=""),
    "computer/disk.svg": art("Disk"),
    "tools/ladder.svg": art("", creator=""),
    "tools/x1.svg": art("http://example.org"),
    "tools/broken.svg": b"<svg",
    "tools/bomb.svg": b'<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg>&a;</svg>',
    "tools/linked.svg": art("Linked", body='<image xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="a.png"/>'),
    "toys/rubik.svg": art("Clipart by Nic - piggybank"),
    "toys/ball_01.svg": art("Toy Set"),
    "toys/kite.svg": art("Toy Set"),
    "toys/t3.svg": art("Toy Set"),
    "toys/toy_set_ann_01.svg": art("Toy Set"),
}
LINKS = {"animals/insect.svg": "bee.svg", "tools/bee.svg": "../animals/bee.svg"}
OPTIONS = "series: 3, exclude_folders: [computer], creator_languages: {Rossi: it}"


@pytest.fixture
def card(debian_cache, write_card):
    def make(options: str = OPTIONS, png: dict[str, bytes] | None = None):
        files = {f"{ROOT}/svg/{name}": data for name, data in DRAWINGS.items()}
        links = {f"{ROOT}/svg/{name}": target for name, target in LINKS.items()}
        source = f"svg: {debian_cache(debian_package(files, links=links), name='tiny-svg')}"
        if png is not None:
            pictures = debian_package({f"{ROOT}/png/{name}": data for name, data in png.items()})
            source += f", png: {debian_cache(pictures, name='tiny-png')}"
        return write_card(
            f"{{engine: openclipart, {source}, {options}}}", name="art", extra=f"licences: {{{PUBLIC}: CC-PDDC}}\n"
        )

    return make


def test_every_drawing_is_a_row_with_its_words_or_a_reason(card, tmp_path):
    acquire(card(), AcquireOptions(workers=1, min_success_rate=0.3), tmp_path)
    rows = rows_of(tmp_path / "raw" / "art")
    assert [(row["url"].removeprefix("openclipart:"), row["caption"], row["reason"]) for row in rows] == [
        ("animals/bee.svg", "Bee", ""),
        ("animals/bee.svg", "A bee that flies.", ""),
        ("animals/gatto_rossi_02.svg", "Gatto", ""),
        ("animals/gatto_rossi_02.svg", "rossi@example.org", "not_a_caption"),
        ("animals/insect.svg", "insect", "symlink"),
        ("animals/lion.svg", "lion", ""),
        ("animals/lion.svg", "Lion", "same_as_title"),
        ("animals/seal.svg", "seal", ""),
        ("animals/tiger.svg", "TIGER", ""),
        ("computer/disk.svg", "Disk", "folder"),
        ("tools/bee.svg", "bee", "symlink"),
        ("tools/bomb.svg", "bomb", "not_drawable"),
        ("tools/broken.svg", "broken", "not_drawable"),
        ("tools/ladder.svg", "ladder", ""),
        ("tools/linked.svg", "Linked", "not_drawable"),
        ("tools/x1.svg", "http://example.org", "not_a_caption"),
        ("toys/ball_01.svg", "ball", ""),
        ("toys/kite.svg", "kite", ""),
        ("toys/rubik.svg", "rubik", ""),
        ("toys/t3.svg", "Toy Set", "series"),
        ("toys/toy_set_ann_01.svg", "Toy Set", ""),
    ]
    found = {(row["url"].removeprefix("openclipart:"), row["caption"]): row for row in rows}
    assert found["animals/insect.svg", "insect"]["error_message"] == "the same as animals/bee.svg"
    assert found["tools/ladder.svg", "ladder"]["error_message"] == "caption from file name"
    bee, cat = found["animals/bee.svg", "A bee that flies."], found["animals/gatto_rossi_02.svg", "Gatto"]
    assert (bee["group"], bee["category"], bee["sha256"]) == (
        "bee", "animals", found["animals/bee.svg", "Bee"]["sha256"],
    )  # fmt: skip
    assert (cat["lang"], cat["attribution"]) == ("it", "Rossi, Me")
    assert found["tools/ladder.svg", "ladder"]["attribution"] == "Me"
    assert found["animals/lion.svg", "lion"]["lang"] == "fr"


def test_the_licence_is_what_each_drawing_says_and_nothing_else(card, tmp_path):
    acquire(card(), AcquireOptions(workers=1, min_success_rate=0.3), tmp_path)
    licences = {row["caption"]: row["licence"] for row in rows_of(tmp_path / "raw" / "art") if not row["reason"]}
    assert licences.pop("TIGER") == licences.pop("seal") == "NOASSERTION"
    assert set(licences.values()) == {"CC-PDDC"}


def test_keywords_can_be_captions(card, tmp_path):
    acquire(card(OPTIONS + ", captions: [keywords, title]"), AcquireOptions(workers=1, min_success_rate=0.3), tmp_path)
    rows = rows_of(tmp_path / "raw" / "art")
    assert [row["caption"] for row in rows if row["url"].endswith("animals/bee.svg")] == ["insect, animal", "Bee"]


def test_pictures_can_come_drawn_already_with_the_words_of_the_drawings(card, tmp_path):
    png = {"animals/bee.png": encoded(noise(1, mode="RGBA"), "PNG"), "toys/robot.png": encoded(noise(2), "PNG")}
    acquire(card(OPTIONS, png), AcquireOptions(workers=1), tmp_path)
    rows = rows_of(tmp_path / "raw" / "art")
    assert [(row["url"], row["caption"], row["reason"], row["width"]) for row in rows] == [
        ("openclipart:animals/bee.png", "Bee", "", 24),
        ("openclipart:animals/bee.png", "A bee that flies.", "", 24),
        ("openclipart:toys/robot.png", "robot", "", 24),
    ]


def test_one_worker_or_two_give_the_same_bytes_and_a_limit_takes_the_first_rows(card, tmp_path):
    drawings = card()
    for name, options in {"one": {"workers": 1}, "two": {"workers": 2}, "few": {"limit": 6}}.items():
        acquire(drawings, AcquireOptions(min_success_rate=0.3, **options), tmp_path / name)
    assert hashes_below(tmp_path / "one" / "raw") == hashes_below(tmp_path / "two" / "raw")
    assert rows_of(tmp_path / "few/raw/art") == rows_of(tmp_path / "one/raw/art")[:6]
    assert "resvg_py" in source_params(drawings, AcquireOptions())["tools"]
    assert availability(drawings, drawings.source) == ""


def test_a_package_without_drawings_is_named(card, tmp_path):
    with pytest.raises(ConfigError, match=r"tiny-svg holds no drawings below usr/share/other/svg; check"):
        acquire(card(OPTIONS + ", folder: usr/share/other"), AcquireOptions(), tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("debian_archive")
def test_the_real_package_gives_what_its_card_says(tmp_path):
    counts = acquire(load_card("openclipart"), AcquireOptions(), tmp_path)
    dropped = {"folder": 6133, "not_a_caption": 65, "not_drawable": 23, "same_as_title": 336, "series": 63}
    assert counts == {"in": 9503, "kept": 2220, "dropped": dropped | {"symlink": 663}}
