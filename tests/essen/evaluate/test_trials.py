"""Manifests of trials: what is read, and what is refused in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from essen.errors import TrialsError
from essen.evaluate.trials import read_manifest, read_nlvr

BALL = {"id": "ball", "images": ["a.png", "b.png"], "texts": ["a ball"], "target": 0}
SURE = {"id": "1", "images": ["a.png"], "text": "a dog runs", "label": "neutral"}


def written(folder: Path, task: str, *trials: dict[str, Any], **more: Any) -> Path:
    path = folder / "trials.json"
    content = {"format": "essen-trials/1", "name": "words", "task": task, "trials": list(trials), **more}
    path.write_text(json.dumps(content))
    return path


def test_trials_of_every_task_are_read(tmp_path: Path) -> None:
    choice = read_manifest(
        written(tmp_path, "choice", BALL, {**BALL, "id": "2", "group": "toys", "shares": [0.9, 0.1]})
    )
    assert [(trial.unit, trial.options) for trial in choice.trials] == [("ball", 2), ("toys", 2)]
    truth = read_manifest(written(tmp_path, "truth", {"id": "1", "images": ["a.png"], "text": "red", "label": True}))
    assert truth.trials[0].label is True
    assert read_manifest(written(tmp_path, "entailment", SURE)).trials[0].answers == {"neutral": 1.0}
    answer = {**SURE, "label": {"two": 1.0, "three": 0.3}}
    assert read_manifest(written(tmp_path, "answer", answer)).trials[0].answers == {"two": 1.0, "three": 0.3}
    both = {**SURE, "images": ["a.png", "b.png"], "label": False}
    assert read_manifest(written(tmp_path, "reasoning", both)).trials[0].answers == {"false": 1.0}


@pytest.mark.parametrize(
    ("task", "trial", "said"),
    [
        ("choice", {**BALL, "target": 2}, "from 0 to 1"),
        ("choice", {**BALL, "images": ["a.png"]}, "one text and several pictures"),
        ("choice", {**BALL, "shares": [0.9]}, "sum to 1"),
        ("choice", {**BALL, "images": ["/etc/a.png", "b.png"]}, "no path below"),
        ("choice", {**BALL, "images": ["../a.png", "b.png"]}, "no path below"),
        ("choice", {**BALL, "texts": ["x", "y"], "target": [0, 0]}, "[0, 1] or [1, 0]"),
        ("choice", {**BALL, "pictures": []}, "pictures"),
        ("truth", {"id": "1", "images": ["a.png"], "text": "red", "label": "maybe"}, "label"),
        ("entailment", {**SURE, "label": "perhaps"}, "one of entailment, neutral, contradiction"),
        ("reasoning", {**SURE, "label": True}, "takes 2 pictures"),
        ("answer", {**SURE, "label": True}, "does not take the label True"),
        ("answer", {**SURE, "split": "test"}, "both train and test"),
        ("dance", SURE, "dance"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(tmp_path: Path, task: str, trial: dict[str, Any], said: str) -> None:
    with pytest.raises(TrialsError) as caught:
        read_manifest(written(tmp_path, task, trial))
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_group_may_not_stand_in_both_splits(tmp_path: Path) -> None:
    trials = [{**SURE, "id": split, "group": "dog", "split": split} for split in ("train", "test")]
    with pytest.raises(TrialsError, match="'dog' stands in both splits"):
        read_manifest(written(tmp_path, "entailment", *trials))


def test_an_id_stands_once(tmp_path: Path) -> None:
    with pytest.raises(TrialsError, match="'ball' stands twice"):
        read_manifest(written(tmp_path, "choice", BALL, BALL))


def test_other_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrialsError, match="cannot be read"):
        read_manifest(tmp_path / "none.json")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(TrialsError, match="not a JSON text"):
        read_manifest(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(TrialsError, match="not of the format essen-trials/1"):
        read_manifest(tmp_path / "x.json")
    (tmp_path / "sentences.json").write_text('[{"id": "1"}]')
    with pytest.raises(TrialsError, match="not NLVR's list"):
        read_nlvr(tmp_path)


def test_nlvr_is_read_as_it_is(corpora: Path) -> None:
    manifest = read_nlvr(corpora / "nlvr")
    assert len(manifest.trials) == 989
    assert sum(trial.label for trial in manifest.trials) == 547
    assert {len(trial.images) for trial in manifest.trials} == {6}
    assert len({trial.unit for trial in manifest.trials}) < 267  # equal sentences are one unit
    assert all((corpora / "nlvr" / trial.images[0]).is_file() for trial in manifest.trials)
