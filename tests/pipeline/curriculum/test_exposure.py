from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.exposure import (
    NEW_WORDS_SHOWN,
    WORD,
    check_budget,
    exposure,
    growth_by_stage,
    vocabulary_growth,
    words_of_captions,
)
from pipeline.errors import DataError

texts = st.lists(
    st.lists(
        st.sampled_from(["dog", "Dog!", "a", "it's", "ice-cream", "x/y", "42", "Ünï", "-", "don’t", "ΣΑΣ", "o'clock?"]),
        min_size=1,
        max_size=6,
    ).map(" ".join),
    min_size=1,
    max_size=40,
)


@given(texts, st.integers(1, 4), st.integers(1, 9))
def test_growth_is_what_reading_caption_by_caption_gives(captions: list[str], count: int, points: int) -> None:
    stages = np.sort(np.arange(len(captions)) * count // len(captions)) + 1
    entries, curve = vocabulary_growth(pa.array(captions), stages, points)
    known: set[str] = set()
    sizes = [0]
    for caption in captions:
        known |= set(WORD.findall(caption.lower()))
        sizes.append(len(known))
    assert [point["vocabulary"] for point in curve] == [sizes[point["samples"]] for point in curve]
    assert curve[0]["samples"] == 0 and curve[-1]["samples"] == len(captions)
    known = set()
    for entry in entries:
        spoken = [caption for caption, stage in zip(captions, stages, strict=True) if stage == entry["stage"]]
        words = Counter(word for caption in spoken for word in WORD.findall(caption.lower()))
        new = sorted(words.keys() - known, key=lambda word: (-words[word], word))
        known |= set(words)
        assert entry["new_words"] == len(new) and entry["vocabulary"] == len(known)
        assert entry["frequent_new_words"] == new[:NEW_WORDS_SHOWN]
    by_stage = {int(stage): pa.chunked_array([pa.array(captions).filter(stages == stage)]) for stage in set(stages)}
    assert growth_by_stage(dict(sorted(by_stage.items()))) == entries


def test_exposure_of_a_disjoint_pool_with_replay_and_of_a_cumulative_one() -> None:
    stages, words = np.array([1, 1, 1, 1, 2, 2, 2]), np.array([1, 1, 2, 4, 5, 5, 5])
    config = CurriculumConfig(stages=("one", "two"), replay=0.25, word_budget=100)
    told = exposure(config, stages, words)
    assert (told["pool"], told["replay"], told["word_budget"]) == ("disjoint", 0.25, 100)
    assert told["samples"] == 7 and told["words"] == 23
    assert told["stages"][0]["pass_samples"] == 4  # nothing stands before the first stage
    assert told["stages"][1] == {
        **{"stage": 2, "name": "two", "samples": 3, "words": 15, "pool_samples": 3, "pool_words": 15},
        **{"pass_samples": 4, "pass_words": 17},  # one in four is replayed, at two words a caption
    }
    grown = exposure(config.model_copy(update={"pool": "cumulative"}), stages, words)
    assert grown["replay"] == 0
    assert [entry["pool_samples"] for entry in grown["stages"]] == [4, 7]
    assert [entry["pass_words"] for entry in grown["stages"]] == [8, 23]


def test_a_budget_that_is_passed_is_one_line() -> None:
    check_budget(CurriculumConfig(word_budget=10), 10)
    with pytest.raises(DataError, match=r"have 11 words, more than curriculum.word_budget 10; take fewer samples"):
        check_budget(CurriculumConfig(word_budget=10), 11)
    assert words_of_captions(["a dog", "it's 42 !"]).tolist() == [2, 3]
