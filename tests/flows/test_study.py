"""Studies: a file is checked before anything runs; data are shared; cells are resumed; one process or two, the same."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from own_folder import RECIPE, essen, write_own_folder

from flows.recipe import RECIPES
from flows.study.cells import mean_logged
from flows.study.config import in_order, load_study
from flows.study.results import check_scores
from flows.study.smoke import smoke_studies
from pipeline.errors import ConfigError

STUDY = """name: small
question: Does it help?
recipe: first-words
score: {set: test_style}
arms:
  base: {}
  more: {train.steps: 20}
seeds: [0, 1]
claims:
  - {id: A, arm: more, against: base}
"""
SMALL = """name: small
question: Do more steps help?
recipe: mine.yaml
score: {set: test_names, k: 1}
scores:
  examples: {kind: reached, target: base}
  loss: {kind: logged, key: contrastive, start: 0.5}
curve: {every: 2}
common:
  model.image_size: 32
  model.vision: {stem: 2, widths: [8, 16], blocks: [1, 1]}
  model.text: {width: 16, layers: 1, heads: 2}
  model.fusion: {kind: none}
  train.objectives: {matching: 0, masked: 0}
  train.batch_size: 8
  train.steps: 4
  train.log_every: 1
  evaluate.resamples: 100
arms:
  base: {}
  more: {train.steps: 8}
  few: {train.sampling: {kind: random, pairs: 12}}
  taught:
    train.sampling: {kind: learnability, learnability: {reference: {arm: base}, filtered: 0.5}}
  sorted: {curriculum.within: random}
seeds: [0, 1]
claims:
  - {id: A, arm: more, against: base}
  - {id: B, kind: ratio, arm: more, against: base, score: examples, direction: lower}
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
        ("train.steps", "trian.steps", "trian.steps"),
        ("train.steps", "train.seed", "train.seed"),
        ("[0, 1]", "[]", "seeds"),
        ("[0, 1]", "[0, 0]", "twice"),
        ("arm: more", "arm: mroe", "mroe; did you mean more"),
        ("against: base", "against: base, score: other", "no score other"),
        ("against: base", "against: base, budget: 1k", "no budget 1k"),
        ("{train.steps: 20}", "{train.distillation: {teacher: {arm: nobody}}}", "nobody"),
        ("{train.steps: 20}", "{train.distillation: {teacher: {arm: more}}}", "itself"),
        ("  more:", "  more-1:", "more"),
        ("{set: test_style}", "{kind: reached, target: base}", "censored"),
        ("{set: test_style}", "{kind: recal, set: test_style}", "kind must be one of recall"),
    ],
)
def test_mistakes_are_named_in_one_line(tmp_path: Path, old: str, new: str, word: str) -> None:
    assert load_study(write(tmp_path, STUDY)).arms["more"] == {"train.steps": 20}
    assert old in STUDY
    with pytest.raises(ConfigError, match=word) as caught:
        load_study(write(tmp_path, STUDY.replace(old, new)))
    assert "\n" not in str(caught.value)


def test_arms_run_after_those_whose_models_they_use(tmp_path: Path) -> None:
    text = STUDY.replace("{train.steps: 20}", "{train.distillation: {teacher: {arm: last}}}")
    path = write(tmp_path, text.replace("seeds:", "  last: {}\nseeds:"))
    assert in_order(load_study(path), path) == [["base", "last"], ["more"]]


def test_the_mean_of_what_is_logged_starts_where_it_is_told() -> None:
    log = [{"step": step, "shares": {"a": step / 10}} for step in range(1, 11)]
    assert mean_logged(log, "shares.a", 0.5) == pytest.approx(0.8)
    assert mean_logged(log, "shares.b", 0.0) is None


@pytest.mark.slow
def test_a_study_from_its_file_to_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_own_folder(tmp_path, RECIPE)
    path, runs = write(tmp_path, SMALL), tmp_path / "runs"
    assert essen("study", path, "--runs", runs, "--jobs", 2) == 0
    printed = capsys.readouterr().out
    results = json.loads((runs / "studies/small/results.json").read_text())
    cells = {(cell["arm"], cell["seed"]): cell for cell in results["cells"]}
    assert len(cells) == 10 and {claim["id"] for claim in results["claims"]} == {"A", "B"}

    base, more, few = (cells[arm, 0] for arm in ("base", "more", "few"))
    assert [point["step"] for point in more["curve"]] == [2, 4, 6, 8]
    assert (base["spent"]["seen"], more["spent"]["seen"]) == (32, 64)
    assert more["spent"]["flops"]["total"] == 2 * base["spent"]["flops"]["total"]
    assert few["spent"]["unique"] <= 12 < base["spent"]["unique"] <= 32
    assert cells["taught", 0]["spent"]["flops"]["scoring"] > 0 < cells["taught", 0]["spent"]["flops"]["reference"]
    assert cells["taught", 1]["weights_sha256"] != cells["taught", 0]["weights_sha256"]
    assert base["data"] != cells["sorted", 0]["data"]
    assert base["controls"]["chance"] < 1 and base["scores"]["examples"]["value"] in (16, 32)

    # The order is another run, which took over all that comes before.
    first, second = sorted(path for path in runs.iterdir() if path.name.startswith("mine"))
    seconds = [json.loads((run / "steps/embed.json").read_text())["finished"] for run in (first, second)]
    assert seconds[0] == seconds[1]

    # Some cells anew, interrupted, then in one process: the same numbers.
    for file in (runs / "studies/small").glob("[mft]*/steps/*.json"):
        file.unlink()
    assert interrupted(path, runs) == (130, "essen: interrupted; the same command goes on from here")
    assert essen("study", path, "--runs", runs) == 0
    again = json.loads((runs / "studies/small/results.json").read_text())
    for one, other in zip(results["cells"], again["cells"], strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}

    # The table comes from the file alone.
    capsys.readouterr()
    file = runs / "studies/small/results.json"
    (tmp_path / "pictures").rename(tmp_path / "elsewhere")
    assert essen("study", file, "--figure", tmp_path / "study.svg") == 0
    shown = capsys.readouterr().out
    assert shown == printed.replace(_seconds(printed), _seconds(shown)) or "| more |" in shown
    assert (tmp_path / "study.svg").read_text().startswith("<?xml")


def interrupted(path: Path, runs: Path) -> tuple[int, str]:
    """Start the study in two processes, press Ctrl-C once a cell is under way; return the code and the last line."""
    command = [sys.executable, "-m", "flows.cli", "study", str(path), "--runs", str(runs), "--jobs", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if any((runs / "studies/small").glob("*/.part/train-*")):
            os.killpg(process.pid, signal.SIGINT)
            break
        time.sleep(0.01)
    said = process.communicate(timeout=60)[1]
    return process.returncode, said.splitlines()[-1]


def _seconds(text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith("| more |"))


def test_a_set_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, STUDY))
    with pytest.raises(ConfigError, match=r"primary: there is no set test_style; the sets are test_names, test_pages"):
        check_scores(study, {"sets": {"test_names": {}, "test_pages": {}}})


def test_results_that_are_not_there_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert essen("study", write(tmp_path, STUDY), "--runs", tmp_path, "--table") == 2
    assert "run the study first" in capsys.readouterr().err
    (tmp_path / "other.json").write_text("{}")
    assert essen("study", tmp_path / "other.json") == 2
    assert "no results of a study" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_bundled_study_runs_at_tiny_scale() -> None:
    lines = list(smoke_studies([]))
    assert len(lines) == len(list((RECIPES / "studies").glob("*.yaml")))
