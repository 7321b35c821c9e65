"""Trainings that are killed, poisoned and compared, for the tests of the trainer."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from essen.config import ModelConfig, TrainConfig
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


def logged(out: Path, name: str = "tiny") -> list[dict[str, Any]]:
    """Return the lines of a trained model's log."""
    return [json.loads(line) for line in (out / "models" / name / "metrics.jsonl").read_text().splitlines()]


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


def train_with_sigkills(model: ModelConfig, training: TrainConfig, stages: Path, out: Path, seed: int) -> None:
    """Train in processes of their own, of which the first two are killed a moment after a new checkpoint."""
    texts = model.model_dump_json(), training.model_dump_json()
    command = [sys.executable, "-c", SCRIPT, *texts, str(stages), str(out)]
    moments, newest = random.Random(seed), ""  # noqa: S311
    for _ in range(2):
        process = subprocess.Popen(command)
        while process.poll() is None and max(checkpoints(out), default="") <= newest:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        assert process.wait() in (-signal.SIGKILL, 0)
        newest = max(checkpoints(out), default="")
    subprocess.run(command, check=True)


def start_two(script: str, *arguments: str) -> "subprocess.Popen[str]":
    """Start two processes of torchrun that do a script."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={port}", "--no-python"]
    command = [sys.executable, *torchrun, sys.executable, "-c", script, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, text=True, stderr=subprocess.PIPE, env=environment, start_new_session=True)


def train_in_two(model: ModelConfig, training: TrainConfig, stages: Path, out: Path) -> None:
    """Train in two processes."""
    process = start_two(SCRIPT, model.model_dump_json(), training.model_dump_json(), str(stages), str(out))
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def poison(monkeypatch: pytest.MonkeyPatch, bad_steps: range) -> None:
    """Let the real picture tower see a picture that is no number, at some calls."""
    encode, calls = Essen.encode_images, iter(range(10**6))

    def encode_images(model: Essen, pixels: torch.Tensor):  # type: ignore[no-untyped-def]
        return encode(model, pixels * float("nan") if next(calls) in bad_steps else pixels)

    monkeypatch.setattr(Essen, "encode_images", encode_images)
