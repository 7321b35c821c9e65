"""A run is trained again when the weights of the model that teaches change, wherever it lies."""

from pathlib import Path

import pytest

from flows.plan import Surroundings, training
from flows.recipe import load_recipe
from pipeline import files

RECIPE = """
name: taught
corpora:
  - card: noto
train:
  distillation: {teacher: runs/first/models/teacher}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a recipe, and the weights of a teacher beside it."""
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    files.write_bytes(tmp_path / "runs/first/models/teacher/model.safetensors", b"weights")
    return tmp_path


def params(folder: Path) -> object:
    recipe = load_recipe(folder / "recipe.yaml")
    return training(recipe, Surroundings(run=folder / "runs/taught", folder=folder))[0].params


def test_other_weights_of_the_teacher_are_another_training(folder: Path) -> None:
    before = params(folder)
    assert params(folder) == before
    files.write_bytes(folder / "runs/first/models/teacher/model.safetensors", b"other weights")
    assert params(folder) != before


def test_a_recipe_without_a_teacher_has_the_key_that_it_had(folder: Path) -> None:
    (folder / "recipe.yaml").write_text(RECIPE.partition("train:")[0])
    found = params(folder)
    assert isinstance(found, dict)
    assert "distillation" not in found["train"] and "teacher" not in found["tools"]
