"""Masked words: whole words are hidden and told from the rest of the caption and the picture (BERT's 80/10/10)."""

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORE = -100


def mask_words(
    ids: Tensor,
    words: Tensor,
    *,
    share: float,
    mask_id: int,
    first_id: int,
    vocab_size: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Hide whole words, at least one in every caption.

    A chosen word becomes the mask token in 80 % of the cases, random pieces in 10 %, and stays in 10 %.

    Args:
        ids: (B, L) int64.
        words: (B, L) int64, the number of the word that each piece is part of from 0 upwards, -1 for padding.
        share: probability of a word.
        mask_id: the mask token.
        first_id: the first piece that is not a special token; random ones are drawn from there on.
        vocab_size: number of pieces.
        generator: of all draws.

    Returns:
        ids (B, L) with the words hidden, and labels (B, L): the true piece there, `IGNORE` elsewhere.
    """
    batch = len(ids)
    columns = int(words.max()) + 1
    exists = torch.arange(columns) <= words.max(1, keepdim=True).values
    draw = torch.rand(batch, columns, generator=generator).masked_fill(~exists, 2.0)
    chosen = (draw < share) | (draw == draw.min(1, keepdim=True).values)
    fate = torch.rand(batch, columns, generator=generator)
    random_ids = torch.randint(first_id, vocab_size, ids.shape, generator=generator)

    of_word = words.clamp(min=0)
    hidden = chosen.gather(1, of_word) & (words >= 0)
    fate_of_piece = fate.gather(1, of_word)
    masked = torch.where(hidden & (fate_of_piece < 0.8), mask_id, ids)
    masked = torch.where(hidden & (fate_of_piece >= 0.8) & (fate_of_piece < 0.9), random_ids, masked)
    return masked, torch.where(hidden, ids, IGNORE)


def masked_word_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy over the hidden pieces, a scalar.

    Args:
        logits: (B, L, vocabulary).
        labels: (B, L) from `mask_words`.
    """
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)
