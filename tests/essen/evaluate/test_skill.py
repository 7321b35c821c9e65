"""What a vision tower knows: the same before and after where nothing changed, and nothing where nothing can be told."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from essen.config import ModelConfig, PatchConfig, ScoringConfig, TextConfig
from essen.errors import TrialsError
from essen.evaluate.held_out import read_held_out
from essen.evaluate.skill import pooled_vectors, probe_accuracy, tower_skill
from essen.export import load_model, save_model
from essen.model import build_model
from essen.tokenizer import train_tokenizer
from pipeline.shards.read import StagedSet, open_stages

CONFIG = ScoringConfig(precision="fp32", batch_size=16)


@pytest.fixture(scope="module")
def part(small_stages: Path) -> StagedSet:
    return open_stages(small_stages).evaluation["test"]


def labelled(part: StagedSet, word: int) -> dict[str, str]:
    """Return a word of the caption, its colour or its shape, by uid."""
    uids, captions = (part.table.column(name).to_pylist() for name in ("uid", "caption"))
    return {uid: caption.split()[word] for uid, caption in zip(uids, captions, strict=True)}


def test_a_tower_that_did_not_change_knows_what_it_knew(own_model: Path, part: StagedSet) -> None:
    shapes = labelled(part, 1)
    found = tower_skill(CONFIG, part, shapes, own_model, initial_seed=1)
    assert (found["pictures"], found["classes"], found["commonest"]) == (24, 3, pytest.approx(1 / 3))
    assert found["before"] == found["after"] > 0.5
    assert tower_skill(CONFIG, part, shapes, own_model, initial_seed=1) == found


def test_what_came_before_is_the_tower_of_the_seed(own_model: Path, part: StagedSet) -> None:
    model, tokenizer = load_model(own_model)
    pixels = read_held_out(part, model.config.image_size).pixels
    same, other = (build_model(model.config, tokenizer.vocab_size, seed).eval() for seed in (1, 2))
    vectors = [pooled_vectors(tower, pixels, 5, bf16=False) for tower in (model, same, other)]
    assert vectors[0].shape == (24, model.vision.width)
    assert np.array_equal(vectors[0], vectors[1]) and not np.allclose(vectors[0], vectors[2])


def test_a_tower_that_is_blind_tells_the_commonest_class(own_model: Path, part: StagedSet, tmp_path: Path) -> None:
    model, tokenizer = load_model(own_model)
    with torch.no_grad():
        for weight in model.vision.parameters():
            weight.zero_()
    save_model(model, tokenizer, model.config, tmp_path / "blind")
    found = tower_skill(CONFIG, part, labelled(part, 1), tmp_path / "blind", initial_seed=1)
    assert found["after"] <= 0.5 < found["before"]


def test_pictures_without_a_class_are_left_out(own_model: Path, part: StagedSet) -> None:
    shapes = {uid: shape if shape != "line" else "" for uid, shape in labelled(part, 1).items()}
    found = tower_skill(CONFIG, part, shapes, own_model, initial_seed=1)
    assert (found["pictures"], found["classes"]) == (16, 2)


@settings(max_examples=20)
@given(st.integers(0, 50), st.permutations(range(60)))
def test_classes_that_lie_apart_are_told_whatever_the_halves(seed: int, order: list[int]) -> None:
    labels = np.repeat(np.arange(3), 20)[order]
    assert probe_accuracy(10.0 * np.eye(3)[labels], labels, [str(row) for row in order], seed) == 1.0


def test_one_class_is_nothing_to_tell(own_model: Path, part: StagedSet) -> None:
    with pytest.raises(TrialsError, match="test: its pictures are of 1 classes") as caught:
        tower_skill(CONFIG, part, dict.fromkeys(labelled(part, 1), "Food"), own_model, initial_seed=1)
    assert "\n" not in str(caught.value)


def test_a_model_of_one_tower_has_none_to_probe(part: StagedSet, tmp_path: Path) -> None:
    config = ModelConfig(
        name="one",
        towers="one",
        image_size=32,
        vision=PatchConfig(kind="patch", patch=8, width=16, layers=0),
        text=TextConfig(vocab_size=300, max_length=8, width=16, layers=0),
        fusion={"kind": "concat", "width": 16, "layers": 1, "heads": 2},
    )
    tokenizer = train_tokenizer(["red circle", "blue square"], 100)
    save_model(build_model(config, tokenizer.vocab_size, seed=1), tokenizer, config, tmp_path / "one")
    with pytest.raises(TrialsError, match="no tower of their own"):
        tower_skill(CONFIG, part, labelled(part, 1), tmp_path / "one", initial_seed=1)
