"""Cross-attention fusion: LXMERT's layer with one cross-attention for both directions (Tan and Bansal 2019)."""

from typing import NamedTuple

from torch import Tensor, nn

from essen.config import FusionConfig
from essen.towers.transformer import attend


class Fused(NamedTuple):
    """Both streams after fusion: `text` (B, Lt, h) and `image` (B, Li, h)."""

    text: Tensor
    image: Tensor


class Attention(nn.Module):
    """Multi-head attention behind a LayerNorm (pre-norm), added to what came in: 4h² + 6h parameters."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, context: Tensor, context_mask: Tensor | None) -> Tensor:
        """Return (B, L, h): tokens `x` (B, L, h) after attending to the real tokens of `context` (B, M, h)."""
        batch, length, width = x.shape
        size = width // self.heads
        query = self.query(self.norm(x)).view(batch, length, self.heads, size).transpose(1, 2)
        key_value = self.key_value(self.norm(context)).view(batch, -1, 2, self.heads, size)
        key, value = key_value.permute(2, 0, 3, 1, 4)
        return x + self.dropout(self.out(attend(query, key, value, context_mask)))


class FeedForward(nn.Module):
    """Two linear maps around a GELU behind a LayerNorm, added to what came in: 8h² + 7h parameters."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens of the same shape."""
        return x + self.dropout(self.inner(self.norm(x)))


class CrossLayer(nn.Module):
    """Cross-attention both ways from the streams as they came in, then self-attention, then feed-forward.

    The cross-attention is one weight set for both directions; the rest is separate. 28h² + 32h parameters, as many as
    LXMERT's, whose norms stand behind each part: here they stand before it, as in the towers, which train faster so.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.cross = Attention(width, heads, dropout)
        self.text_self = Attention(width, heads, dropout)
        self.image_self = Attention(width, heads, dropout)
        self.text_feed_forward = FeedForward(width, dropout)
        self.image_feed_forward = FeedForward(width, dropout)

    def forward(self, text: Tensor, image: Tensor, text_mask: Tensor) -> Fused:
        """Return both streams; `text_mask` (B, Lt) is True where a text token is real, image tokens all are."""
        crossed_text, crossed_image = self.cross(text, image, None), self.cross(image, text, text_mask)
        return Fused(
            text=self.text_feed_forward(self.text_self(crossed_text, crossed_text, text_mask)),
            image=self.image_feed_forward(self.image_self(crossed_image, crossed_image, None)),
        )


class CrossFusion(nn.Module):
    """A stack of cross layers over both streams, and a last norm for each: 4h parameters more."""

    def __init__(self, config: FusionConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CrossLayer(config.width, config.heads, dropout) for _ in range(config.layers))
        self.text_norm = nn.LayerNorm(config.width)
        self.image_norm = nn.LayerNorm(config.width)

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
