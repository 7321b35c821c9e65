from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.pairs import numbers, order_sources, read_pairs
from pipeline.errors import ConfigError, DataError
from pipeline.select.kept import FILE
from pipeline.tables import read_columns, write_table


def test_the_train_split_alone_sorted_by_uid(word_run: Path) -> None:
    pairs = read_pairs(word_run, {})
    uids = pairs.column("uid").to_pylist()
    assert len(pairs) == 11 and uids == sorted(uids)
    assert pairs.corpora == {"words", "tales"}


def test_a_caption_that_lives_on_has_its_own_words_and_the_other_picture(
    word_run: Path, uid_of: Callable[[int], str]
) -> None:
    kept = read_columns(word_run / FILE)
    row = kept["uid"].index(uid_of(6))
    kept["uid"][row], kept["picture_uid"][row] = "f" * 32, uid_of(2)
    write_table(word_run / FILE, kept)
    found = numbers(
        read_pairs(word_run, {}), ["caption.tokens", "lexicon.zipf_mean", "image.clutter", "alignment.score"]
    )
    assert {name: values[-1] for name, values in found.items() if name != "alignment.score"} == {
        "caption.tokens": 5,
        "lexicon.zipf_mean": 5.75,
        "image.clutter": 2,
    }
    assert np.isnan(found["alignment.score"][-1])


def test_lists_count_their_entries_and_what_is_not_finite_is_missing(word_run: Path, tmp_path: Path) -> None:
    kept = read_columns(word_run / FILE, ["uid"])["uid"]
    path = tmp_path / "mine.parquet"
    write_table(path, {"uid": kept, "loss": [float("inf"), float("nan"), *[1.0] * (len(kept) - 2)]})
    pairs = read_pairs(word_run, {"mine": path})
    assert np.isnan(numbers(pairs, ["mine.loss"])["mine.loss"]).sum() == 2
    nouns = numbers(pairs, ["caption.nouns"])["caption.nouns"]
    assert sorted(nouns.tolist()) == [0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3]


def test_what_cannot_be_read_is_one_line_with_the_nearest_name(word_run: Path, tmp_path: Path) -> None:
    own = {"twice": tmp_path / "twice.parquet", "text": tmp_path / "text.parquet"}
    write_table(own["twice"], {"uid": ["a", "a"], "loss": [1.0, 2.0]})
    own["text"].write_text("uid,loss")
    pairs = read_pairs(word_run, {**own, "gone": tmp_path / "gone.parquet"})
    for column, said in (
        ("caption.token", r"no column caption.token; did you mean tokens\?"),
        ("caption.head_noun", "caption.head_noun holds no numbers"),
        ("gone.loss", "gone.parquet is missing; correct curriculum.own_signals"),
        ("text.loss", "text.parquet is no parquet file"),
    ):
        with pytest.raises(ConfigError, match=said):
            numbers(pairs, [column])
    with pytest.raises(DataError, match="has a uid twice"):
        numbers(pairs, ["twice.loss"])
    (word_run / "signals/image.parquet").unlink()
    with pytest.raises(ConfigError, match=r"image.parquet is missing; run measure first"):
        numbers(pairs, ["image.clutter"])


def test_what_lies_outside_the_run_is_named_by_its_content(tmp_path: Path) -> None:
    config = CurriculumConfig(own_signals={"mine": Path("mine.parquet")}).at(tmp_path)
    with pytest.raises(ConfigError, match="own_signals: mine: there is no file"):
        order_sources(config)
    (tmp_path / "mine.parquet").write_bytes(b"one")
    before = order_sources(config)
    (tmp_path / "mine.parquet").write_bytes(b"two")
    assert order_sources(config) != before
    assert str(tmp_path) not in str(before)
    assert order_sources(CurriculumConfig.model_validate({"ontology": {"hypernyms": "wordnet"}}))["wordnet"]
