from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.pairs import read_pairs
from pipeline.curriculum.sequence import arrange, blocked, interleaved

rows = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=60
)  # stage, block, difficulty


def columns(given_rows: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    stages, codes, difficulty = np.array(given_rows).T
    return stages, codes, difficulty.astype(float)


@given(rows)
def test_blocks_stay_together_and_easy_ones_come_first(given_rows: list[tuple[int, int, int]]) -> None:
    stages, codes, difficulty = columns(given_rows)
    sequence = blocked(stages, codes, difficulty, inside=difficulty)
    assert sorted(sequence) == list(range(len(stages)))
    assert (np.diff(stages[sequence]) >= 0).all()
    for stage in np.unique(stages):
        members = sequence[stages[sequence] == stage]
        turns = [codes[members[0]]] + [b for a, b in zip(codes[members], codes[members][1:], strict=False) if a != b]
        assert len(turns) == len(set(turns))
        means = [difficulty[members[codes[members] == code]].mean() for code in turns]
        assert (np.diff(means) > -1e-8).all()
        for code in turns:
            assert (np.diff(difficulty[members[codes[members] == code]]) >= 0).all()


@given(rows)
def test_round_robin_gives_every_concept_its_turn(given_rows: list[tuple[int, int, int]]) -> None:
    stages, codes, difficulty = columns(given_rows)
    sequence = interleaved(stages, codes, difficulty)
    assert sorted(sequence) == list(range(len(stages)))
    assert (np.diff(stages[sequence]) >= 0).all()
    for stage in np.unique(stages):
        told = codes[sequence[stages[sequence] == stage]].tolist()
        turn = [told[:place].count(code) for place, code in enumerate(told)]
        assert turn == sorted(turn)  # nobody comes a second time before everybody has come once
        mine = [difficulty[place] for place in sequence if stages[place] == stage and codes[place] == told[0]]
        assert mine == sorted(mine)


def captions(run: Path, within: str) -> list[str]:
    config = CurriculumConfig.model_validate({"within": within, "stages": ["all"]})
    pairs = read_pairs(run, {})
    length = np.array([len(caption.split()) for caption in pairs.column("caption").to_pylist()], dtype=float)
    sequence = arrange(config, pairs, np.ones(len(pairs), dtype=int), length)
    return [str(caption) for caption in pairs.column("caption").take(sequence).to_pylist()]


def test_stories_are_told_from_their_first_page_to_their_last(word_run: Path) -> None:
    assert captions(word_run, "group") == [
        *("cat", "dog", "dog", "red ball", "ball"),
        *("The dog sees a ball.", "The cat sees the dog.", "The ball is red!"),
        "Run, run, run away, said the old giraffe to the moon.",
        "A lantern swings above quiet water and a boat.",
        "Up we go.",
    ]


def test_head_nouns_together_and_in_turn(word_run: Path) -> None:
    # The means of ball and dog are equal and go by name; no head noun and cat likewise.
    assert captions(word_run, "concept_blocked") == [
        *("ball", "red ball", "The ball is red!"),
        *("dog", "dog", "The dog sees a ball."),
        "Up we go.",
        *("cat", "The cat sees the dog."),
        "A lantern swings above quiet water and a boat.",
        "Run, run, run away, said the old giraffe to the moon.",
    ]
    assert captions(word_run, "interleaved") == [
        *("ball", "dog", "Up we go.", "cat"),
        "A lantern swings above quiet water and a boat.",
        "Run, run, run away, said the old giraffe to the moon.",
        *("red ball", "dog", "The cat sees the dog."),
        *("The ball is red!", "The dog sees a ball."),
    ]


@pytest.mark.parametrize("within", ["random", "easy_to_hard"])
def test_within_stages_of_the_whole_order(word_run: Path, within: str) -> None:
    found = captions(word_run, within)
    assert sorted(found) == sorted(captions(word_run, "group"))
    lengths = [len(caption.split()) for caption in found]
    assert (lengths == sorted(lengths)) == (within == "easy_to_hard")
