"""Text in whatever encoding: decoded, repaired, or called what it is."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.acquire.text import MAX_CHARACTERS, Caption, decode_text, judge_caption, read_text, repaired

# What arrives, and what it is; None where nobody can tell any more.
GOLD: list[tuple[bytes, str | None]] = [
    ("Der Hund läuft über die Straße".encode("latin-1"), "Der Hund läuft über die Straße"),
    ("un garçon mange à l'école".encode("latin-1"), "un garçon mange à l'école"),
    ("été".encode("latin-1"), "été"),
    ("El niño y el pingüino".encode("latin-1"), "El niño y el pingüino"),
    ("Þetta er ísbjörn".encode("latin-1"), "Þetta er ísbjörn"),
    ("It’s a cat’s “hat” — red".encode("cp1252"), "It’s a cat’s “hat” — red"),
    ("a toy for €5…".encode("cp1252"), "a toy for €5…"),
    ("Œufs à la coque".encode("cp1252"), "Œufs à la coque"),
    ("Žofia má červený bicykel".encode(), "Žofia má červený bicykel"),
    ("a red ball".encode("utf-8-sig"), "a red ball"),
    ("кошка спит".encode("utf-8-sig"), "кошка спит"),
    ("a blue cup".encode("utf-16"), "a blue cup"),
    ("ネコが寝ている".encode("utf-16"), "ネコが寝ている"),
    (b"\xfe\xff" + "gâteau".encode("utf-16-be"), "gâteau"),
    ("a green tree".encode("utf-16-le"), "a green tree"),
    ("a green tree".encode("utf-16-be"), "a green tree"),
    ("une forêt".encode("utf-32"), "une forêt"),
    (b"a dog and caf\xe9\nund \xc3\xa4\n", "a dog and café\nund ä\n"),
    ("cafÃ© au lait".encode(), "café au lait"),
    ("lâ€™Ã©lÃ©phant".encode(), "l’éléphant"),
    ("Ð¿Ñ€Ð¸Ð²ÐµÑ‚, Ð¼Ð¸Ñ€".encode(), "привет, мир"),
    ("ã\x81“ã‚“ã\x81«ã\x81¡ã\x81¯".encode(), "こんにちは"),
    ("a ball ðŸŽˆ".encode(), "a ball 🎈"),
    ("ÃƒÂ©tÃƒÂ©".encode(), "été"),
    ("the cat â€” asleep".encode(), "the cat — asleep"),
    ("cafÃ© au lait".encode("cp1252"), "café au lait"),
    ("voilÃ le chat".encode(), "voilà le chat"),
    ("a caf\ufffd on the corner".encode(), None),
    ("красный мяч".encode("cp1251"), None),
    (b"a \x81\x8d\x8f house", None),
]


def test_thirty_strings_are_repaired_or_called_broken():
    right, wrong = 0, []
    for data, gold in GOLD:
        caption = judge_caption(decode_text(data).text)
        found = None if caption.reason == "bad_encoding" else caption.text
        if found == gold:
            right += 1
        else:
            wrong.append((data, found))
    print(f"{right}/{len(GOLD)}", wrong)
    assert len(GOLD) == 30
    assert right >= 28


@pytest.mark.parametrize(
    "text",
    [
        "naïve façade",
        "þýða",
        "jäääär",
        "Đường phố",
        "größer",
        "”Întoarcerea interzisă”",
        "Ã",
        "100 €",
        "नमस्ते",
        "👩‍👧 ÉCOLE",
        "می‌خواهم",
        "L’été “chaud”",
        "¿Qué?",
        "Årø",
        "ÆØÅ",
        "Ĉu ĝi?",
        "Ünlü çiçek",
    ],
)
def test_sound_captions_stay_as_they_are(text):
    assert judge_caption(text) == Caption(text)


@given(st.binary(max_size=400))
def test_any_bytes_are_text_and_any_text_gets_a_verdict(data):
    caption = judge_caption(decode_text(data).text)
    assert caption.reason in ("", "empty_caption", "bad_encoding")


@given(st.text(st.characters(codec=None), max_size=200))
def test_repaired_text_can_be_written(text):
    repaired(text).encode()


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_utf_8_is_read_as_it_is(text):
    if not text.startswith("\ufeff") and text.count("\0") * 5 < len(text.encode()):
        assert decode_text(text.encode()).text == text


def test_halves_of_surrogate_pairs_are_joined_and_lone_ones_dropped():
    assert repaired("a \ud83c\udf88 ball \ud83c") == "a 🎈 ball "


@pytest.mark.parametrize(("length", "reason"), [(MAX_CHARACTERS, ""), (MAX_CHARACTERS + 1, "caption_too_long")])
def test_the_limit_on_length_is_exact(length, reason):
    assert judge_caption("a" * length).reason == reason


def test_a_file_that_is_not_in_utf_8_is_read_and_said_so(tmp_path, caplog):
    path = tmp_path / "cat.txt"
    path.write_bytes("a cat\nun café\n".encode("latin-1"))
    with caplog.at_level(logging.WARNING):
        assert read_text(path) == "a cat\nun café\n"
    assert caplog.messages == [f"{path}: lines not in UTF-8, read as Windows-1252: 1"]
    caplog.clear()
    path.write_text("un café", "utf-8-sig")
    assert read_text(path) == "un café"
    assert not caplog.messages
