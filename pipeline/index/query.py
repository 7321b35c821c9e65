"""A query as a vector, by the encoder that made the vectors it is compared with.

A line of text must not wait for torch and Transformers, which take several seconds to import: so MiniLM's forward pass
for one text is written out here in NumPy. It reads the same weights, and agrees with the other to rounding.
"""

from collections.abc import Iterable
from math import erf, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.errors import ConfigError, DataError
from pipeline.measure.config import EmbedConfig
from pipeline.measure.open_clip_encoder import OpenClip, is_open_clip
from pipeline.measure.text_encoder import LONGEST, weights_folder

if TYPE_CHECKING:
    import numpy as np

    from pipeline.measure.embed import Encoder

MASK = 1e-9  # keeps a length from being zero


def text_vector(text: str, made_by: dict[str, Any]) -> "np.ndarray":
    """Return the (dim,) unit vector of a text.

    Args:
        made_by: header of the caption embeddings.

    Raises:
        ConfigError: the encoder cannot be had here.
        DataError: the encoder that is installed is not the one that made the embeddings.
    """
    if is_open_clip(made_by["encoder"]):
        encoder = OpenClip(made_by["encoder"])
        _check_identity(encoder.identity, made_by)
        return encoder.encode_texts([text])[0]
    own = {"weights_sha256": files.sha256_file(weights_folder() / "model.safetensors"), "longest": LONGEST}
    _check_identity(own, made_by)
    return minilm_vector(text)


def picture_vector(path: Path, made_by: dict[str, Any]) -> "np.ndarray":
    """Return the (dim,) unit vector of a picture file.

    Args:
        made_by: header of the picture embeddings.

    Raises:
        ConfigError: the file is missing or no picture, or the encoder cannot be had here.
        DataError: the encoder that is installed is not the one that made the embeddings.
    """
    import numpy as np

    from pipeline.measure.embed import stretched
    from pipeline.shards.picture import PictureError, decode_rgb

    try:
        picture = decode_rgb(path.read_bytes())
    except (OSError, PictureError) as error:
        raise ConfigError(f"{path} cannot be used as a picture: {error}") from None
    encoder = _picture_encoder(made_by)
    _check_identity(encoder.identity, made_by)
    return encoder.encode_images(np.stack([stretched(picture, encoder.image_size)]))[0]


def minilm_vector(text: str) -> "np.ndarray":
    """Return the (384,) vector of a text as `pipeline.measure.text_encoder.MiniLM` gives it, to 1e-5.

    The weights are those of a BERT encoder (Devlin et al., 2019): post-norm layers, learned positions, exact GELU.

    Raises:
        ConfigError: the weights are not installed.
    """
    import numpy as np
    from safetensors import safe_open
    from tokenizers import Tokenizer

    folder = weights_folder()
    config = files.read_json(folder / "config.json")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(LONGEST)
    tokenizer.no_padding()
    tokens = tokenizer.encode(text).ids
    with safe_open(folder / "model.safetensors", "numpy") as weights:
        part = _Weights(weights, config["layer_norm_eps"])
        words = part.rows("embeddings.word_embeddings.weight", tokens)
        places = part.rows("embeddings.position_embeddings.weight", range(len(tokens)))
        kinds = part.rows("embeddings.token_type_embeddings.weight", [0])
        states = part.norm("embeddings.LayerNorm", words + places + kinds)
        for layer in range(config["num_hidden_layers"]):
            states = _layer(part, f"encoder.layer.{layer}", states, config["num_attention_heads"])
    pooled = states.mean(axis=0)
    return (pooled / max(float(np.linalg.norm(pooled)), MASK)).astype(np.float32)


class _Weights:
    """The tensors of a BERT encoder by name, and what its layers do with them."""

    def __init__(self, tensors: Any, epsilon: float) -> None:
        self._tensors = tensors
        self._epsilon = epsilon

    def __call__(self, name: str) -> "np.ndarray":
        tensor: np.ndarray = self._tensors.get_tensor(name)
        return tensor

    def rows(self, name: str, rows: Iterable[int]) -> "np.ndarray":
        """Return some rows of a tensor, without reading the others."""
        import numpy as np

        tensor = self._tensors.get_slice(name)
        return np.concatenate([tensor[row : row + 1] for row in rows])

    def dense(self, name: str, states: "np.ndarray") -> "np.ndarray":
        return states @ self(f"{name}.weight").T + self(f"{name}.bias")

    def norm(self, name: str, states: "np.ndarray") -> "np.ndarray":
        import numpy as np

        centred = states - states.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self._epsilon)
        return scaled * self(f"{name}.weight") + self(f"{name}.bias")


def _layer(part: _Weights, name: str, states: "np.ndarray", heads: int) -> "np.ndarray":
    """Return (T, dim) states after one layer: attention among the tokens, then a feed-forward part."""
    import numpy as np

    length, dim = states.shape
    query, key, value = (
        part.dense(f"{name}.attention.self.{each}", states).reshape(length, heads, -1).swapaxes(0, 1)
        for each in ("query", "key", "value")
    )
    logits = query @ key.swapaxes(1, 2) / sqrt(dim / heads)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    mixed = (weights @ value).swapaxes(0, 1).reshape(length, dim)
    attended = part.dense(f"{name}.attention.output.dense", mixed)
    states = part.norm(f"{name}.attention.output.LayerNorm", states + attended)
    inner = part.dense(f"{name}.intermediate.dense", states)
    inner = inner * (1 + np.vectorize(erf, otypes=[np.float32])(inner / sqrt(2))) / 2
    return part.norm(f"{name}.output.LayerNorm", states + part.dense(f"{name}.output.dense", inner))


def _picture_encoder(made_by: dict[str, Any]) -> "Encoder":
    from pipeline.measure.measure import image_encoder

    size = {} if is_open_clip(made_by["encoder"]) else {"image_size": made_by["image_size"]}
    return image_encoder(EmbedConfig(encoder=made_by["encoder"], **size))


def _check_identity(own: dict[str, Any], made_by: dict[str, Any]) -> None:
    """Raise where an encoder is not the one that made some embeddings.

    Raises:
        DataError: naming what differs.
    """
    if other := sorted(key for key, value in own.items() if made_by.get(key) != value):
        raise DataError(
            f"the encoder {made_by['encoder']} here is not the one that made the index ({', '.join(other)} differ); "
            "run the recipe again, or install what it names in embeddings/"
        )
