"""Image-text matching with hard negatives from the batch (ALBEF, Li et al. 2021), never a true pair among them."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from essen.model import ImageFeatures, TextFeatures


class Negatives(NamedTuple):
    """For R rows: `columns` (R,) int64 that were drawn, and `found` (R,) bool, False where none was allowed."""

    columns: Tensor
    found: Tensor


class Matching(NamedTuple):
    """The loss (scalar), the share of right answers (None without any negative), the negatives not to be had."""

    loss: Tensor
    accuracy: float | None
    skipped: int


def draw_negatives(similarity: Tensor, same: Tensor, generator: torch.Generator) -> Negatives:
    """Draw one negative for every row with the softmax of its similarities as weights.

    Args:
        similarity: (R, B) logits; those that are no number count as 0.
        same: (R, B) bool, True where the pairs share picture or caption and may not be drawn.
        generator: of the draw.
    """
    found = ~same.all(1)
    logits = similarity.detach().float().nan_to_num().masked_fill(same, torch.finfo(torch.float32).min)
    weights = logits.softmax(1).masked_fill(same & found[:, None], 0.0)
    return Negatives(columns=torch.multinomial(weights, 1, generator=generator).squeeze(1), found=found)


def matching_loss(
    match: Callable[[ImageFeatures, TextFeatures], Tensor],
    images: ImageFeatures,
    texts: TextFeatures,
    sharpness: Tensor | float,
    same: Tensor,
    rows: Tensor,
    generator: torch.Generator,
) -> Matching:
    """Return the binary loss of true pairs against their hardest neighbours.

    Each row brings its true pair, its caption with a wrong picture, and its picture with a wrong caption. A row without
    a negative brings its true pair alone; where no row has one (a batch of one), the loss is 0.

    Args:
        match: pairs to (B,) logits, `Essen.match`.
        images, texts: the batch, B pairs.
        sharpness: factor of the cosines before the softmax that weights the draw: 0 draws evenly, 1/τ as hard as ALBEF.
        same: (B, B), see `essen.objectives.contrastive.same_pairs`.
        rows: (R,) int64, the pairs to use; negatives come from the whole batch.
        generator: of the draws.
    """
    with torch.no_grad():
        similarity = sharpness * texts.embedding @ images.embedding.T
    wrong_images = draw_negatives(similarity[rows], same[rows], generator)
    wrong_texts = draw_negatives(similarity.T[rows], same[rows], generator)
    negatives = int(wrong_images.found.sum() + wrong_texts.found.sum())
    if negatives == 0:
        return Matching(loss=images.embedding.sum() * 0, accuracy=None, skipped=2 * len(rows))
    with_wrong_image, with_wrong_text = rows[wrong_images.found], rows[wrong_texts.found]
    of_images = torch.cat([rows, wrong_images.columns[wrong_images.found], with_wrong_text])
    of_texts = torch.cat([rows, with_wrong_image, wrong_texts.columns[wrong_texts.found]])
    logits = match(images.take(of_images), texts.take(of_texts))
    labels = (torch.arange(len(logits)) < len(rows)).float()
    return Matching(
        loss=F.binary_cross_entropy_with_logits(logits, labels),
        accuracy=((logits > 0) == (labels > 0.5)).float().mean().item(),
        skipped=2 * len(rows) - negatives,
    )
