"""Trainings of adapted models: what moves, what a checkpoint holds, the same bytes after a kill, export."""

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from trainings import Killed, checkpoints, killer, logged, outcome

from essen.adapt.learning import changing, still
from essen.config import ModelConfig, TrainConfig
from essen.errors import EssenError
from essen.export import load_model
from essen.model import build_model
from essen.train import train

pytestmark = pytest.mark.usefixtures("one_thread")


def of_kind(model: ModelConfig, kind: str, **values: Any) -> ModelConfig:
    return ModelConfig.model_validate({**model.model_dump(), "adapt": {"kind": kind, **values}})


@pytest.fixture(scope="module")
def short(tiny_training: TrainConfig) -> TrainConfig:
    return tiny_training.model_copy(update={"steps": 12})


@pytest.mark.parametrize("kind", ["adapters", "shared", "lora"])
def test_killed_twice_it_ends_in_the_same_bytes(
    kind: str, small_stages: Path, tiny_model: ModelConfig, short: TrainConfig, tmp_path: Path
) -> None:
    model = of_kind(tiny_model, kind)
    counts = train(model, short, small_stages, tmp_path / "straight")
    for step in (4, 7):
        with pytest.raises(Killed):
            train(model, short, small_stages, tmp_path / "killed", report=killer(step))
    assert train(model, short, small_stages, tmp_path / "killed") == counts
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "straight")
    assert counts["trainable_in_towers"] + counts["projections"] < counts["trainable"] < counts["parameters"]


@pytest.fixture(scope="module")
def gated(
    small_stages: Path, tiny_model: ModelConfig, short: TrainConfig, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A training of gated adapters, with an average of the weights."""
    out = tmp_path_factory.mktemp("gated")
    train(of_kind(tiny_model, "gated"), short, small_stages, out)
    return out


def test_frozen_tensors_and_statistics_are_bit_identical_after_training(gated: Path, short: TrainConfig) -> None:
    trained, tokenizer = load_model(gated / "models/tiny")
    started = build_model(trained.config, tokenizer.vocab_size, short.seed)
    assert any("running_mean" in name for name in still(started))
    assert all(torch.equal(tensor, trained.state_dict()[name]) for name, tensor in still(started).items())
    assert all(not torch.equal(changing(trained)[n], tensor) for n, tensor in changing(started).items() if "up" in n)


def test_a_checkpoint_holds_what_learns_and_no_more(gated: Path) -> None:
    model, _ = load_model(gated / "models/tiny")
    held = safetensors.torch.load_file(gated / "training" / checkpoints(gated)[-1])
    for part in ("model", "average"):
        names = {name.removeprefix(f"{part}.") for name in held if name.startswith(f"{part}.")}
        assert names == changing(model).keys()
    trained = sum(parameter.requires_grad for parameter in model.parameters())
    assert len({name.split(".")[1] for name in held if name.startswith("optimiser.")}) == trained


def test_the_gate_is_logged_and_opens(gated: Path) -> None:
    lines = logged(gated)
    gates = [line["gate"] for line in lines]
    assert gates[0] == pytest.approx(0.018, abs=2e-3) and gates[-1] != gates[0]


def test_other_pretrained_weights_are_noticed_on_resume(
    small_stages: Path, tiny_model: ModelConfig, short: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = of_kind(tiny_model, "projections")
    with pytest.raises(Killed):
        train(model, short, small_stages, tmp_path, report=killer(7))

    def other_weights(*arguments: Any, **named: Any) -> Any:
        built = build_model(*arguments, **named)
        with torch.no_grad():
            built.text.words.weight.add_(1.0)
        return built

    monkeypatch.setattr("essen.train.build_model", other_weights)  # as if the file of weights had been replaced
    with pytest.raises(EssenError, match="was written with still"):
        train(model, short, small_stages, tmp_path)


@pytest.mark.parametrize("kind", ["adapters", "gated", "shared", "deep", "lora"])
def test_an_exported_model_is_the_trained_one_again(
    kind: str, small_stages: Path, tiny_model: ModelConfig, short: TrainConfig, tmp_path: Path
) -> None:
    model = of_kind(tiny_model, kind)
    train(model, short.model_copy(update={"steps": 3, "ema_decay": 0.0}), small_stages, tmp_path)
    loaded, tokenizer = load_model(tmp_path / "models/tiny")
    assert loaded.config.adapt == model.adapt
    held = safetensors.torch.load_file(tmp_path / "training" / checkpoints(tmp_path)[-1])
    assert all(torch.equal(tensor, held[f"model.{name}"]) for name, tensor in changing(loaded).items())
    again, _ = load_model(tmp_path / "models/tiny")
    ids, mask = tokenizer.encode(["red circle", "blue line"], 8)
    with torch.no_grad():
        assert torch.equal(loaded.encode_texts(ids, mask).embedding, again.encode_texts(ids, mask).embedding)
    plain = build_model(tiny_model, tokenizer.vocab_size, 0).eval()
    with torch.no_grad():
        assert not torch.equal(loaded.encode_texts(ids, mask).tokens, plain.encode_texts(ids, mask).tokens)
