"""The transformer block that the towers share."""

import torch
from torch import Tensor, nn

from essen.towers.tower import Place


class TransformerLayer(nn.Module):
    """Self-attention and a feed-forward network of 4h, each behind its LayerNorm (pre-norm): 12h² + 13h parameters."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the tokens after the block, (B, L, h).

        Args:
            x: tokens, (B, L, h).
            mask: (B, L) bool, True where a token is real; others are not attended to.
        """
        batch, length, width = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        attended = attend(query, key, value, mask)
        x = x + self.dropout(self.out(attended))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


def layer_places(layers: nn.ModuleList) -> list[Place]:
    """Return where adapters sit in some blocks: at the beginning of both branches, before their norms (LilT's ViT)."""
    return [
        Place(layer, name, norm.normalized_shape[0], before=True)
        for layer in layers
        for name in ("attention_norm", "feed_forward_norm")
        if isinstance(norm := getattr(layer, name), nn.LayerNorm)
    ]


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Return scaled dot-product attention with its heads joined again, (B, L, heads · size).

    Written out, because captions and feature maps are short: at 16 tokens torch's fused kernel takes seven times as
    long on a processor.

    Args:
        query: (B, heads, L, size).
        key, value: (B, heads, M, size).
        mask: (B, M) bool, True where a key is real; None where all are. At least one is.
    """
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None, None, :], torch.finfo(scores.dtype).min)
    return (scores.softmax(-1).to(value.dtype) @ value).transpose(1, 2).flatten(2)


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of the real tokens, (B, h), of tokens (B, L, h) and mask (B, L); zero where none is real."""
    weights = mask.unsqueeze(-1).to(tokens.dtype)
    return (tokens * weights).sum(1) / weights.sum(1).clamp(min=1)
