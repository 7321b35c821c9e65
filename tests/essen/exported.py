"""Models of every kind, small enough to export in a test."""

from pathlib import Path

from essen.config import (
    BackboneConfig,
    FusionConfig,
    JointConfig,
    ModelConfig,
    NoFusionConfig,
    PatchConfig,
    PretrainedTextConfig,
    ShallowConfig,
    TextConfig,
    VisionConfig,
)
from essen.export import save_model
from essen.model import build_model
from essen.tokenizer import train_tokenizer

CAPTIONS = (
    "red dog",
    "blue cat",
    "a green circle over two lines",
    "été 🐕!",
    "one two three four five six seven eight nine",
)
OWN_TEXT = TextConfig(vocab_size=300, max_length=8, width=16, layers=1, heads=2)
FUSION = FusionConfig(width=16, layers=1, heads=2)
ELECTRA = PretrainedTextConfig(
    kind="transformers",
    max_length=8,
    architecture={
        "model_type": "electra",
        "vocab_size": 300,
        "embedding_size": 8,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 16,
    },
)


def patches(layers: int, pool: str) -> PatchConfig:
    return PatchConfig.model_validate(
        {"kind": "patch", "patch": 8, "width": 16, "layers": layers, "heads": 2, "pool": pool}
    )


def config(**parts: object) -> ModelConfig:
    vision = VisionConfig(widths=(8, 16), blocks=(1, 1), layers=1, heads=2)
    usual = {"name": "tiny", "image_size": 32, "embedding_size": 32, "dropout": 0.1}
    return ModelConfig.model_validate({**usual, "vision": vision, "text": OWN_TEXT, "fusion": FUSION, **parts})


KINDS = {
    "convolutions": config(),
    "patches": config(vision=patches(1, "class"), fusion=FusionConfig(kind="meter", width=16, heads=2, norm="post")),
    "one tower": config(
        towers="one",
        vision=patches(0, "mean"),
        text=OWN_TEXT.model_copy(update={"layers": 0}),
        fusion=FusionConfig(kind="concat", width=16, heads=2),
    ),
    "joint": config(
        vision=patches(1, "mean"), fusion=JointConfig(kind="joint", latents=4, width=16, layers=2, heads=2)
    ),
    "pretrained": config(
        vision=BackboneConfig(kind="timm", backbone="test_efficientnet"),
        text=ELECTRA,
        fusion=ShallowConfig(kind="mlp", width=16),
    ),
    "no fusion": config(vision=patches(1, "class"), text=ELECTRA, fusion=NoFusionConfig(kind="none")),
}


def save_kind(kind: str, folder: Path) -> None:
    """Save a model of a kind with random weights."""
    save_config(KINDS[kind], folder)


def save_config(config: ModelConfig, folder: Path) -> None:
    """Save a model with random weights."""
    tokenizer = train_tokenizer(CAPTIONS, 300)
    save_model(build_model(config, tokenizer.vocab_size, seed=3), tokenizer, config, folder)
