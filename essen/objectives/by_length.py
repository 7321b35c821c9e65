"""Captions of a batch go through the text tower in groups of like length: otherwise half of its work may be padding."""

import torch
import torch.nn.functional as F
from torch import Tensor

from essen.model import Essen, TextFeatures

GROUPS = 4
WORTH = 16  # word pieces; shorter captions cost less than the groups would save


def encode_by_length(model: Essen, ids: Tensor, mask: Tensor) -> TextFeatures:
    """Return what `Essen.encode_texts` does, up to rounding; tokens behind a caption's group are zero.

    Only for what sees captions one by one: dropout by row, and hooks that expect one call, do not go with it.

    Args:
        model: whose text tower it is.
        ids: (T, L) int64.
        mask: (T, L) bool, True where a token is real.
    """
    length = ids.shape[1]
    lengths = mask.sum(1)
    if length < WORTH or len(ids) < GROUPS:
        return model.encode_texts(ids, mask)
    order = lengths.argsort(stable=True)
    embeddings, tokens = [], []
    for rows in order.chunk(GROUPS):
        own = max(1, int(lengths[rows[-1]]))
        features = model.encode_texts(ids[rows, :own], mask[rows, :own])
        embeddings.append(features.embedding)
        tokens.append(F.pad(features.tokens, (0, 0, 0, length - own)))
    back = order.argsort()
    return TextFeatures(torch.cat(embeddings)[back], torch.cat(tokens)[back], mask)
