"""Two streams that look at each other: LXMERT's shared cross-attention, and METER's co-attention.

LXMERT (Tan and Bansal 2019) uses one cross-attention for both directions, METER (Dou et al. 2022) one for each.
"""

from typing import Literal, NamedTuple

from torch import Tensor, nn

from essen.config import FusionConfig
from essen.towers.transformer import attend

Norm = Literal["pre", "post"]


class Fused(NamedTuple):
    """Both streams after fusion: `text` (B, Lt, h) and `image` (B, Li, h)."""

    text: Tensor
    image: Tensor


class Attention(nn.Module):
    """Multi-head attention with a LayerNorm, added to what came in: 4h² + 6h parameters."""

    def __init__(self, width: int, heads: int, dropout: float, norm: Norm = "pre") -> None:
        super().__init__()
        self.heads = heads
        self.post_norm = norm == "post"
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, context: Tensor, context_mask: Tensor | None) -> Tensor:
        """Return (B, L, h): tokens `x` (B, L, h) after attending to the real tokens of `context` (B, M, h)."""
        if self.post_norm:
            return self.norm(x + self.dropout(self._attend(x, context, context_mask)))
        return x + self.dropout(self.read(x, context, context_mask))

    def read(self, x: Tensor, context: Tensor, context_mask: Tensor | None) -> Tensor:
        """Return what `x`, (B, L, h) or one for all (1, L, h), attends to in `context`; both go through the norm."""
        return self._attend(self.norm(x), self.norm(context), context_mask)

    def _attend(self, x: Tensor, context: Tensor, context_mask: Tensor | None) -> Tensor:
        batch, length, width = x.shape
        size = width // self.heads
        query = self.query(x).view(batch, length, self.heads, size).transpose(1, 2)
        key_value = self.key_value(context).view(context.shape[0], -1, 2, self.heads, size)
        key, value = key_value.permute(2, 0, 3, 1, 4)
        attended: Tensor = self.out(attend(query, key, value, context_mask))
        return attended


class FeedForward(nn.Module):
    """Two linear maps around a GELU with a LayerNorm, added to what came in: 8h² + 7h parameters."""

    def __init__(self, width: int, dropout: float, norm: Norm = "pre") -> None:
        super().__init__()
        self.post_norm = norm == "post"
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens of the same shape."""
        if self.post_norm:
            normed: Tensor = self.norm(x + self.dropout(self.inner(x)))
            return normed
        return x + self.dropout(self.inner(self.norm(x)))


class CrossLayer(nn.Module):
    """Cross-attention both ways from the streams as they came in, then self-attention, then feed-forward.

    The cross-attention is one weight set for both directions; the rest is separate. 28h² + 32h parameters. LXMERT's
    norms stand behind each part (``post``); by default they stand before it, as in the towers, which trains faster.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, norm: Norm = "pre") -> None:
        super().__init__()
        self.cross = Attention(width, heads, dropout, norm)
        self.text_self = Attention(width, heads, dropout, norm)
        self.image_self = Attention(width, heads, dropout, norm)
        self.text_feed_forward = FeedForward(width, dropout, norm)
        self.image_feed_forward = FeedForward(width, dropout, norm)

    def forward(self, text: Tensor, image: Tensor, text_mask: Tensor) -> Fused:
        """Return both streams; `text_mask` (B, Lt) is True where a text token is real, image tokens all are."""
        crossed_text, crossed_image = self.cross(text, image, None), self.cross(image, text, text_mask)
        return Fused(
            text=self.text_feed_forward(self.text_self(crossed_text, crossed_text, text_mask)),
            image=self.image_feed_forward(self.image_self(crossed_image, crossed_image, None)),
        )


class CoLayer(nn.Module):
    """Self-attention, then cross-attention, then feed-forward, all separate for each stream: 32h² + 38h parameters."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0, norm: Norm = "pre") -> None:
        super().__init__()
        self.text_self = Attention(width, heads, dropout, norm)
        self.image_self = Attention(width, heads, dropout, norm)
        self.text_cross = Attention(width, heads, dropout, norm)
        self.image_cross = Attention(width, heads, dropout, norm)
        self.text_feed_forward = FeedForward(width, dropout, norm)
        self.image_feed_forward = FeedForward(width, dropout, norm)

    def forward(self, text: Tensor, image: Tensor, text_mask: Tensor) -> Fused:
        """Return both streams; `text_mask` (B, Lt) is True where a text token is real, image tokens all are."""
        text, image = self.text_self(text, text, text_mask), self.image_self(image, image, None)
        crossed_text, crossed_image = self.text_cross(text, image, None), self.image_cross(image, text, text_mask)
        return Fused(text=self.text_feed_forward(crossed_text), image=self.image_feed_forward(crossed_image))


class CrossFusion(nn.Module):
    """A stack of `CrossLayer` or `CoLayer`; pre-norm has a last norm for each stream, 4h parameters more."""

    def __init__(self, config: FusionConfig, dropout: float = 0.0) -> None:
        super().__init__()
        layer = CoLayer if config.kind == "meter" else CrossLayer
        self.layers = nn.ModuleList(
            layer(config.width, config.heads, dropout, config.norm) for _ in range(config.layers)
        )
        self.text_norm, self.image_norm = (
            nn.LayerNorm(config.width) if config.norm == "pre" else nn.Identity() for _ in range(2)
        )

    def forward(self, text: Tensor, image: Tensor, text_mask: Tensor) -> Fused:
        """Return both streams after all layers.

        Args:
            text: (B, Lt, h).
            image: (B, Li, h).
            text_mask: (B, Lt) bool, True where a text token is real.
        """
        fused = Fused(text, image)
        for layer in self.layers:
            fused = layer(fused.text, fused.image, text_mask)
        return Fused(text=self.text_norm(fused.text), image=self.image_norm(fused.image))
