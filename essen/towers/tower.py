"""What all towers share: their features, a trunk that may be frozen, and the pools."""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn


class TowerFeatures(NamedTuple):
    """What a tower makes of B pictures or captions: `pooled` (B, width) and `tokens` (B, L, width)."""

    pooled: Tensor
    tokens: Tensor


# Drawings are mostly white: these centre and scale them as well as per-channel statistics do, with nothing to store.
PIXEL_MEAN, PIXEL_DEVIATION = 0.5, 0.25


class Tower(nn.Module):
    """A tower of which some parts may be frozen: their parameters do not learn, and they are always in evaluation mode.

    So the running statistics of their batch norms stand still, whatever `train` is told.

    Attributes:
        width: of the features.
    """

    width: int

    def __init__(self) -> None:
        super().__init__()
        self._frozen: tuple[nn.Module, ...] = ()

    def freeze(self, *parts: nn.Module | nn.Parameter) -> None:
        """Freeze parts of this tower."""
        for part in parts:
            part.requires_grad_(False)
        self._frozen += tuple(part for part in parts if isinstance(part, nn.Module))
        self.train(self.training)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Return pictures (B, 3, H, W) of 0..1 centred and scaled as this tower takes them."""
        return (pixels - PIXEL_MEAN) / PIXEL_DEVIATION

    def train(self, mode: bool = True) -> Self:
        """Put the tower in training or evaluation mode, and what is frozen in evaluation mode."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self


class MeanPool(nn.Module):
    """The mean of the tokens, whatever their order."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, h) of tokens (B, L, h)."""
        return tokens.mean(1)


class AttentionPool(nn.Module):
    """The mean of the tokens, weighted by a learned query: h parameters, which start at zero, where all weigh alike."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, h) of tokens (B, L, h)."""
        shares = ((tokens * self.query).sum(-1, keepdim=True) / tokens.shape[-1] ** 0.5).softmax(1)
        return (tokens * shares).sum(1)


class FirstPool(nn.Module):
    """The first token."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, h) of tokens (B, L, h)."""
        return tokens[:, 0]


def build_pool(kind: str, width: int) -> nn.Module:
    """Return the pool of a configuration: ``mean``, ``attention`` or ``class`` (the first token)."""
    if kind == "attention":
        return AttentionPool(width)
    return FirstPool() if kind == "class" else MeanPool()
