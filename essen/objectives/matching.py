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


class Trials(NamedTuple):
    """N pairs to judge: rows of `images` and `texts` in the batch, (N,) int64, and `labels` (N,), 1 for true pairs.

    `skipped` counts the negatives that were not to be had.
    """

    images: Tensor
    texts: Tensor
    labels: Tensor
    skipped: int


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


def draw_trials(
    images: Tensor, texts: Tensor, sharpness: Tensor | float, same: Tensor, rows: Tensor, generator: torch.Generator
) -> Trials:
    """Draw true pairs and their hardest neighbours.

    Each row brings its true pair, its caption with a wrong picture, and its picture with a wrong caption. A row without
    a negative brings its true pair alone; where no row has one (a batch of one), there is no trial.

    Args:
        images, texts: (B, E) of unit length, row i of both is pair i.
        sharpness: factor of the cosines before the softmax that weights the draw: 0 draws evenly, 1/τ as hard as ALBEF.
        same: (B, B), see `essen.objectives.contrastive.same_pairs`.
        rows: (R,) int64, the pairs to use; negatives come from the whole batch.
        generator: of the draws.
    """
    with torch.no_grad():
        similarity = sharpness * texts @ images.T
    wrong_images = draw_negatives(similarity[rows], same[rows], generator)
    wrong_texts = draw_negatives(similarity.T[rows], same[rows], generator)
    negatives = int(wrong_images.found.sum() + wrong_texts.found.sum())
    if negatives == 0:
        return Trials(images=rows[:0], texts=rows[:0], labels=torch.zeros(0), skipped=2 * len(rows))
    with_wrong_image, with_wrong_text = rows[wrong_images.found], rows[wrong_texts.found]
    return Trials(
        images=torch.cat([rows, wrong_images.columns[wrong_images.found], with_wrong_text]),
        texts=torch.cat([rows, with_wrong_image, wrong_texts.columns[wrong_texts.found]]),
        labels=(torch.arange(len(rows) + negatives) < len(rows)).float(),
        skipped=2 * len(rows) - negatives,
    )


def matching_loss(
    match: Callable[[ImageFeatures, TextFeatures], Tensor],
    images: ImageFeatures,
    texts: TextFeatures,
    sharpness: Tensor | float,
    same: Tensor,
    rows: Tensor,
    generator: torch.Generator,
) -> Matching:
    """Return the binary loss of true pairs against their hardest neighbours; 0 where there are none.

    Args:
        match: pairs to (B,) logits, `Essen.match`.
        images, texts: the batch, B pairs.
        sharpness, same, rows, generator: see `draw_trials`.
    """
    trials = draw_trials(images.embedding, texts.embedding, sharpness, same, rows, generator)
    if not len(trials.labels):
        return Matching(loss=images.embedding.sum() * 0, accuracy=None, skipped=trials.skipped)
    logits = match(images.take(trials.images), texts.take(trials.texts))
    return Matching(
        loss=F.binary_cross_entropy_with_logits(logits, trials.labels),
        accuracy=((logits > 0) == (trials.labels > 0.5)).float().mean().item(),
        skipped=trials.skipped,
    )
