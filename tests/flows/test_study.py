"""Studies: a file is checked before anything runs, and differences are paired by seed."""

from pathlib import Path

import pytest

from flows.recipe import RECIPES
from flows.study import Score, differences, load_study, score_of, table
from pipeline.errors import ConfigError

STUDY = """name: small
question: Does it help?
recipe: first-words
score: {set: test_style}
arms:
  base: {}
  more: {train.steps: 20}
seeds: [0, 1]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted((RECIPES / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_bundled_studies_load(path: Path) -> None:
    assert load_study(path).name == path.stem


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("seeds:", "seedz:", "seeds"),
        ("train.steps", "select.preset", "select.preset"),
        ("[0, 1]", "[]", "seeds"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, word: str) -> None:
    assert load_study(write(tmp_path, STUDY)).arms["more"] == {"train.steps": 20}
    with pytest.raises(ConfigError, match=word):
        load_study(write(tmp_path, STUDY.replace(old, new)))


def test_differences_are_paired_and_carry_student_intervals() -> None:
    scores = {"base": [0.10, 0.20, 0.30, 0.40, 0.50], "more": [0.13, 0.22, 0.34, 0.41, 0.55]}
    found = differences(scores)["more"]
    # differences .03 .02 .04 .01 .05: mean .03, deviation .0158, half-width 1.24 of it with five seeds
    assert found["mean"] == pytest.approx(0.03)
    assert found["high"] - found["mean"] == pytest.approx(1.2417 * 0.015811, rel=1e-3)
    assert found["mean"] - found["low"] == pytest.approx(found["high"] - found["mean"])


def test_one_seed_has_no_interval_and_says_so() -> None:
    scores = {"base": [0.1], "more": [0.2]}
    found = differences(scores)
    assert found["more"]["low"] is None
    results = {"study": {"question": "?", "score": Score(set="a").model_dump()}, "scores": scores, "differences": found}
    assert any("one seed" in line for line in table(results))


def test_an_unknown_set_is_named() -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        score_of({"sets": [{"name": "test_style", "directions": []}]}, Score(set="nowhere"))
