"""What is scored: a model of this project or any of open_clip's, behind one interface.

A model is named by its folder, or by ``open_clip:NAME[@WEIGHTS]``: a name of open_clip's list with a file or tag of
weights (without: random ones), or the path of a folder that holds ``open_clip_config.json``.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from essen.computing import uses_bf16
from essen.config import FusionConfig, JointConfig, NoFusionConfig, ScoringConfig, ShallowConfig
from essen.errors import EssenError
from essen.evaluate.retrieval import Ints
from essen.export import load_model
from essen.model import Essen, ImageFeatures, TextFeatures
from essen.tokenizer import CaptionTokenizer
from essen.towers.transformer import masked_mean
from pipeline import files

OPEN_CLIP = "open_clip:"
LOCAL = "local-dir:"


class Features(Protocol):
    """Features of N pictures or captions; what else they hold is their encoder's affair."""

    @property
    def embedding(self) -> Tensor:
        """(N, E) float32 of unit length."""

    def take(self, rows: Tensor) -> Self:
        """Return the features of some rows, (R,) int64."""


class Vectors(NamedTuple):
    """Features that are one vector each: `embedding` (N, E) float32 of unit length."""

    embedding: Tensor

    def take(self, rows: Tensor) -> "Vectors":
        """Return the features of some rows, (R,) int64."""
        return Vectors(self.embedding.index_select(0, rows))


class Encoder(Protocol):
    """A model that can be scored.

    Attributes:
        name: as a person knows it, without a path.
        kind: ``essen`` or ``open_clip``.
        image_size: side of the pictures that it takes, pixels.
        parameters: number of weights.
        weights_sha256: of the file of weights; empty for random ones and for tags.
        fuses: whether `match` knows more than the two vectors of a pair.
    """

    name: str
    kind: str
    image_size: int
    parameters: int
    weights_sha256: str
    fuses: bool

    def encode_images(self, pixels: Tensor) -> Features:
        """Return the features of pictures, (N, 3, S, S) uint8."""

    def encode_texts(self, captions: Sequence[str]) -> Features:
        """Return the features of captions."""

    # What pairs are made of is what the same encoder returned.
    def match(self, texts: Any, images: Any, text_rows: Ints, image_rows: Ints) -> NDArray[np.float32]:
        """Return (P,) logits that text and picture of each of P pairs of rows belong together."""

    def fused(self, texts: Any, images: Any, text_rows: Ints, image_rows: Ints) -> Tensor:
        """Return (P, F) float32 features of pairs of rows."""


class EssenEncoder:
    """A model of this project; attributes as in `Encoder`."""

    kind = "essen"

    def __init__(
        self, model: Essen, tokenizer: CaptionTokenizer, batch_size: int, bf16: bool, weights_sha256: str = ""
    ) -> None:
        """Put the model in evaluation mode."""
        self._model, self._tokenizer = model.eval(), tokenizer
        self._batch_size, self._bf16 = batch_size, bf16
        self.name = model.config.name
        self.image_size = model.config.image_size
        self.parameters = count_parameters(model)
        self.weights_sha256 = weights_sha256
        self.fuses = not isinstance(model.config.fusion, NoFusionConfig)

    @torch.inference_mode()
    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """Return the features of pictures, (N, 3, S, S) uint8."""
        with autocast(self._bf16):
            parts = [self._model.encode_images(batch) for batch in pixels.split(self._batch_size)]
        return ImageFeatures(*(torch.cat(part) for part in zip(*parts, strict=True)))

    @torch.inference_mode()
    def encode_texts(self, captions: Sequence[str]) -> TextFeatures:
        """Return the features of captions."""
        ids, mask = self._tokenizer.encode(captions, self._model.config.text.max_length)
        batches = zip(ids.split(self._batch_size), mask.split(self._batch_size), strict=True)
        with autocast(self._bf16):
            parts = [self._model.encode_texts(*batch) for batch in batches]
        return TextFeatures(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def match(
        self, texts: TextFeatures, images: ImageFeatures, text_rows: Ints, image_rows: Ints
    ) -> NDArray[np.float32]:
        """Return the fusion module's logits (P,) that text and picture of each of P pairs of rows belong together."""
        if isinstance(self._model.config.fusion, ShallowConfig):
            texts, images = _pooled(texts, images)
        logits: NDArray[np.float32] = self._pairs(self._match, texts, images, text_rows, image_rows).numpy()
        return logits

    def fused(self, texts: TextFeatures, images: ImageFeatures, text_rows: Ints, image_rows: Ints) -> Tensor:
        """Return (P, 2h) the means of both token streams after fusion, or `joined` where tokens are not fused."""
        if not isinstance(self._model.config.fusion, FusionConfig | JointConfig):
            return joined(texts, images, text_rows, image_rows)
        return self._pairs(self._fuse, texts, images, text_rows, image_rows)

    def _match(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        return self._model.match(images, texts)

    def _fuse(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        streams = self._model.fuse(images, texts)
        return torch.cat([masked_mean(streams.text, texts.mask), streams.image.mean(1)], dim=-1)

    @torch.inference_mode()
    def _pairs(
        self, function: Any, texts: TextFeatures, images: ImageFeatures, text_rows: Ints, image_rows: Ints
    ) -> Tensor:
        """Return a function of pairs in their order; texts of like length go together: little padding to compute."""
        lengths = texts.mask.sum(dim=1).numpy()
        order = np.argsort(lengths[text_rows], kind="stable")
        parts = []
        for start in range(0, len(order), self._batch_size):
            pairs = order[start : start + self._batch_size]
            longest = int(lengths[text_rows[pairs[-1]]])
            embedding, tokens, mask = texts.take(torch.from_numpy(text_rows[pairs]))
            cut = TextFeatures(embedding, tokens[:, :longest], mask[:, :longest])
            with autocast(self._bf16):
                parts.append(function(images.take(torch.from_numpy(image_rows[pairs])), cut).float())
        return torch.cat(parts)[torch.from_numpy(np.argsort(order, kind="stable"))]


def _pooled(texts: TextFeatures, images: ImageFeatures) -> tuple[TextFeatures, ImageFeatures]:
    """Return features whose one token is the mean of all: what a shallow fusion sees of them, once for all pairs."""
    mean = masked_mean(texts.tokens, texts.mask)[:, None]
    return (
        TextFeatures(texts.embedding, mean, texts.mask.new_ones(mean.shape[:2])),
        ImageFeatures(images.embedding, images.tokens.mean(1, keepdim=True)),
    )


class OpenClipEncoder:
    """A model of open_clip's, two towers without fusion; attributes as in `Encoder`."""

    kind = "open_clip"
    fuses = False

    def __init__(self, spec: str, config: ScoringConfig) -> None:
        """Load a model, or make one with random weights that depend on the seed alone.

        Args:
            spec: what follows ``open_clip:``.
            config: batch size, precision and seed.

        Raises:
            EssenError: there is no such model, or its weights cannot be had.
        """
        import open_clip

        name, _, weights = spec.partition("@")
        folder = Path(name.removeprefix(LOCAL))
        if folder.is_dir():
            name = f"{LOCAL}{folder}"
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed)
                model = open_clip.create_model(name, pretrained=weights or None, weights_only=True)
            self._tokenize = open_clip.get_tokenizer(name)
        except Exception as error:  # noqa: BLE001 - open_clip, its hub and its parsers raise classes of their own
            reason = " ".join(str(error).split())[:200]
            raise EssenError(
                f"{OPEN_CLIP}{spec} cannot be loaded ({reason}); see open_clip.list_pretrained()"
            ) from None
        self._model = model.eval()
        self._batch_size, self._bf16 = config.batch_size, uses_bf16(config.precision)
        size = model.visual.image_size
        shown = f"{name}@{Path(weights).name}" if weights else name
        self.name = OPEN_CLIP + (folder.resolve().name if folder.is_dir() else shown)
        self.image_size = int(size[0] if isinstance(size, tuple) else size)
        self.parameters = count_parameters(model)
        self.weights_sha256 = _open_clip_sha256(folder, weights)
        self._mean, self._deviation = (
            torch.tensor(values).view(1, 3, 1, 1) for values in (model.visual.image_mean, model.visual.image_std)
        )

    @torch.inference_mode()
    def encode_images(self, pixels: Tensor) -> Vectors:
        """Return the features of pictures, (N, 3, S, S) uint8."""
        parts = []
        for batch in pixels.split(self._batch_size):
            with autocast(self._bf16):
                vectors = self._model.encode_image((batch.float() / 255 - self._mean) / self._deviation)
            parts.append(F.normalize(vectors.float(), dim=-1))
        return Vectors(torch.cat(parts))

    @torch.inference_mode()
    def encode_texts(self, captions: Sequence[str]) -> Vectors:
        """Return the features of captions."""
        parts = []
        for start in range(0, len(captions), self._batch_size):
            ids = self._tokenize(list(captions[start : start + self._batch_size]))
            with autocast(self._bf16):
                vectors = self._model.encode_text(ids)
            parts.append(F.normalize(vectors.float(), dim=-1))
        return Vectors(torch.cat(parts))

    def match(self, texts: Vectors, images: Vectors, text_rows: Ints, image_rows: Ints) -> NDArray[np.float32]:
        """Return the cosines (P,) of pairs of rows: two towers know no more."""
        return cosines(texts, images, text_rows, image_rows)

    def fused(self, texts: Vectors, images: Vectors, text_rows: Ints, image_rows: Ints) -> Tensor:
        """Return `joined` features: two towers know no more."""
        return joined(texts, images, text_rows, image_rows)


def load_encoder(spec: str, config: ScoringConfig) -> Encoder:
    """Load what a person named; see the module's text for the forms.

    Raises:
        EssenError: there is no such model, or it cannot be read.
    """
    if spec.startswith(OPEN_CLIP):
        return OpenClipEncoder(spec.removeprefix(OPEN_CLIP), config)
    folder = Path(spec)
    if not folder.is_dir():
        raise EssenError(
            f"{spec} is no folder of a trained model; for one of open_clip's write {OPEN_CLIP}NAME@WEIGHTS"
        )
    model, tokenizer = load_model(folder)
    weights = files.sha256_file(folder / "model.safetensors")
    return EssenEncoder(model, tokenizer, config.batch_size, uses_bf16(config.precision), weights)


def cosines(texts: Features, images: Features, text_rows: Ints, image_rows: Ints) -> NDArray[np.float32]:
    """Return the cosine (P,) of the two vectors of each of P pairs of rows."""
    left = texts.embedding.index_select(0, torch.from_numpy(text_rows))
    right = images.embedding.index_select(0, torch.from_numpy(image_rows))
    result: NDArray[np.float32] = (left.float() * right.float()).sum(dim=1).numpy()
    return result


def joined(texts: Features, images: Features, text_rows: Ints, image_rows: Ints) -> Tensor:
    """Return (P, 3E) both vectors of each of P pairs of rows and their product, entry by entry."""
    left = texts.embedding.index_select(0, torch.from_numpy(text_rows)).float()
    right = images.embedding.index_select(0, torch.from_numpy(image_rows)).float()
    # Unit vectors have entries of 1/√E, their product of 1/E: brought to one scale.
    return torch.cat([left, right, left * right * left.shape[1] ** 0.5], dim=1)


def similarities(texts: Features, images: Features) -> NDArray[np.float32]:
    """Return the cosines (T, I) of all captions and pictures."""
    result: NDArray[np.float32] = (texts.embedding.float() @ images.embedding.float().T).numpy()
    return result


def count_parameters(model: nn.Module) -> int:
    """Return the number of a model's weights."""
    return sum(parameter.numel() for parameter in model.parameters())


def autocast(bf16: bool) -> contextlib.AbstractContextManager[object]:
    """Return the context in which matrix products are computed in bfloat16, or in full precision."""
    return torch.autocast("cpu", dtype=torch.bfloat16) if bf16 else contextlib.nullcontext()


def _open_clip_sha256(folder: Path, weights: str) -> str:
    candidates = [folder / "open_clip_model.safetensors", folder / "open_clip_pytorch_model.bin"]
    found = [path for path in (Path(weights), *candidates) if path.is_file()]
    return files.sha256_file(found[0]) if found else ""
