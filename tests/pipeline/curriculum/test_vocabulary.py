from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.curriculum.lemmas import Lemmas, read_content, read_nouns
from pipeline.curriculum.pairs import read_pairs
from pipeline.curriculum.vocabulary import by_vocabulary, frequency_rank
from pipeline.tables import read_columns, write_table

texts = st.lists(st.sets(st.sampled_from("abcdefghijkl"), max_size=5), min_size=1, max_size=60)


def lemmas_of(rows: list[set[str]]) -> Lemmas:
    names = sorted(set().union(*rows))
    both = sorted((row, names.index(word)) for row, words in enumerate(rows) for word in words)
    pairs = np.array(both, dtype=np.int64).reshape(-1, 2)
    return Lemmas(names=np.array(names, dtype=object), rows=pairs[:, 0], codes=pairs[:, 1])


@given(texts, st.integers(1, 4), st.integers(0, 4), st.integers(0, 3))
def test_a_stage_holds_only_what_the_stages_before_it_have_prepared(
    rows: list[set[str]], count: int, seed_words: int, new_words: int
) -> None:
    found = by_vocabulary(lemmas_of(rows), len(rows), [1 / count] * count, seed_words=seed_words, new_words=new_words)
    frequency = {word: sum(word in row for row in rows) for row in rows for word in row}
    known = set(sorted(frequency, key=lambda word: (-frequency[word], word))[:seed_words])
    for stage in range(1, count + 1):
        members = [row for row in range(len(rows)) if found.stages[row] == stage]
        for row in members:
            assert found.new[row] == len(rows[row] - known)
            assert stage == count or found.new[row] <= new_words
        known |= set().union(*(rows[row] for row in members))
    assert found.facts["beyond"] == sum(found.new[row] > new_words for row in range(len(rows)))


def test_the_greedy_choice_by_hand() -> None:
    rows = [{"dog"}, {"dog"}, {"dog", "red"}, {"cat"}, {"cat", "red"}, {"zebra", "dog"}, {"moon", "sea"}, set()]
    found = by_vocabulary(lemmas_of(rows), len(rows), [0.5, 0.25, 0.25], seed_words=1, new_words=1)
    # Known: dog. Nothing new: rows 7, 0, 1; then with one new word the most frequent of them, cat before red by name.
    assert found.stages.tolist() == [1, 1, 2, 1, 2, 3, 3, 1]
    assert found.new.tolist() == [0, 0, 1, 1, 1, 1, 2, 0]
    assert found.facts["stages"] == [
        {"known": 1, "open_to": 6},
        {"known": 2, "open_to": 3},
        {"known": 3, "open_to": 1},
    ]


@given(texts)
def test_frequent_lemmas_come_first_and_ties_go_by_name(rows: list[set[str]]) -> None:
    lemmas = lemmas_of(rows)
    frequency = np.bincount(lemmas.codes, minlength=len(lemmas.names))
    ranked = sorted(range(len(lemmas.names)), key=lambda code: (-frequency[code], lemmas.names[code]))
    assert frequency_rank(lemmas)[ranked].tolist() == list(range(len(lemmas.names)))


def test_content_words_are_read_once_a_caption_and_unread_captions_give_their_words(word_run: Path) -> None:
    path = word_run / "signals/caption.parquet"
    columns = read_columns(path)
    row = columns["tokens"].index(3)  # Up we go.
    for kind in ("nouns", "verbs", "adjectives"):
        columns[kind][row] = None
    write_table(path, columns)
    pairs = read_pairs(word_run, {})
    found = read_content(pairs)
    assert found.unread == 1
    captions = pairs.column("caption").to_pylist()
    assert found.of(captions.index("Up we go.")) == ["go", "up", "we"]
    assert found.of(captions.index("red ball")) == ["ball", "red"]
    assert set(read_nouns(pairs).names) == {"dog", "cat", "ball", "giraffe", "moon", "lantern", "water", "boat"}
