"""All objectives of one batch: each switched and weighted by the configuration, each reported by itself."""

from typing import NamedTuple

import torch
from torch import Tensor

from essen.config import ObjectiveConfig
from essen.model import Essen, ImageFeatures, TextFeatures
from essen.objectives.attention import CrossHeads
from essen.objectives.by_length import encode_by_length
from essen.objectives.contrastive import SigmoidBias, contrastive_loss, image_contrast_loss, same_pairs, sigmoid_loss
from essen.objectives.distillation import Distiller, Lesson, Term, View, distillation_terms, look, watch
from essen.objectives.masked import mask_words, masked_word_loss
from essen.objectives.matching import matching_loss
from essen.randomness import FUSION, MASK, generator_for
from essen.rows import IMAGES, MATCHING, TEXTS, WORDS, Passes
from essen.tokenizer import CaptionTokenizer


class Batch(NamedTuple):
    """B pairs with T different captions.

    Attributes:
        pixels: (B, 3, size, size) float32 in 0..1; of several processes each holds those of its share alone. Without
            rows where `image_tokens` stand for them.
        ids, mask, words: (T, L) of the captions, see `essen.tokenizer.CaptionTokenizer.encode_words`.
        caption: (B,) int64, the row in `ids` of every pair.
        caption_of, image_of: (B,) int64, equal where the normalised caption, or the picture, is equal.
        image_tokens, text_tokens: (B, cells, h) and (T, L, h), what a tower's body makes of pictures or captions, where
            that was known before.
    """

    pixels: Tensor
    ids: Tensor
    mask: Tensor
    words: Tensor
    caption: Tensor
    caption_of: Tensor
    image_of: Tensor
    image_tokens: Tensor | None = None
    text_tokens: Tensor | None = None

    def encode_images(self, model: Essen, rows: slice = slice(None)) -> ImageFeatures:
        """Return the features of some of this process's pictures."""
        if self.image_tokens is None:
            return model.encode_images(self.pixels[rows])
        return model.project_images(model.vision.finish(self.image_tokens[rows]))

    def encode_texts(self, model: Essen, rows: slice = slice(None), *, by_length: bool = False) -> TextFeatures:
        """Return the features of some captions, where it may be in groups of like length."""
        ids, mask = self.ids[rows], self.mask[rows]
        if self.text_tokens is None:
            return encode_by_length(model, ids, mask) if by_length else model.encode_texts(ids, mask)
        return model.project_texts(model.text.finish(self.text_tokens[rows], mask), mask)


class Learner(NamedTuple):
    """What is trained: the model, its tokenizer, and where they are used the sigmoid contrast's bias and a teacher."""

    model: Essen
    tokenizer: CaptionTokenizer
    bias: SigmoidBias | None = None
    distiller: Distiller | None = None


class Losses(NamedTuple):
    """The weighted `total` (scalar with gradient) and, by name, plain numbers to log."""

    total: Tensor
    values: dict[str, float]


class HiddenWords(NamedTuple):
    """Captions of R pairs with words hidden: `ids`, `mask` and `labels` (R, L), see `essen.objectives.masked`."""

    ids: Tensor
    mask: Tensor
    labels: Tensor


def compute_losses(learner: Learner, batch: Batch, config: ObjectiveConfig, passes: Passes) -> Losses:
    """Return the losses of a batch that goes through the model at once.

    The towers and the fusion run in bf16 where asked; the losses themselves are always computed in fp32.
    """
    model, pairs = learner.model, len(batch.caption)
    distiller = teaching(learner, config, passes.step)
    with passes.forward(IMAGES, slice(0, pairs)):
        images, image_heads = watch(distiller.image if distiller else None, lambda: batch.encode_images(model))
    text_attention = distiller.text if distiller else None
    by_length = text_attention is None and not passes.by_row
    with passes.forward(TEXTS, slice(0, len(batch.ids))):
        captions, text_heads = watch(text_attention, lambda: batch.encode_texts(model, by_length=by_length))
        texts = captions.take(batch.caption)
    terms = contrast(learner, batch, images.embedding, texts.embedding, config)
    values = {name: term.item() for name, term in terms.items()}
    if uses_fusion(config, passes.step):
        rows = fusion_rows(pairs, config.fusion_batch, passes)
        if config.matching:
            matched, more = _matching(model, batch, images, texts, rows, config, passes)
            terms["matching"] = matched
            values |= more
        if config.masked:
            hidden = hide_words(learner.tokenizer, batch, rows, config.mask_share, passes)
            with passes.forward(WORDS, slice(0, len(rows))):
                logits = model.predict_words(images.take(rows), model.encode_texts(hidden.ids, hidden.mask))
            terms["masked"] = masked_word_loss(logits, hidden.labels)
            values |= {"masked": terms["masked"].item(), "masked_pieces": int((hidden.labels >= 0).sum())}
    weighted = [getattr(config, name) * term for name, term in terms.items()]
    if distiller is not None:
        heads = CrossHeads(text_heads, image_heads) if text_heads and image_heads else None
        for taught in lessons(learner, distiller, batch, View(images, captions), heads, config, passes):
            term = taught.part(slice(0, taught.rows)) / taught.rows
            weighted.append(taught.weight * term)
            values[taught.name] = term.item()
    # A step may have nothing to learn from: objectives of the fusion alone, which are not used at every step.
    total = torch.stack(weighted or [images.embedding.sum() * 0]).sum()
    return Losses(total=total, values={"loss": total.item(), **values})


def contrast(
    learner: Learner, batch: Batch, images: Tensor, texts: Tensor, config: ObjectiveConfig
) -> dict[str, Tensor]:
    """Return the contrastive terms, scalars by name, of the embeddings (B, E) of all pairs."""
    terms, scale = {}, learner.model.logit_scale
    same = same_pairs(batch.image_of, batch.caption_of)
    positive = config.same_caption == "positive"
    if config.contrastive and config.contrast == "sigmoid":
        assert learner.bias is not None, "made with the optimiser"
        bias = learner.bias.value
        terms["contrastive"] = sigmoid_loss(images, texts, scale, bias, same, same_is_positive=positive)
    elif config.contrastive:
        smoothing = config.label_smoothing
        terms["contrastive"] = contrastive_loss(
            images, texts, scale, same, same_is_positive=positive, label_smoothing=smoothing
        )
    if config.image_contrast:
        terms["image_contrast"] = image_contrast_loss(images, batch.caption_of, scale)
    return terms


def uses_fusion(config: ObjectiveConfig, step: int) -> bool:
    """Tell whether the objectives that need the fusion are used at a step."""
    return (step + 1) % config.fusion_every == 0 and bool(config.matching or config.masked)


def teaching(learner: Learner, config: ObjectiveConfig, step: int) -> Distiller | None:
    """Return who teaches the model at a step: nobody before the first, nor between steps of the fusion objectives."""
    distiller = learner.distiller
    return distiller if distiller and step >= distiller.first and (step + 1) % config.fusion_every == 0 else None


def lessons(
    learner: Learner,
    distiller: Distiller,
    batch: Batch,
    own: View,
    heads: CrossHeads | None,
    config: ObjectiveConfig,
    passes: Passes,
) -> list[Term]:
    """Return what the teacher adds to the loss of a batch, without terms of no row.

    Args:
        own: what the model makes of B pictures and T captions, and `heads` their queries and keys.
    """
    shown = look(distiller, own, batch.pixels, (batch.ids, batch.mask), batch.caption_of, passes)
    lesson = Lesson(
        student=learner.model,
        own=own,
        heads=heads,
        teacher=distiller.teacher or learner.model,
        shown=shown,
        caption=batch.caption,
        same=same_pairs(batch.image_of, batch.caption_of),
        rows=fusion_rows(len(batch.caption), config.fusion_batch, passes),
    )
    return [term for term in distillation_terms(distiller.config, lesson, config, passes) if term.rows]


def fusion_rows(batch: int, most: int, passes: Passes) -> Tensor:
    """Return the pairs that the fusion objectives see at a step: consecutive ones from a place that moves on."""
    return (torch.arange(min(batch, most)) + (passes.seed + passes.step) * most) % batch


def hide_words(tokenizer: CaptionTokenizer, batch: Batch, rows: Tensor, share: float, passes: Passes) -> HiddenWords:
    """Return the captions of some pairs (R,) with words hidden."""
    captions = batch.caption[rows]
    ids, labels = mask_words(
        batch.ids[captions],
        batch.words[captions],
        share=share,
        mask_id=tokenizer.mask_id,
        first_id=len(tokenizer.special_ids),
        vocab_size=tokenizer.vocab_size,
        generator=generator_for(passes.seed, passes.step, MASK),
    )
    return HiddenWords(ids=ids, mask=batch.mask[captions], labels=labels)


def _matching(
    model: Essen,
    batch: Batch,
    images: ImageFeatures,
    texts: TextFeatures,
    rows: Tensor,
    config: ObjectiveConfig,
    passes: Passes,
) -> tuple[Tensor, dict[str, float]]:
    def match(some_images: ImageFeatures, some_texts: TextFeatures) -> Tensor:
        with passes.forward(MATCHING, slice(0, len(some_images.embedding))):
            return model.match(some_images, some_texts)

    generator = generator_for(passes.seed, passes.step, FUSION)
    same = same_pairs(batch.image_of, batch.caption_of)
    sharpness = config.hardness * model.logit_scale.exp()
    with passes.precision():
        matching = matching_loss(match, images, texts, sharpness, same, rows, generator)
    values = {"matching": matching.loss.item(), "matching_skipped": matching.skipped}
    if matching.accuracy is not None:
        values["matching_accuracy"] = matching.accuracy
    return matching.loss, values
