"""A run is trained again when the trained model changes whose towers it starts with."""

from pathlib import Path

from flows.plan import Surroundings, training
from flows.recipe import load_recipe
from pipeline import files


def test_other_weights_are_another_training(tmp_path: Path) -> None:
    first = tmp_path / "runs/first/models/essen-nano"
    weights = first / "model.safetensors"
    files.write_bytes(weights, b"weights")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"name: second\ncorpora:\n  - card: noto\nmodel: {{text: {{weights: '{first}'}}}}\n")

    def params() -> object:
        return training(load_recipe(recipe), Surroundings(run=tmp_path / "runs/second", folder=tmp_path))[0].params

    before = params()
    assert params() == before
    files.write_bytes(weights, b"other weights")
    assert params() != before
