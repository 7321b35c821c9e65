"""A run is trained again when the weights change of another model that it learns from, wherever that lies."""

from pathlib import Path
from typing import Any

import pytest

from flows.plan import Surroundings, training
from flows.recipe import load_recipe
from pipeline import files

RECIPE = """
name: later
corpora:
  - card: noto
"""
FIRST = "runs/first/models/essen-nano"


def params(folder: Path, further: str) -> dict[str, Any]:
    """Return what the key of the training of a recipe is made of."""
    (folder / "recipe.yaml").write_text(RECIPE + further)
    return training(load_recipe(folder / "recipe.yaml"), Surroundings(run=folder / "runs/later", folder=folder))[
        0
    ].params


@pytest.mark.parametrize(
    "further", [f"train: {{distillation: {{teacher: {FIRST}}}}}", f"model: {{text: {{weights: 'FOLDER/{FIRST}'}}}}"]
)
def test_other_weights_of_a_teacher_or_a_tower_are_another_training(further: str, tmp_path: Path) -> None:
    keys = further.replace("FOLDER", str(tmp_path))
    files.write_bytes(tmp_path / FIRST / "model.safetensors", b"weights")
    before = params(tmp_path, keys)
    assert params(tmp_path, keys) == before
    files.write_bytes(tmp_path / FIRST / "model.safetensors", b"other weights")
    assert params(tmp_path, keys) != before


def test_a_recipe_without_a_teacher_has_the_key_that_it_had(tmp_path: Path) -> None:
    found = params(tmp_path, "")
    assert "distillation" not in found["train"] and "teacher" not in found["tools"]
