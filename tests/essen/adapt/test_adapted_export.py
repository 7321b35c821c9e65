"""Adapted models in the forms that others load: the same numbers as the model."""

from pathlib import Path
from typing import Any

import pytest
import torch
from exported import CAPTIONS, KINDS

from essen.adapt.learning import count_learning
from essen.config import ModelConfig
from essen.export import load_model, save_model
from essen.export.card import model_card
from essen.export.hub import write_hub_folder
from essen.export.modeling import EssenModel
from essen.export.onnx_files import write_onnx
from essen.export.onnx_model import OnnxModel
from essen.export.parity import largest_difference
from essen.model import build_model
from essen.tokenizer import train_tokenizer

pytestmark = pytest.mark.usefixtures("one_thread")
ADAPTED = {
    "adapters": ("pretrained", {"kind": "adapters"}),
    "gated": ("convolutions", {"kind": "gated"}),
    "shared": ("pretrained", {"kind": "shared", "width": 2, "share": 4}),
    "deep": ("patches", {"kind": "deep", "heads": 2}),
    "lora": ("pretrained", {"kind": "lora", "rank": 2}),
}


def save_adapted(kind: str, folder: Path) -> None:
    """Save an adapted model of which no weight is zero."""
    base, adapt = ADAPTED[kind]
    values: dict[str, Any] = {**KINDS[base].model_dump(), "adapt": adapt}
    config, tokenizer = ModelConfig.model_validate(values), train_tokenizer(CAPTIONS, 300)
    model = build_model(config, tokenizer.vocab_size, seed=3)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1, generator=generator)
    save_model(model, tokenizer, config, folder)


@pytest.mark.parametrize("kind", list(ADAPTED))
def test_an_adapted_model_goes_through_transformers(kind: str, tmp_path: Path) -> None:
    save_adapted(kind, tmp_path / "model")
    model, tokenizer = load_model(tmp_path / "model")
    write_hub_folder(model, tokenizer, tmp_path / "model/model.safetensors", tmp_path / "hub")
    loaded = EssenModel.from_pretrained(tmp_path / "hub", local_files_only=True)
    assert max(largest_difference(model, loaded.essen, model.vocab_size).values()) < 1e-6
    code = (tmp_path / "hub/modeling_essen.py").read_text()
    compile(code, "modeling_essen.py", "exec")
    assert "from essen" not in code and "class Adapter(" in code


def test_the_card_says_what_was_trained(tmp_path: Path) -> None:
    for kind in ("shared", "lora"):
        save_adapted(kind, tmp_path / kind)
        model, _ = load_model(tmp_path / kind)
        card = model_card(model, {"weights_sha256": "0"}, None)
        counts = count_learning(model)
        assert f"Trained: {counts['trainable']:,} parameters, {counts['trainable_in_towers']:,} of them" in card
        assert f"(adaptation: {kind})" in card and f"**{counts['parameters']:,}**" in card
        assert ("shared by both towers" in card) == (kind == "shared")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["shared", "lora"])
def test_an_adapted_model_goes_through_onnx(kind: str, tmp_path: Path) -> None:
    save_adapted(kind, tmp_path / "model")
    model, _ = load_model(tmp_path / "model")
    write_onnx(model, tmp_path / "onnx")
    found = OnnxModel(tmp_path / "onnx", model.config, model.logit_scale.item(), threads=1)
    assert max(largest_difference(model, found, model.vocab_size).values()) < 1e-4
