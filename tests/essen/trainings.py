"""Trainings that are killed, poisoned and compared, for the tests of the trainer."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from essen.model import Essen

FILES = ("config.json", "metrics.jsonl", "model.safetensors", "tokenizer.json")

# A training in a process of its own: model, training, stages and out.
SCRIPT = """
import sys
from pathlib import Path
from essen.config import ModelConfig, TrainConfig
from essen.train import train
model, training, stages, out = sys.argv[1:]
train(ModelConfig.model_validate_json(model), TrainConfig.model_validate_json(training), Path(stages), Path(out))
"""


def outcome(out: Path, name: str = "tiny") -> dict[str, bytes]:
    """Return the files of a trained model."""
    folder = out / "models" / name
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    return {name: (folder / name).read_bytes() for name in FILES}


class Killed(Exception):
    """Ends a training between two steps without any chance to tidy up."""


def killer(step: int) -> Callable[[int, dict[str, float]], None]:
    """Return a `report` that ends a training after a step."""

    def report(done: int, values: dict[str, float]) -> None:
        if done == step:
            raise Killed

    return report


def checkpoints(out: Path) -> list[str]:
    """Return the names of a training's checkpoints."""
    return sorted(path.name for path in (out / "training").glob("*.safetensors"))


def poison(monkeypatch: pytest.MonkeyPatch, bad_steps: range) -> None:
    """Let the real picture tower see a picture that is no number, at some calls."""
    encode, calls = Essen.encode_images, iter(range(10**6))

    def encode_images(model: Essen, pixels: torch.Tensor):  # type: ignore[no-untyped-def]
        return encode(model, pixels * float("nan") if next(calls) in bad_steps else pixels)

    monkeypatch.setattr(Essen, "encode_images", encode_images)
