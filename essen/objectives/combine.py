"""All objectives of one batch: each switched and weighted by the configuration, each reported by itself."""

import contextlib
from typing import NamedTuple

import torch
from torch import Tensor

from essen.config import ObjectiveConfig
from essen.model import Essen, ImageFeatures, TextFeatures
from essen.objectives.contrastive import contrastive_loss, image_contrast_loss, same_pairs
from essen.objectives.masked import mask_words, masked_word_loss
from essen.objectives.matching import matching_loss
from essen.randomness import FUSION, MASK, generator_for
from essen.tokenizer import CaptionTokenizer


class Batch(NamedTuple):
    """B pairs with T different captions.

    Attributes:
        pixels: (B, 3, size, size) float32 in 0..1.
        ids, mask, words: (T, L) of the captions, see `essen.tokenizer.CaptionTokenizer.encode_words`.
        caption: (B,) int64, the row in `ids` of every pair.
        caption_of, image_of: (B,) int64, equal where the normalised caption, or the picture, is equal.
    """

    pixels: Tensor
    ids: Tensor
    mask: Tensor
    words: Tensor
    caption: Tensor
    caption_of: Tensor
    image_of: Tensor


class Losses(NamedTuple):
    """The weighted `total` (scalar with gradient) and, by name, plain numbers to log."""

    total: Tensor
    values: dict[str, float]


def compute_losses(
    model: Essen,
    tokenizer: CaptionTokenizer,
    batch: Batch,
    config: ObjectiveConfig,
    *,
    seed: int,
    step: int,
    bf16: bool,
) -> Losses:
    """Return the losses of a batch.

    The towers and the fusion run in bf16 where asked; the losses themselves are always computed in fp32.

    Args:
        seed, step: decide every draw.
    """
    with _precision(bf16):
        images = model.encode_images(batch.pixels)
        texts = model.encode_texts(batch.ids, batch.mask).take(batch.caption)
    terms = _contrast(model, batch, images, texts, config)
    values = {name: term.item() for name, term in terms.items()}
    if (step + 1) % config.fusion_every == 0 and (config.matching or config.masked):
        rows = _fusion_rows(len(batch.pixels), config.fusion_batch, seed=seed, step=step)
        if config.matching:
            generator = generator_for(seed, step, FUSION)
            same = same_pairs(batch.image_of, batch.caption_of)
            sharpness = config.hardness * model.logit_scale.exp()
            with _precision(bf16):
                matching = matching_loss(model.match, images, texts, sharpness, same, rows, generator)
            terms["matching"] = matching.loss
            values |= {"matching": matching.loss.item(), "matching_skipped": matching.skipped}
            if matching.accuracy is not None:
                values["matching_accuracy"] = matching.accuracy
        if config.masked:
            terms["masked"], hidden = _masked(model, tokenizer, batch, images, rows, config, seed, step, bf16)
            values |= {"masked": terms["masked"].item(), "masked_pieces": hidden}
    weights = {name: getattr(config, name) for name in terms}
    total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
    return Losses(total=total, values={"loss": total.item(), **values})


def _contrast(
    model: Essen, batch: Batch, images: ImageFeatures, texts: TextFeatures, config: ObjectiveConfig
) -> dict[str, Tensor]:
    terms = {}
    if config.contrastive:
        terms["contrastive"] = contrastive_loss(
            images.embedding,
            texts.embedding,
            model.logit_scale,
            same_pairs(batch.image_of, batch.caption_of),
            same_is_positive=config.same_caption == "positive",
            label_smoothing=config.label_smoothing,
        )
    if config.image_contrast:
        terms["image_contrast"] = image_contrast_loss(images.embedding, batch.caption_of, model.logit_scale)
    return terms


def _masked(
    model: Essen,
    tokenizer: CaptionTokenizer,
    batch: Batch,
    images: ImageFeatures,
    rows: Tensor,
    config: ObjectiveConfig,
    seed: int,
    step: int,
    bf16: bool,
) -> tuple[Tensor, int]:
    """Return the masked-word loss of some pairs and the number of hidden pieces: a forward pass of its own."""
    captions = batch.caption[rows]
    ids, labels = mask_words(
        batch.ids[captions],
        batch.words[captions],
        share=config.mask_share,
        mask_id=tokenizer.mask_id,
        first_id=len(tokenizer.special_ids),
        vocab_size=tokenizer.vocab_size,
        generator=generator_for(seed, step, MASK),
    )
    with _precision(bf16):
        logits = model.predict_words(images.take(rows), model.encode_texts(ids, batch.mask[captions]))
    return masked_word_loss(logits, labels), int((labels >= 0).sum())


def _fusion_rows(batch: int, most: int, *, seed: int, step: int) -> Tensor:
    """Return the pairs that the fusion objectives see at a step: consecutive ones from a place that moves on."""
    return (torch.arange(min(batch, most)) + (seed + step) * most) % batch


def _precision(bf16: bool) -> contextlib.AbstractContextManager[object]:
    return torch.autocast("cpu", torch.bfloat16, enabled=bf16)
