"""Shallow fusion of two pooled vectors, as DiDE has it (Wang et al. 2022)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ShallowFusion(nn.Module):
    """W2·GELU(LN(W1·[text; image])) with W1 2h → 2h and W2 2h → h: 6h² + 7h parameters. No token sees another."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(2 * width, 2 * width)
        self.norm = nn.LayerNorm(2 * width)
        self.second = nn.Linear(2 * width, width)

    def forward(self, text: Tensor, image: Tensor) -> Tensor:
        """Return (B, h) of the pooled vectors `text` and `image`, (B, h) each."""
        fused: Tensor = self.second(F.gelu(self.norm(self.first(torch.cat([text, image], dim=-1)))))
        return fused
