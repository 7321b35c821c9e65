"""Adapters: small modules beside the weights of a pretrained tower, which start as the identity."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from essen.towers.tower import Place

INITIAL_GATE = -4.0  # σ(-4) = 0.018


class Adapter(nn.Module):
    """x + W2·GELU(W1·x) along one axis, W2 and its bias zero at the start (LilT): 2hm + m + h parameters.

    Args:
        place: where it sits, which says the width h and the axis.
        inside: numbers between the two maps, m.
        gated: multiply what is added by σ(g), one learned number, which starts at `INITIAL_GATE` (DueT).
        shared: the last rows of W2 and its bias, where they are those of another adapter too. They are no part of this
            module, so whoever makes it must keep them: a tensor must not be stored twice.
    """

    def __init__(self, place: Place, inside: int, *, gated: bool = False, shared: nn.Linear | None = None) -> None:
        super().__init__()
        own = place.width - (shared.out_features if shared is not None else 0)
        self._axis = place.axis
        self._shared = (shared,)  # not registered: see above
        self.down = nn.Linear(place.width, inside)
        self.up = zeroed(nn.Linear(inside, own)) if own else None
        self.gate = nn.Parameter(torch.tensor(INITIAL_GATE)) if gated else None

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the shape that they came in."""
        inside = F.gelu(self.down(x.movedim(self._axis, -1)))
        added = torch.cat([up(inside) for up in (self.up, *self._shared) if up is not None], dim=-1)
        if self.gate is not None:
            added = added * self.gate.sigmoid()
        return x + added.movedim(-1, self._axis)


def zeroed(module: nn.Linear) -> nn.Linear:
    """Return a linear map after its weight and bias have become zero."""
    nn.init.zeros_(module.weight)
    nn.init.zeros_(module.bias)
    return module


def insert(place: Place, adapter: nn.Module) -> None:
    """Put an adapter in its place."""
    beside = getattr(place.owner, place.name)
    setattr(place.owner, place.name, nn.Sequential(*((adapter, beside) if place.before else (beside, adapter))))
