from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.explain import explain, explanation_lines
from pipeline.curriculum.order import order
from pipeline.errors import ConfigError
from pipeline.tables import read_columns, write_table

Uid = Callable[[int], str]


def made(run: Path, **values: Any) -> None:
    order(CurriculumConfig.model_validate({"stages": ["one", "two"], "monotone": "report", **values}), run, run)


def test_every_place_of_an_order_is_explained_by_its_parts(word_run: Path) -> None:
    made(word_run, difficulty={"caption.tokens": 3, "alignment.score": -1})
    table = read_columns(word_run / "curriculum/order.parquet")
    for rank, uid in enumerate(table["uid"]):
        found = explain(word_run, uid)
        assert (found.rank, found.samples, found.stage) == (rank, 11, table["stage"][rank])
        assert found.place == rank - table["stage"].index(found.stage)
        assert sum(abs(part.weight) * part.rank for part in found.components) == pytest.approx(found.difficulty)
        assert [near.uid for near in found.before] == table["uid"][max(0, rank - 3) : rank]
        assert [near.uid for near in found.after] == table["uid"][rank + 1 : rank + 4]
        assert found.new_words is None


def test_a_missing_value_and_the_cut_are_told(word_run: Path, uid_of: Uid) -> None:
    made(word_run, difficulty={"caption.tokens": 3, "alignment.score": -1})
    text = "\n".join(explanation_lines(explain(word_run, uid_of(3))))
    assert f"{uid_of(3)}  red ball  (words)" in text
    assert "alignment.score    missing  0.25 × 0.500 = 0.1250, a high value is easy" in text
    assert "the share of easier pairs is" in text and "it holds what is up to 0.5" in text
    assert text.count("\n> ") == 1


@pytest.mark.parametrize(
    ("values", "number", "said"),
    [
        ({"by": "value", "edges": [4]}, 6, "caption.tokens is 5; it holds what is above 4"),
        ({"by": "value", "edges": [0.2], "column": "alignment.score"}, 3, "alignment.score is missing, which belongs"),
        ({"by": "corpus"}, 0, "corpus words belongs to it, with words"),
        (
            {"by": "vocabulary", "vocabulary": {"seed_words": 2}},
            2,
            "no earlier stage has taught: 1; it takes its share",
        ),
        ({"by": "vocabulary", "vocabulary": {"seed_words": 2}}, 10, "taught: 5; it takes what is left"),
        ({"within": "group"}, 6, "order inside the stage: one work after the other"),
    ],
)
def test_what_put_it_into_its_stage(
    word_run: Path, uid_of: Uid, values: dict[str, Any], number: int, said: str
) -> None:
    made(word_run, **values)
    assert said in "\n".join(explanation_lines(explain(word_run, uid_of(number))))


def test_new_words_are_those_that_no_earlier_stage_has_taught(word_run: Path, uid_of: Uid) -> None:
    made(word_run, by="vocabulary", vocabulary={"seed_words": 2})
    assert explain(word_run, uid_of(0)).new_words == ()
    assert explain(word_run, uid_of(2)).new_words == ("cat",)
    assert explain(word_run, uid_of(10)).new_words == ("boat", "lantern", "quiet", "swing", "water")
    for number in (0, 1, 2, 6, 9, 10, 11):
        found = explain(word_run, uid_of(number))
        assert found.new_words is not None and f"taught: {len(found.new_words)};" in found.cut


def test_own_numbers_are_explained_without_their_file(word_run: Path, tmp_path: Path, uid_of: Uid) -> None:
    uid = read_columns(word_run / "selection/kept.parquet", ["uid"])["uid"]
    path = tmp_path / "losses.parquet"
    write_table(path, {"uid": uid, "loss": [float(number) for number in range(len(uid))]})
    made(word_run, difficulty="reference", own_signals={"reference": path})
    path.unlink()
    part = explain(word_run, uid_of(1)).components[0]
    assert (part.column, part.value, part.weight) == ("reference.loss", 7.0, 1.0)
    assert str(tmp_path) not in (word_run / "curriculum/summary.json").read_text()


def test_a_uid_that_is_not_in_the_order_is_one_line_with_code_2(word_run: Path, uid_of: Uid) -> None:
    with pytest.raises(ConfigError, match="has no order; run order first"):
        explain(word_run, uid_of(0))
    made(word_run)
    write_table(word_run / "selection/verdicts.parquet", {"uid": ["d" * 32], "reason": ["near_duplicate"]})
    for uid, said in (
        (uid_of(5), "it belongs to the split test_names"),
        ("d" * 32, r"selection dropped it \(near_duplicate\)"),
        ("nothing", "nothing is no sample of this run"),
    ):
        with pytest.raises(ConfigError, match=said) as found:
            explain(word_run, uid)
        assert found.value.exit_code == 2
