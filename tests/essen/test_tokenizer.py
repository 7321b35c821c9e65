import random
import subprocess
import sys
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from essen.errors import EssenError
from essen.tokenizer import CaptionTokenizer, load_tokenizer, save_tokenizer, train_tokenizer

CAPTIONS = ["red apple", "green apple", "dog face", "dog", "fire engine", "teddy bear", "hot dog"]


@pytest.fixture(scope="module")
def tokenizer() -> CaptionTokenizer:
    return train_tokenizer(CAPTIONS * 3, 400)


def test_order_and_process_do_not_change_a_byte(tokenizer: CaptionTokenizer) -> None:
    shuffled = CAPTIONS * 3
    random.Random(1).shuffle(shuffled)  # noqa: S311
    assert train_tokenizer(shuffled, 400).to_json() == tokenizer.to_json()
    code = f"from essen.tokenizer import train_tokenizer; print(train_tokenizer({CAPTIONS * 3!r}, 400).to_json())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == tokenizer.to_json().strip()


def test_padding_follows_the_longest_caption(tokenizer: CaptionTokenizer) -> None:
    ids, mask = tokenizer.encode(["dog", "a green teddy bear"], 32)
    assert ids.shape == mask.shape
    assert mask[1].all() and mask[0].sum() < mask[1].sum()
    assert (ids[~mask] == tokenizer.pad_id).all()
    short, _ = tokenizer.encode(["a green teddy bear"], 2)
    assert short.tolist() == ids[1:, :2].tolist()


def test_case_and_unicode_form_do_not_matter(tokenizer: CaptionTokenizer) -> None:
    ids, _ = tokenizer.encode(["Café DOG", "cafe\u0301 dog"], 32)
    assert ids[0].tolist() == ids[1].tolist()


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_any_text_has_a_real_token_and_words_from_0_upwards(captions: list[str]) -> None:
    tokenizer = train_tokenizer(CAPTIONS, 300)
    ids, mask, words = tokenizer.encode_words(captions, 16)
    assert mask[:, 0].all() and ids.max() < tokenizer.vocab_size
    for row in range(len(captions)):
        numbers = words[row][mask[row]].tolist()
        assert sorted(set(numbers)) == list(range(max(numbers) + 1)) and numbers == sorted(numbers)
        assert (words[row][~mask[row]] == -1).all()


def test_pieces_of_one_word_have_one_number(tokenizer: CaptionTokenizer) -> None:
    _, mask, words = tokenizer.encode_words(["hot xyzzy dog"], 32)
    numbers = words[0][mask[0]].tolist()
    assert numbers[0] == 0 and numbers[-1] == 2 and numbers.count(1) > 1


def test_saved_and_read_again_it_is_the_same(tokenizer: CaptionTokenizer, tmp_path: Path) -> None:
    save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    again = load_tokenizer(tmp_path / "tokenizer.json")
    assert again.encode(CAPTIONS, 8)[0].tolist() == tokenizer.encode(CAPTIONS, 8)[0].tolist()
    assert again.to_json() == tokenizer.to_json()


@pytest.mark.parametrize("content", [None, "{", '{"version": "1.0"}'])
def test_a_missing_or_damaged_file_is_one_line(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(EssenError, match=r"tokenizer\.json") as error:
        load_tokenizer(path)
    assert "\n" not in str(error.value)


SCRIPTS = [
    "Mbwa anakimbia.",
    "L'été, où est-elle ?",
    "'n Rooi bal",
    "O cão é grande!",
    "القطّة تنام؟",
    "הכלב רץ.",
    "犬が走る。",
    "หมาวิ่ง",
]


@pytest.mark.parametrize("caption", SCRIPTS)
def test_a_caption_in_any_script_keeps_its_order_and_loses_nothing(caption: str, tokenizer: CaptionTokenizer) -> None:
    own = train_tokenizer(SCRIPTS, 400)
    for learned in (own, tokenizer):  # one that has seen the script, and one that has not
        ids, mask = learned.encode([caption], 64)
        assert learned.unknown_id not in ids[0][mask[0]].tolist()
        backend = tokenizers.Tokenizer.from_str(learned.to_json())
        assert backend.decode(ids[0][mask[0]].tolist()).strip() == caption.lower()
