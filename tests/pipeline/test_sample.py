import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from pipeline.sample import normalise_caption, sample_uid

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
