import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from pipeline.sample import INVISIBLE, is_empty_caption, normalise_caption, one_line, sample_uid

HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_uids_are_the_same_for_ever() -> None:
    assert sample_uid(HASH, "a red ball") == "bb9cfa1a3fc019118d325eb6113bb750"
    assert sample_uid(HASH, "caf\u00e9") == sample_uid(HASH, "cafe\u0301")


def test_a_uid_is_two_halves_of_64_bits() -> None:
    uid = sample_uid(HASH, "x")
    assert len(uid) == 32
    assert 0 <= int(uid[:16], 16) < 2**64 and 0 <= int(uid[16:], 16) < 2**64


@given(st.text(), st.text())
def test_uids_differ_where_captions_do(one: str, other: str) -> None:
    one, other = normalise_caption(one), normalise_caption(other)
    assert (sample_uid(HASH, one) == sample_uid(HASH, other)) == (one == other)


@given(st.text(st.characters(codec=None)))
def test_captions_end_in_one_form(text: str) -> None:
    caption = normalise_caption(text)
    assert normalise_caption(caption) == caption
    assert unicodedata.is_normalized("NFC", caption)
    assert caption == " ".join(caption.split())
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in caption)
    caption.encode()


def test_a_control_character_cannot_keep_a_letter_from_its_accent() -> None:
    assert normalise_caption("  e\x00\u0301a\t\n b\ud800 ") == "\u00e9a b"


@given(st.text(st.characters(codec=None)))
def test_a_name_on_one_line_can_be_stored_and_shown(text: str) -> None:
    line = one_line(text)
    line.encode()
    assert one_line(line) == line
    assert not INVISIBLE.search(line)
    assert line.splitlines() in ([], [line])


def test_an_ordinary_name_stays_as_it_is() -> None:
    assert one_line("a  Näme – with 日本") == "a  Näme – with 日本"
    assert one_line("caf\udce9.jpg") == "caf\\udce9.jpg"


def test_characters_that_reorder_go_and_joiners_stay() -> None:
    assert normalise_caption("a\u202egnp.exe \u2066b\u2069\u200f\ufeff") == "agnp.exe b"
    assert normalise_caption("👩\u200d👧 می\u200cخ") == "👩\u200d👧 می\u200cخ"


def test_captions_of_no_visible_character_are_empty() -> None:
    assert all(map(is_empty_caption, ("", " \t", "NaN", "null", "\u200b\u200d\u2060", "\u00a0", "\u202e")))
    assert not any(map(is_empty_caption, ("0", "a", "😀", "none left", "Ⅷ", "́")))
