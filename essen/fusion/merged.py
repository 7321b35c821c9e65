"""Merged attention: one encoder over the tokens of both modalities, one after the other."""

import torch
from torch import Tensor, nn

from essen.config import FusionConfig
from essen.fusion.cross import Fused
from essen.towers.transformer import TransformerLayer


class MergedFusion(nn.Module):
    """Transformer blocks over the concatenated sequence, 12h² + 13h parameters each, and a last norm, 2h."""

    def __init__(self, config: FusionConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TransformerLayer(config.width, config.heads, dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, text: Tensor, image: Tensor, text_mask: Tensor) -> Fused:
        """Return both streams after all layers; see `essen.fusion.cross.CrossFusion`."""
        lengths = [text.shape[1], image.shape[1]]
        mask = torch.cat([text_mask, text_mask.new_ones(image.shape[:2])], dim=1)
        return Fused(*self.encode(torch.cat([text, image.to(text.dtype)], dim=1), mask).split(lengths, dim=1))

    def encode(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """Return tokens (B, L, h) of any modality after all layers; `mask` (B, L) is True where one is real."""
        for layer in self.layers:
            tokens = layer(tokens, mask)
        encoded: Tensor = self.norm(tokens)
        return encoded
