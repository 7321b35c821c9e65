"""An open_clip model as encoder: parity with open_clip itself, from a folder, and the errors of a wrong name."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.measure.config import EmbedConfig
from pipeline.measure.open_clip_encoder import OpenClip, open_clip_identity

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with random weights, saved as open_clip saves its own."""
    import torch
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    place = tmp_path_factory.mktemp("open clip")
    torch.manual_seed(0)
    model = CLIP(MODEL["embed_dim"], MODEL["vision_cfg"], MODEL["text_cfg"])
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()},
        place / "open_clip_model.safetensors",
    )
    config = {"model_cfg": MODEL, "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}}
    (place / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    return place


def test_vectors_are_those_of_open_clip(folder: Path) -> None:
    import open_clip
    import torch
    from PIL import Image

    encoder = OpenClip(f"open_clip:local-dir:{folder}", batch_size=2)
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    model.eval()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    with torch.inference_mode():
        images = model.encode_image(torch.stack([preprocess(Image.fromarray(each)) for each in pixels]), normalize=True)
        texts = model.encode_text(
            open_clip.get_tokenizer(f"local-dir:{folder}")(["a cat", "dogs", "hen"]), normalize=True
        )
    assert (encoder.dim, encoder.image_size) == (16, 32)
    assert encoder.encode_images(pixels) == pytest.approx(images.numpy(), abs=1e-5)
    assert encoder.encode_texts(["a cat", "dogs", "hen"]) == pytest.approx(texts.numpy(), abs=1e-5)


def test_the_identity_changes_with_the_weights(folder: Path) -> None:
    before = open_clip_identity(f"open_clip:local-dir:{folder}")
    weights = folder / "open_clip_model.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    assert open_clip_identity(f"open_clip:local-dir:{folder}") != before
    weights.write_bytes(kept)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("open_clip:ViT-B-32", "names no weights"),
        ("open_clip:ViT-B-Q:openai", "no model ViT-B-Q"),
        ("open_clip:local-dir:/no/such/folder", "no open_clip_config.json"),
    ],
)
def test_a_wrong_name_is_told_in_one_line(spec: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        open_clip_identity(spec)


def test_captions_follow_the_pictures_model() -> None:
    spec = "open_clip:ViT-B-32:openai"
    config = EmbedConfig(encoder=spec, text_encoder=spec)
    assert (config.image_folder, config.text_folder) == ("open-clip-ViT-B-32-openai", "open-clip-ViT-B-32-openai-text")
    with pytest.raises(ValueError, match="same open_clip model"):
        EmbedConfig(text_encoder=spec)
