"""How far an exported model's numbers are from the model's own."""

from typing import Protocol

import torch
from torch import Tensor

from essen.config import ModelConfig
from essen.model import ImageFeatures, TextFeatures

BATCHES = tuple(range(1, 9))
TOLERANCE = 1e-4
SEED = 0


class PairModel(Protocol):
    """What `essen.model.Essen` and its exported forms have in common."""

    config: ModelConfig

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """Return the features of pictures."""

    def encode_texts(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """Return the features of captions."""

    def match(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """Return the logits of pairs."""


@torch.inference_mode()
def largest_difference(model: PairModel, other: PairModel, vocab_size: int) -> dict[str, float]:
    """Return the largest differences between two models over batches of 1 to 8 pairs.

    Pictures are noise; captions are random word pieces of every length up to the model's, padded in their batch.

    Args:
        model, other: of one configuration.
        vocab_size: word pieces of their tokenizer.

    Returns:
        ``image``, ``text`` and ``match``: of an entry of the embeddings, and of a logit.
    """
    generator = torch.Generator().manual_seed(SEED)
    size, longest = model.config.image_size, model.config.text.max_length
    worst = dict.fromkeys(("image", "text", "match"), 0.0)
    for batch in BATCHES:
        pixels = torch.rand(batch, 3, size, size, generator=generator)
        lengths = torch.randint(1, longest + 1, (batch,), generator=generator)
        ids = torch.randint(0, vocab_size, (batch, int(lengths.max())), generator=generator)
        mask = torch.arange(ids.shape[1]) < lengths[:, None]
        results = []
        for each in (model, other):
            images, texts = each.encode_images(pixels), each.encode_texts(ids, mask)
            results.append((images.embedding, texts.embedding, each.match(images, texts)))
        for name, one, two in zip(worst, *results, strict=True):
            worst[name] = max(worst[name], float((one - two).abs().max()))
    return worst
