"""Models of both kinds, small and untrained, and an encoder that knows colours, so that its scores are known too."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from essen.config import ModelConfig, ScoreConfig
from essen.evaluate.encoders import Vectors, cosines, joined
from essen.export import save_model
from essen.model import build_model
from essen.tokenizer import train_tokenizer

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


class ColourEncoder:
    """Sees the mean colour of a picture, and of a text the first colour that it names."""

    name, kind, image_size, parameters, weights_sha256, fuses = "colours", "essen", 8, 0, "", False

    def encode_images(self, pixels: torch.Tensor) -> Vectors:
        return Vectors(F.normalize(pixels.float().mean(dim=(2, 3)), dim=-1))

    def encode_texts(self, captions: Sequence[str]) -> Vectors:
        named = [
            next((COLOURS[word] for word in text.split() if word in COLOURS), (255, 255, 255)) for text in captions
        ]
        return Vectors(F.normalize(torch.tensor(named).float(), dim=-1))

    def match(self, texts: Vectors, images: Vectors, text_rows: Any, image_rows: Any) -> Any:
        return cosines(texts, images, text_rows, image_rows)

    def fused(self, texts: Vectors, images: Vectors, text_rows: Any, image_rows: Any) -> torch.Tensor:
        return joined(texts, images, text_rows, image_rows)


@pytest.fixture(scope="session")
def colours() -> ColourEncoder:
    return ColourEncoder()


@pytest.fixture(scope="session")
def quick() -> ScoreConfig:
    return ScoreConfig(resamples=200, precision="fp32", batch_size=16)


@pytest.fixture(scope="session")
def paint() -> Callable[..., str]:
    """A function that writes a picture of one colour, slightly off it, and returns its name."""

    def write(folder: Path, colour: str, number: int = 0, size: tuple[int, int] = (12, 12)) -> str:
        rng = np.random.default_rng(number)
        pixels = np.clip(np.array(COLOURS[colour]) + rng.integers(-20, 20, (*size[::-1], 3)), 0, 255).astype(np.uint8)
        name = f"{colour}-{number}.png"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
        return name

    return write


@pytest.fixture(scope="session")
def own_model(tiny_model: ModelConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model of this project with random weights."""
    folder = tmp_path_factory.mktemp("own") / "model"
    tokenizer = train_tokenizer(["red circle", "blue square", "green line", "white"], 100)
    save_model(build_model(tiny_model, tokenizer.vocab_size, seed=1), tokenizer, tiny_model, folder)
    return folder


@pytest.fixture(scope="session")
def open_clip_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an open_clip model with random weights."""
    import open_clip
    import safetensors.torch

    folder = tmp_path_factory.mktemp("open") / "clip"
    folder.mkdir()
    shape = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "patch_size": 16, "width": 32, "layers": 1, "head_width": 16},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = open_clip.CLIP(**shape)
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    safetensors.torch.save_file(weights, folder / "open_clip_model.safetensors")
    mean = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": shape, "preprocess_cfg": mean}))
    return folder
