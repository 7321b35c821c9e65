"""Sources of known quality in one run: made, curated, and drawn by what is still learnt from them."""

import json
from pathlib import Path

import pytest
from own_folder import essen

from pipeline.acquire.worlds import make_world

RECIPE = """name: sources
corpora:
  - card: clean/card.md
  - card: noisy/card.md
  - card: copies/card.md
  - card: easy/card.md
embed: {image_size: 64}
select:
  preset: none
  duplicates: {cosine: 1.0, hamming: 0, same_lines: 1.0, lines: 1.0, difference: 0.0, redrawn: false}
  split:
    validation: 0
    test: 0
    test_of: {clean: 0.25}
    test_sets: {noisy: test_noisy, copies: test_copies, easy: test_easy}
stage: {image_size: 32}
model:
  image_size: 32
  vision: {widths: [8, 16], blocks: [1, 1]}
  text: {width: 16, layers: 1}
  embedding_size: 16
  fusion: {kind: joint, latents: 4, width: 16}
train:
  steps: 6
  batch_size: 16
  threads: 1
  log_every: 1
  sampling: {kind: adaptive, adaptive: {every: 2}}
"""


@pytest.mark.slow
def test_sources_of_known_quality_are_curated_and_drawn_by_their_progress(tmp_path: Path) -> None:
    make_world(tmp_path / "clean", seed=0, pairs=80)
    make_world(tmp_path / "noisy", seed=1, pairs=40, mismatched=0.8)
    make_world(tmp_path / "copies", seed=2, pairs=40, duplicates=0.8)
    make_world(tmp_path / "easy", seed=3, pairs=40, easy=1)
    (tmp_path / "sources.yaml").write_text(RECIPE)
    run = tmp_path / "run"
    assert essen("train", tmp_path / "sources.yaml", "--run", run) == 0
    manifest = json.loads((run / "stages/manifest.json").read_text())
    assert {part["split"] for part in manifest["evaluation"]} >= {"test_names"}
    lines = [json.loads(line) for line in (run / "models/essen-nano/metrics.jsonl").read_text().splitlines()]
    assert list(lines[-1]["shares"]) == ["clean", "copies", "easy", "noisy"]
    assert sum(lines[-1]["shares"].values()) == pytest.approx(1, abs=1e-5)
