"""A folder that Transformers loads: ``AutoModel``, ``AutoTokenizer`` and ``AutoImageProcessor``, without this project.

``config.json`` and ``model.safetensors`` are at once those of `essen.export.folder`, so `load_model` reads it too.
"""

import json
from pathlib import Path
from typing import Any

from essen.config import ModelConfig
from essen.export.folder import FORMAT
from essen.export.source import self_contained
from essen.model import Essen
from essen.tokenizer import MASK, PAD, UNKNOWN, WRITTEN, CaptionTokenizer, save_tokenizer
from pipeline import files

MODELING, IMAGE_PROCESSING = "modeling_essen", "image_processing_essen"
# The code of towers that only some models have, with the kind of which they are.
OPTIONAL = {"timm": "essen.towers.backbone", "transformers": "essen.towers.pretrained"}


def write_hub_folder(model: Essen, tokenizer: CaptionTokenizer, weights: Path, folder: Path) -> list[Path]:
    """Write everything but a card; equal models give equal bytes.

    Args:
        model: as it was loaded.
        tokenizer: that belongs to it.
        weights: the file of its weights, copied as it is.
        folder: where the files go.
    """
    config = model.config
    code = {MODELING: "essen.export.modeling", IMAGE_PROCESSING: "essen.export.image_processing"}
    kinds = {config.vision.kind, config.text.kind}
    left_out = [module for kind, module in OPTIONAL.items() if kind not in kinds]
    for name, module in code.items():
        files.write_bytes(folder / f"{name}.py", self_contained(module, left_out).encode())
    files.write_json(folder / "config.json", _model_config(config, model.vocab_size))
    files.write_json(folder / "preprocessor_config.json", _image_config(config))
    files.write_json(folder / "tokenizer_config.json", _tokenizer_config(tokenizer, config))
    save_tokenizer(tokenizer, folder / "tokenizer.json")
    files.write_bytes(folder / "model.safetensors", weights.read_bytes())
    names = ["config", "preprocessor_config", "tokenizer_config", "tokenizer"]
    return [folder / name for name in (*(f"{name}.py" for name in code), *(f"{n}.json" for n in names), weights.name)]


def _model_config(config: ModelConfig, vocab_size: int) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "model": config.model_dump(mode="json"),
        "vocab_size": vocab_size,
        "model_type": "essen",
        "architectures": ["EssenModel"],
        "auto_map": {"AutoConfig": f"{MODELING}.EssenConfig", "AutoModel": f"{MODELING}.EssenModel"},
        "dtype": "float32",
    }


def _image_config(config: ModelConfig) -> dict[str, Any]:
    return {
        "image_processor_type": "EssenImageProcessor",
        "auto_map": {"AutoImageProcessor": f"{IMAGE_PROCESSING}.EssenImageProcessor"},
        "image_size": config.image_size,
    }


def _tokenizer_config(tokenizer: CaptionTokenizer, config: ModelConfig) -> dict[str, Any]:
    roles = {"pad_token": PAD, "unk_token": UNKNOWN, "mask_token": MASK}
    special = {token["content"] for token in json.loads(tokenizer.to_json())["added_tokens"]}
    written = {role: [text for text in WRITTEN[name] if text in special] for role, name in roles.items()}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": config.text.max_length,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **{role: found[0] for role, found in written.items() if found},
    }
