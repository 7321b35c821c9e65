"""What the models answer when a sampler asks: logits between pictures and captions, as they are stored."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from essen.data import Pairs, Pictures
from essen.export import load_model
from essen.model import Essen
from essen.sampling.sampler import Logits, Rows

CHUNK = 256  # pictures or captions at once


@dataclass(frozen=True, slots=True)
class Reference:
    """A trained model's view of all training rows, computed once.

    Attributes:
        images: (pictures, E) float32, row `Pairs.image_of`.
        captions: (captions, E) float32, row `Pairs.caption_of`.
        scale: 1/τ.
    """

    images: Tensor
    captions: Tensor
    scale: float

    def logits(self, pairs: Pairs, rows: Rows) -> Logits:
        """Return the logits (n, n) of some rows, pictures by captions."""
        images = self.images[torch.from_numpy(pairs.image_of[rows])]
        captions = self.captions[torch.from_numpy(pairs.caption_of[rows])]
        logits: Logits = (self.scale * images @ captions.T).numpy()
        return logits


@torch.inference_mode()
def read_reference(folder: Path, pairs: Pairs, pictures: Pictures, *, bf16: bool) -> Reference:
    """Return a model's view of all pairs; each picture and each caption is encoded once.

    Raises:
        EssenError: the folder holds no sound model.
    """
    model, tokenizer = load_model(folder)
    image_row = np.unique(pairs.image_of, return_index=True)[1]
    caption_row = np.unique(pairs.caption_of, return_index=True)[1]
    ids, mask = tokenizer.encode([pairs.captions[row] for row in caption_row], model.config.text.max_length)
    with precision(bf16):
        images = [
            model.encode_images(pictures.load(image_row[start : start + CHUNK])).embedding
            for start in range(0, len(image_row), CHUNK)
        ]
    return Reference(torch.cat(images), _encode_texts(model, ids, mask, bf16), model.logit_scale.exp().item())


@torch.inference_mode()
def learner_logits(model: Essen, pixels: Tensor, ids: Tensor, mask: Tensor, *, bf16: bool) -> Logits:
    """Return the logits (n, n) of the model that is being trained, pictures by captions.

    It answers in evaluation mode, on pictures without augmentation, and is left in training mode, unchanged.

    Args:
        model: the model.
        pixels: (n, 3, H, W) uint8.
        ids, mask: (n, L) of the captions.
        bf16: whether to compute in bfloat16 where that is safe.
    """
    model.eval()
    with precision(bf16):
        images = torch.cat([model.encode_images(part).embedding for part in pixels.split(CHUNK)])
    logits: Logits = (model.logit_scale.exp() * images @ _encode_texts(model, ids, mask, bf16).T).numpy()
    model.train()
    return logits


def _encode_texts(model: Essen, ids: Tensor, mask: Tensor, bf16: bool) -> Tensor:
    with precision(bf16):
        parts = zip(ids.split(CHUNK), mask.split(CHUNK), strict=True)
        return torch.cat([model.encode_texts(*part).embedding for part in parts])


def precision(bf16: bool) -> contextlib.AbstractContextManager[object]:
    """Return the context in which the towers compute."""
    return torch.autocast("cpu", torch.bfloat16, enabled=bf16)
