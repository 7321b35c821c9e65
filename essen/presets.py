"""Named model configurations, as plain values that `essen.config.ModelConfig` reads. Light to import.

Up to ``essen-small`` all towers are the project's own and start from random weights. ``essen-released`` has the towers
of the model that the authors released (`bsu-slim/essen`): EfficientNet-B2 and ELECTRA-small, both pretrained; the width
and depth of its fusion module are not published, 6×256 is the default of Renaissance, the code that it is built on.
"""

from collections.abc import Mapping
from typing import Any

ELECTRA_SMALL: Mapping[str, Any] = {
    "model_type": "electra",
    "vocab_size": 30522,
    "embedding_size": 128,
    "hidden_size": 256,
    "num_hidden_layers": 12,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "max_position_embeddings": 512,
}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "essen-nano": {},
    "essen-micro": {
        "image_size": 64,
        "vision": {"stem": 2, "widths": (40, 80, 160, 320), "blocks": (1, 1, 1, 1)},
        "text": {"width": 160, "layers": 3, "heads": 4},
        "fusion": {"width": 160, "layers": 2, "heads": 4},
    },
    "essen-tiny": {
        "image_size": 96,
        "vision": {"stem": 2, "widths": (48, 96, 192, 384), "blocks": (1, 1, 2, 1)},
        "text": {"width": 256, "layers": 4, "heads": 4},
        "fusion": {"width": 192, "layers": 3, "heads": 4},
    },
    "essen-small": {
        "image_size": 128,
        "embedding_size": 384,
        "vision": {"stem": 2, "widths": (64, 128, 256, 512), "blocks": (1, 1, 2, 1)},
        "text": {"vocab_size": 8000, "max_length": 50, "width": 256, "layers": 6, "heads": 4},
        "fusion": {"width": 256, "layers": 4, "heads": 4},
    },
    "essen-released": {
        "image_size": 224,
        "dropout": 0.1,
        "vision": {"kind": "timm", "backbone": "tf_efficientnet_b2", "weights": "timm/tf_efficientnet_b2.in1k"},
        "text": {
            "kind": "transformers",
            "weights": "google/electra-small-discriminator",
            "architecture": ELECTRA_SMALL,
            "max_length": 50,
        },
        "fusion": {"width": 256, "layers": 6, "heads": 4},
    },
}


def resolve_preset(values: Any) -> Any:
    """Return a model's values with its preset written out; anything else as it is.

    Args:
        values: the name of a preset, or a mapping that may hold one as ``preset`` and values to lay over it. A part
            (``vision``, ``text``, ``fusion``) that names another ``kind`` than the preset's takes its place as a whole.

    Raises:
        ValueError: there is no such preset.
    """
    if isinstance(values, str):
        values = {"preset": values}
    if not isinstance(values, Mapping) or "preset" not in values:
        return values
    own = dict(values)
    name = own.pop("preset")
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name}; the presets are {', '.join(PRESETS)}")
    merged = {"name": name, **PRESETS[name]}
    for key, value in own.items():
        merged[key] = _laid_over(merged.get(key), value)
    return merged


def _laid_over(usual: Any, value: Any) -> Any:
    if not isinstance(usual, Mapping) or not isinstance(value, Mapping):
        return value
    other_kind = "kind" in value and value["kind"] != usual.get("kind")
    return value if other_kind else {**usual, **value}
