"""Stamps in a small package made here, and the real one: every picture and line of text has its row."""

from collections import Counter

import pytest
from acquire_helpers import debian_package, encoded, hashes_below, noise, rows_of

from pipeline.acquire.acquire import acquire, source_params
from pipeline.acquire.card import load_card
from pipeline.acquire.engines.tuxpaint import availability, language_of, read_lines
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import read_raw
from pipeline.errors import ConfigError

ROOT = "usr/share/tuxpaint/stamps"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20" fill="#00f"/></svg>'
FROG = (
    "A frog.\nde.utf8=Ein Frosch.\nfr.utf8=Une grenouille.\nga.utf8=A frog.\nen_GB.utf8=A frog.\npt_BR.utf8=Um sapo.\n"
)


def png(seed: int) -> bytes:
    return encoded(noise(seed, mode="RGBA"), "PNG")


STAMPS = {
    "animals/frog.png": png(1),
    "animals/frog.txt": FROG.encode(),
    "animals/frog_desc.ogg": b"sound",
    "animals/frog.dat": b"nomirror",
    "animals/ant.svg": SVG,
    "animals/ant.txt": b"An ant.\nde.utf8=\n",
    "animals/birds/owl.png": png(2),
    "animals/birds/owl.svg": SVG,
    "animals/birds/owl.txt": b"An owl.\nde.utf8=Eule.\nde.utf8=Uhu.\nno language\n",
    "animals/birds/owl_mirror.png": png(3),
    "broken.png": png(4)[:-20],
    "broken.txt": b"A broken cup.\n",
    "gift.txt": b"A gift.\n",
    "outside.svg": SVG.replace(b"<rect", b'<image href="/etc/hostname"/><rect'),
    "outside.txt": b"A door.\n",
    "silent.png": png(5),
    "silent.txt": b"",
    "symbols/a.png": png(6),
    "symbols/a.txt": b"The letter A.\nde.utf8=Das A.\n",
}


@pytest.fixture
def card(debian_cache, write_card):
    def make(options: str = "languages: [en]", stamps: dict[str, bytes] = STAMPS):
        name = debian_cache(debian_package({f"{ROOT}/{path}": data for path, data in stamps.items()}))
        source = f"{{engine: tuxpaint, package: {name}, exclude_folders: [symbols], {options}}}"
        return write_card(source, name="stamps", licence="GPL-2.0-or-later")

    return make


def test_every_stamp_is_a_row_with_its_picture_or_a_reason(card, tmp_path):
    counts = acquire(card(), AcquireOptions(workers=1), tmp_path)
    dropped = {"empty_caption": 1, "folder": 1, "missing_file": 1, "no_text": 1, "not_drawable": 1}
    assert counts == {"in": 10, "kept": 3, "dropped": dropped | {"other_format": 1, "truncated": 1}}
    rows = rows_of(tmp_path / "raw" / "stamps")
    assert [(row["url"].removeprefix("tuxpaint:"), row["caption"], row["reason"]) for row in rows] == [
        ("broken.png", "A broken cup.", "truncated"),
        ("gift", "A gift.", "missing_file"),
        ("outside.svg", "A door.", "not_drawable"),
        ("silent.png", "", "empty_caption"),
        ("animals/ant.svg", "An ant.", ""),
        ("animals/frog.png", "A frog.", ""),
        ("animals/birds/owl.png", "An owl.", ""),
        ("animals/birds/owl.svg", "An owl.", "other_format"),
        ("animals/birds/owl_mirror.png", "", "no_text"),
        ("symbols/a.png", "The letter A.", "folder"),
    ]
    frog = rows[5]
    wanted = {"group": "A frog.", "category": "animals", "lang": "en", "licence": "GPL-2.0-or-later", "width": 24}
    assert {key: frog[key] for key in wanted} == wanted
    assert rows[7]["error_message"] == "also tuxpaint:animals/birds/owl.png"
    assert rows[9]["error_message"] == "folder symbols"
    assert (rows[4]["width"], rows[4]["height"], rows[4]["ext"]) == (256, 128, "png")


def test_every_translation_is_a_row_of_the_same_picture_and_group(card, tmp_path):
    counts = acquire(card("languages: all"), AcquireOptions(workers=1), tmp_path)
    rows = rows_of(tmp_path / "raw" / "stamps")
    frogs = [row for row in rows if row["url"].endswith("frog.png")]
    assert [(row["lang"], row["caption"], row["reason"]) for row in frogs] == [
        ("en", "A frog.", ""),
        ("de", "Ein Frosch.", ""),
        ("fr", "Une grenouille.", ""),
        ("ga", "A frog.", "same_as_english"),
        ("en-GB", "A frog.", "same_as_english"),
        ("pt-BR", "Um sapo.", ""),
    ]
    assert {row["group"] for row in frogs} == {"A frog."}
    assert len({row["sha256"] for row in frogs if not row["reason"]}) == 1
    assert [row["reason"] for row in rows if row["url"].endswith("ant.svg")] == ["", "empty_caption"]
    assert [row["caption"] for row in rows if row["url"].endswith("owl.png")] == ["An owl.", "Eule."]
    assert counts["kept"] == Counter(row["status"] for row in rows)["success"]


def test_a_list_of_languages_asks_every_stamp(card, tmp_path):
    acquire(card("languages: [fr, pt_BR]"), AcquireOptions(workers=1, min_success_rate=0), tmp_path)
    rows = [row for row in rows_of(tmp_path / "raw" / "stamps") if row["reason"] in ("", "empty_caption")]
    assert Counter((row["lang"], row["reason"]) for row in rows) == {
        ("fr", ""): 1,
        ("pt-BR", ""): 1,
        ("fr", "empty_caption"): 3,
        ("pt-BR", "empty_caption"): 3,
    }


def test_one_worker_or_two_give_the_same_bytes_and_a_limit_takes_the_first_rows(card, tmp_path):
    stamps = card("languages: all")
    acquire(stamps, AcquireOptions(workers=1), tmp_path / "one")
    acquire(stamps, AcquireOptions(workers=2), tmp_path / "two")
    assert hashes_below(tmp_path / "one" / "raw") == hashes_below(tmp_path / "two" / "raw")
    acquire(stamps, AcquireOptions(workers=1, limit=8), tmp_path / "few")
    every, few = rows_of(tmp_path / "one/raw/stamps"), rows_of(tmp_path / "few/raw/stamps")
    assert few == every[:8]
    assert source_params(stamps, AcquireOptions())["tools"].keys() >= {"resvg_py", "pillow"}


def test_an_unknown_language_and_a_package_without_stamps_are_named(card, tmp_path):
    with pytest.raises(ConfigError, match=r"no stamp has a text in pt_PT; did you mean pt-BR\?; there are de, en"):
        acquire(card("languages: [pt_PT]"), AcquireOptions(), tmp_path)
    with pytest.raises(ConfigError, match="tiny holds no stamps below usr/share/tuxpaint/stamps"):
        acquire(card(stamps={"../other/a.png": b""}), AcquireOptions(), tmp_path)


def test_a_package_that_is_at_hand_is_available(card, monkeypatch, tmp_path):
    stamps = card()
    assert availability(stamps, stamps.source) == ""
    monkeypatch.setenv("ESSEN_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("PATH", "")
    assert availability(stamps, stamps.source) == "needs apt-get"


def test_locales_become_language_tags_and_texts_of_any_encoding_are_read():
    locales = {"de": "de", "pt_BR": "pt-BR", "sr@latin": "sr-Latn", "ca@valencia": "ca-valencia", "zh_TW": "zh-TW"}
    assert {locale: language_of(locale) for locale in locales} == locales
    assert read_lines("\ufeffA cat.\r\nde.utf8= Katze. \r\n".encode()) == {"en": "A cat.", "de": "Katze."}
    assert read_lines(b"Caf\xe9") == {"en": "Caf\ufffd"}
    assert read_lines(b"") == {"en": ""}


@pytest.mark.slow
@pytest.mark.usefixtures("debian_archive")
def test_the_real_package_gives_what_its_card_says(tmp_path):
    counts = acquire(load_card("tuxpaint"), AcquireOptions(), tmp_path)
    dropped = {"folder": 277, "missing_file": 2, "no_text": 10, "not_drawable": 1, "other_format": 73}
    assert counts == {"in": 1046, "kept": 683, "dropped": dropped}
    rows = {row["url"]: row for row, _ in read_raw(tmp_path / "raw" / "tuxpaint")}
    assert rows["tuxpaint:animals/amphibians/frog-1.png"]["caption"] == "A frog."
    assert len({row["caption"] for row in rows.values()}) == 610
    assert {row["licence"] for row in rows.values()} == {"GPL-2.0-or-later"}
