"""A study that asks what a vision tower keeps: the probe and further arms come to cells that are done already."""

from pathlib import Path
from typing import Any

import pytest
from own_folder import essen

from essen.config import ScoringConfig
from flows.study.config import ProbeScore, load_study
from flows.study.probe import probed
from flows.study.results import check_scores
from pipeline import files
from pipeline.errors import ConfigError
from pipeline.report.studies import score_name

RECIPE = """name: relations
corpora:
  - card: mixed/card.md
select:
  split: {validation: 0.15, test: 0.3}
stage: {image_size: 32}
"""
STUDY = """name: kept
question: What does a frozen tower keep?
recipe: relations.yaml
worlds:
  mixed: {pairs: 80, easy: 0.4}
score: {set: test_names, k: 1}
common:
  model.image_size: 32
  model.vision: {stem: 2, widths: [8, 16], blocks: [1, 1]}
  model.text: {width: 16, layers: 1, heads: 2}
  model.fusion: {kind: none}
  train.objectives: {matching: 0, masked: 0}
  train.batch_size: 8
  train.steps: 3
  train.learning_rate: 1.0e-1
  evaluate.resamples: 100
arms:
  full: {}
seeds: [0]
"""
PROBED = """scores:
  kept: {kind: probe, set: test_names}
  before: {kind: probe, set: test_names, of: before}
arms:
  full: {}
  frozen: {model.adapt: {kind: projections}}
claims:
  - {id: L4, arm: frozen, against: full, score: kept}
seeds: [0]
"""


def cells(runs: Path) -> dict[str, Any]:
    results = files.read_json(runs / "studies/kept/results.json")
    return {cell["arm"]: cell for cell in results["cells"]}


@pytest.mark.slow
def test_what_a_tower_keeps_is_asked_of_cells_that_are_done(tmp_path: Path) -> None:
    (tmp_path / "relations.yaml").write_text(RECIPE)
    path, runs = tmp_path / "kept.yaml", tmp_path / "runs"
    path.write_text(STUDY)
    assert essen("study", path, "--runs", runs) == 0
    record = runs / "studies/kept/full-0/steps/train.json"
    alone, trained = cells(runs)["full"], record.read_bytes()
    assert "probe" not in alone and not (runs / "studies/kept/full-0/reports/probe.json").exists()

    path.write_text(STUDY.partition("arms:")[0] + PROBED)
    assert essen("study", path, "--runs", runs) == 0
    full, frozen = cells(runs)["full"], cells(runs)["frozen"]
    assert record.read_bytes() == trained and full["config"] == alone["config"]
    assert full["scores"]["primary"] == alone["scores"]["primary"]
    skill = frozen["probe"]["test_names"]
    assert skill["classes"] == 2 and skill["pictures"] > 10
    assert skill["before"] == skill["after"] == full["probe"]["test_names"]["before"]
    assert frozen["scores"]["kept"]["value"] == 0 and frozen["scores"]["before"]["value"] == skill["before"]
    lost = full["probe"]["test_names"]
    assert full["scores"]["kept"]["value"] == lost["after"] - lost["before"]

    # The very step is found again, and done again where it is gone.
    found = (runs / "studies/kept/full-0/reports/probe.json").read_bytes()
    (runs / "studies/kept/full-0/steps/probe.json").unlink()
    assert essen("study", path, "--runs", runs) == 0
    assert (runs / "studies/kept/full-0/reports/probe.json").read_bytes() == found
    assert record.read_bytes() == trained

    [world] = [run for run in runs.iterdir() if run.name.startswith("relations-")]
    model = next((runs / "studies/kept/full-0/models").iterdir())
    with pytest.raises(ConfigError, match="asks for the set test_style; the sets are test_names, validation"):
        probed(ScoringConfig(), world, ("test_style",), model, 0)


def test_a_probe_is_part_of_a_study(tmp_path: Path) -> None:
    path = tmp_path / "kept.yaml"
    path.write_text(STUDY.partition("arms:")[0] + PROBED)
    study = load_study(path)
    assert study.scores["kept"] == ProbeScore(kind="probe", set="test_names", of="change")
    sets = {"test_names": {"text_to_image": {"trained": {"1": 0.5}}}}
    check_scores(study, {"sets": sets, "probe": {"test_names": {"before": 0.5, "after": 0.25}}})
    path.write_text(path.read_text().replace("of: before", "of: since"))
    with pytest.raises(ConfigError, match=r"before|change") as caught:
        load_study(path)
    assert "\n" not in str(caught.value)


def test_its_name_says_when_it_was_asked() -> None:
    said = "vision tower, probed for categories on test_style, after training − before, per cent"
    assert score_name({"kind": "probe", "set": "test_style"}) == said
    assert "before training" in score_name({"kind": "probe", "set": "test_style", "of": "before"})
