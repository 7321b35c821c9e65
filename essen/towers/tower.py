"""What all towers share: their features, a body that may be frozen or adapted, and the pools."""

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn


class TowerFeatures(NamedTuple):
    """What a tower makes of B pictures or captions: `pooled` (B, width) and `tokens` (B, L, width)."""

    pooled: Tensor
    tokens: Tensor


class Place(NamedTuple):
    """Where an adapter sits: before or after the module that `owner` holds by `name`.

    Attributes:
        width: of the features there.
        axis: on which the features lie: -1, or 1 for maps (B, C, H, W).
    """

    owner: nn.Module
    name: str
    width: int
    before: bool = False
    axis: int = -1


# Drawings are mostly white: these centre and scale them as well as per-channel statistics do, with nothing to store.
PIXEL_MEAN, PIXEL_DEVIATION = 0.5, 0.25


class Tower(nn.Module):
    """A tower: a body that turns pictures or captions into tokens, and an end that makes features of these.

    The body is what a pretraining makes, and what may be frozen or adapted; a last norm is part of the body, though it
    comes after the tokens. Frozen parts do not learn and are always in evaluation mode, so the running statistics of
    their batch norms stand still, whatever `train` is told.

    Attributes:
        width: of the features.
        added: transformer blocks between body and end, none unless the tower is adapted.
    """

    width: int

    def __init__(self) -> None:
        super().__init__()
        self._frozen: tuple[nn.Module, ...] = ()
        self.added = nn.ModuleList()

    def body(self) -> tuple[nn.Module | nn.Parameter, ...]:
        """Return the parts that ``freeze`` holds."""
        raise NotImplementedError

    def places(self) -> list[Place]:
        """Return where adapters sit, from the bottom up.

        Raises:
            EssenError: no place is known in a tower of this kind.
        """
        raise NotImplementedError

    def encode(self, *inputs: Any, **named: Any) -> Tensor:
        """Return the tokens (B, L, h) that the body makes of the inputs of `forward`."""
        raise NotImplementedError

    def finish(self, tokens: Tensor, mask: Tensor | None = None) -> TowerFeatures:
        """Return the features of the body's tokens.

        Args:
            tokens: (B, L, h) of `encode`.
            mask: (B, L) bool, True where a token is real; None where all are.
        """
        raise NotImplementedError

    def still_buffers(self) -> list[Tensor]:
        """Return the buffers that never change, those of the frozen parts."""
        return [buffer for part in self._frozen for buffer in part.buffers()]

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
