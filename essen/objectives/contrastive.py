"""Contrast in the joint space: image against text (InfoNCE, SigLIP), picture against picture (supervised contrast)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

INITIAL_BIAS = -10.0
MAX_BIAS = 100.0


class SigmoidBias(nn.Module):
    """What the sigmoid contrast learns beside the model: the bias b of its logits (Zhai et al. 2023).

    It starts where nearly all pairs are taken for wrong ones, as nearly all of a batch are. No score of the trained
    model needs it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(INITIAL_BIAS))

    @torch.no_grad()
    def clamp(self) -> None:
        """Keep b within what the largest temperature gives a cosine; called after every optimiser step."""
        self.value.clamp_(-MAX_BIAS, MAX_BIAS)


def same_pairs(images: Tensor, captions: Tensor) -> Tensor:
    """Return (B, B) bool, True where two pairs share the picture or the caption, so neither is the other's negative.

    Args:
        images: (B,) int64, equal where the picture's content is equal.
        captions: (B,) int64, equal where the normalised caption is equal.
    """
    return (images[:, None] == images[None]) | (captions[:, None] == captions[None])


def contrastive_loss(
    images: Tensor,
    texts: Tensor,
    logit_scale: Tensor,
    same: Tensor,
    *,
    same_is_positive: bool,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the mean of both directions' InfoNCE, a scalar (van den Oord et al. 2018; Radford et al. 2021).

    Args:
        images, texts: (B, E) of unit length, row i of both is pair i.
        logit_scale: log(1/τ), a scalar.
        same: (B, B) from `same_pairs`.
        same_is_positive: such pairs share the target evenly; otherwise they are left out of the softmax.
        label_smoothing: share of the target that is spread over all that take part.
    """
    own = torch.eye(len(images), dtype=torch.bool)
    taking_part = torch.ones_like(same) if same_is_positive else ~same | own
    positive = (same | own if same_is_positive else own).float()
    target = (1 - label_smoothing) * positive / positive.sum(1, keepdim=True)
    target = target + label_smoothing * taking_part / taking_part.sum(1, keepdim=True)
    logits = logit_scale.exp() * images @ texts.T
    return (_soft_cross_entropy(logits, target, taking_part) + _soft_cross_entropy(logits.T, target, taking_part)) / 2


def sigmoid_loss(
    images: Tensor, texts: Tensor, logit_scale: Tensor, bias: Tensor, same: Tensor, *, same_is_positive: bool
) -> Tensor:
    """Return the sigmoid contrast, a scalar: each of B² pairs is judged by itself, summed, over B (SigLIP, eq. 1).

    Args:
        images, texts: (B, E) of unit length, row i of both is pair i.
        logit_scale: log(1/τ), a scalar.
        bias: of the logits, a scalar.
        same: (B, B) from `same_pairs`.
        same_is_positive: such pairs are true ones too; otherwise they are left out.
    """
    own = torch.eye(len(images), dtype=torch.bool)
    positive = same | own if same_is_positive else own
    logits = logit_scale.exp() * images @ texts.T + bias
    losses = F.softplus(torch.where(positive, -logits, logits))
    return losses.masked_fill(same & ~positive, 0.0).sum() / len(images)


def image_contrast_loss(images: Tensor, captions: Tensor, logit_scale: Tensor) -> Tensor:
    """Return the supervised contrast between pictures of equal captions, a scalar (Khosla et al. 2020, L_out).

    A picture whose caption no other picture of the batch has is no anchor; without any anchor the loss is 0.

    Args:
        images: (B, E) of unit length.
        captions: (B,) int64, equal where the caption is equal.
        logit_scale: log(1/τ), a scalar.
    """
    others = ~torch.eye(len(images), dtype=torch.bool)
    positive = (captions[:, None] == captions[None]) & others
    anchors = positive.any(1)
    if not anchors.any():
        return images.sum() * 0
    target = positive[anchors].float()
    logits = logit_scale.exp() * images[anchors] @ images.T
    return _soft_cross_entropy(logits, target / target.sum(1, keepdim=True), others[anchors])


def _soft_cross_entropy(logits: Tensor, target: Tensor, taking_part: Tensor) -> Tensor:
    log_shares = logits.masked_fill(~taking_part, torch.finfo(logits.dtype).min).log_softmax(1)
    return -(target * log_shares).sum(1).mean()
