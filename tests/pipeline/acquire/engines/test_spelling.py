"""Names without spaces, spelled out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.acquire.engines.spelling import spell, spellings, split_words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("chocolatebar", "chocolate-bar"),
        ("fireengine", "fire-engine"),
        ("birthdaycake", "birthday-cake"),
        ("earofrice", "ear-of-rice"),
        ("2hearts", "2-hearts"),
        ("clock12thirty", "clock-12-thirty"),
        ("notebook", "notebook"),
        ("aubergine", "aubergine"),
        ("beating-heart", "beating-heart"),
        ("zzxqv", "zzxqv"),
    ],
)
def test_names_are_split_into_the_likeliest_words(name, words):
    assert spell(name, {}) == words


def test_a_known_spelling_comes_first():
    known = spellings(["ice-cream", "hand-bag", "handbag"])
    assert known == {"icecream": "ice-cream", "handbag": "hand-bag"}
    assert spell("handbag", known) == "hand-bag"


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20))
def test_spelling_adds_hyphens_and_nothing_else(name):
    assert spell(name, {}).replace("-", "") == name
    assert all(split_words(name)) or name == ""
