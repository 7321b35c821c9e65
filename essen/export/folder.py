"""A trained model as a folder: ``config.json``, ``tokenizer.json``, ``model.safetensors``."""

from pathlib import Path

import pydantic
import safetensors
import safetensors.torch
from torch import Tensor

from essen.config import ModelConfig
from essen.errors import EssenError
from essen.model import Essen, build_model
from essen.tokenizer import CaptionTokenizer, load_tokenizer, save_tokenizer
from pipeline import files

FORMAT = "essen-model/1"


def save_model(model: Essen, tokenizer: CaptionTokenizer, config: ModelConfig, folder: Path) -> None:
    """Write a model's folder, each file atomically, the weights last; equal models give equal bytes."""
    complete = config.model_copy(update={"text": model.config.text})
    files.write_json(folder / "config.json", {"format": FORMAT, "model": complete.model_dump(mode="json")})
    save_tokenizer(tokenizer, folder / "tokenizer.json")
    files.write_bytes(folder / "model.safetensors", weights_bytes(model.state_dict(), {"format": "pt"}))


def load_model(folder: Path) -> tuple[Essen, CaptionTokenizer]:
    """Read a model's folder; the model is in evaluation mode.

    Raises:
        EssenError: a file is missing, damaged or does not fit the others.
    """
    config = _read_config(folder / "config.json")
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    model = build_model(config, tokenizer.vocab_size, seed=0, pretrained=False)
    path = folder / "model.safetensors"
    try:
        model.load_state_dict(safetensors.torch.load_file(path))
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise EssenError(f"{path} does not hold this model's weights ({reason}); restore it or train again") from None
    return model.eval(), tokenizer


def weights_bytes(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """Return tensors in the safetensors format; what does not lie in memory in order is copied."""
    return safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata)


def _read_config(path: Path) -> ModelConfig:
    if not path.is_file():
        raise EssenError(f"{path} is missing; name the folder of a trained model")
    try:
        content = files.read_json(path)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise EssenError(f"{path} is not of the format {FORMAT}; name the folder of a model of this project")
        return ModelConfig.model_validate(content["model"])
    except (ValueError, KeyError, pydantic.ValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise EssenError(f"{path} is damaged ({reason}); restore it or train again") from None
