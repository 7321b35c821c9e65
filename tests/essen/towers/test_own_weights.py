"""Own towers that start as those of a trained model."""

from pathlib import Path
from typing import Any

import pytest
import torch

from essen.config import ModelConfig, TrainConfig
from essen.errors import EssenError
from essen.export import load_model
from essen.model import build_model
from essen.train import train

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(
    small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a trained model."""
    out = tmp_path_factory.mktemp("first")
    train(tiny_model, tiny_training.model_copy(update={"steps": 3}), small_stages, out)
    return out / "models/tiny"


def starting(tiny_model: ModelConfig, folder: Path, **more: Any) -> ModelConfig:
    values = {**tiny_model.model_dump(), "name": "second", **more}
    values["vision"] |= {"weights": str(folder)}
    values["text"] |= {"weights": str(folder)}
    return ModelConfig.model_validate(values)


def test_towers_and_tokenizer_are_those_of_the_trained_model(
    trained: Path, small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    config = starting(tiny_model, trained, adapt={"kind": "projections"})
    train(config, tiny_training.model_copy(update={"steps": 2, "seed": 5}), small_stages, tmp_path)
    (first, words), (second, same_words) = load_model(trained), load_model(tmp_path / "models/second")
    assert words.to_json() == same_words.to_json()
    state = second.state_dict()
    kept = {name: value for name, value in first.state_dict().items() if name.startswith(("vision.", "text."))}
    learns = {"vision.norm.weight", "vision.norm.bias"}
    assert all(torch.equal(state[name], value) for name, value in kept.items() if name not in learns)
    assert not torch.equal(state["image_projection.weight"], first.state_dict()["image_projection.weight"])


def test_a_trained_model_needs_the_first_no_more(trained: Path, tiny_model: ModelConfig) -> None:
    gone = starting(tiny_model, trained / "gone")
    assert build_model(gone, 300, seed=0, pretrained=False).config == gone
    with pytest.raises(EssenError, match="no weights at"):
        build_model(gone, 300, seed=0)


def test_another_tower_is_one_line(trained: Path, tiny_model: ModelConfig) -> None:
    config = starting(tiny_model, trained)
    narrow = config.model_copy(update={"vision": config.vision.model_copy(update={"widths": (8, 32)})})
    with pytest.raises(EssenError, match=r"another vision tower: \d+ tensors misfit, first .*; give model\.vision"):
        build_model(narrow, load_model(trained)[1].vocab_size, seed=0)


def test_a_model_without_weights_says_nothing_of_them(tiny_model: ModelConfig) -> None:
    dumped = tiny_model.model_dump(mode="json")
    assert "weights" not in dumped["vision"] and "weights" not in dumped["text"] and "adapt" not in dumped
