"""Random changes of training pictures: geometry in one resampling, then colours."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from essen.config import AugmentConfig


@dataclass(frozen=True, slots=True)
class Draws:
    """Random numbers for the pictures of a global batch, of which a process takes its own.

    Attributes:
        generator: of all draws.
        total: pictures of the global batch.
        own: which of them are meant.
    """

    generator: torch.Generator
    total: int
    own: slice

    def uniform(self, *shape: int) -> Tensor:
        """Return numbers drawn evenly from 0 to 1, (own pictures, *shape)."""
        return torch.rand(self.total, *shape, generator=self.generator)[self.own]

    def symmetric(self, *shape: int) -> Tensor:
        """Return numbers drawn evenly from -1 to 1, (own pictures, *shape)."""
        return self.uniform(*shape) * 2 - 1


def augment(
    pixels: Tensor, config: AugmentConfig, generator: torch.Generator, *, rank: int = 0, world: int = 1
) -> Tensor:
    """Return changed copies of pictures.

    Args:
        pixels: (B, 3, size, size) uint8.
        config: how much; all zero gives the pictures back.
        generator: of all draws.
        rank, world: which part of the global batch of B × `world` pictures these are, see `essen.data.rank_rows`; they
            are changed as they are where one process has them all.

    Returns:
        (B, 3, size, size) float32 in 0..1. What comes in from outside continues the edge, as paper and scenes do.
    """
    count = len(pixels)
    draws = Draws(generator, count * world, slice(count * rank, count * (rank + 1)))
    scaled = pixels.float().div_(255)
    grid = F.affine_grid(_affine(config, draws), list(scaled.shape), align_corners=False)
    moved = F.grid_sample(scaled, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return _erase(_recolour(moved, config, draws), config, draws).clamp_(0, 1)


def _affine(config: AugmentConfig, draws: Draws) -> Tensor:
    """Return (B, 2, 3) maps from places in the new picture to places in the old one."""
    angle = math.radians(config.rotate) * draws.symmetric()
    scale = torch.exp(config.scale * draws.symmetric())
    stretch = torch.exp(config.aspect / 2 * draws.symmetric())
    shear = config.shear * draws.symmetric()
    mirror = torch.where(draws.uniform() < (0.5 if config.mirror else 0.0), -1.0, 1.0)
    cosine, sine = angle.cos(), angle.sin()
    across, down = scale * stretch * mirror, scale / stretch
    first = torch.stack([cosine * across, (shear * cosine - sine) * down], 1)
    second = torch.stack([sine * across, (shear * sine + cosine) * down], 1)
    # Places run from -1 to 1, so a shift of the whole side is 2.
    shift = 2 * config.translate * draws.symmetric(2)
    return torch.cat([torch.stack([first, second], 1), shift.unsqueeze(2)], 2)


def _recolour(pixels: Tensor, config: AugmentConfig, draws: Draws) -> Tensor:
    """Change, in place, contrast (about white, so that paper stays paper) and brightness by channel; grey some."""
    contrast = 1 + config.contrast * draws.symmetric(3, 1, 1)
    brightness = config.brightness * draws.symmetric(3, 1, 1)
    coloured = pixels.sub_(1).mul_(contrast).add_(brightness).add_(1)
    grey = torch.flatten(draws.uniform(1, 1, 1) < config.grey).nonzero().flatten()
    coloured[grey] = coloured[grey].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    return coloured


def _erase(pixels: Tensor, config: AugmentConfig, draws: Draws) -> Tensor:
    """Fill a rectangle of some pictures, a tenth to four tenths of the side each way, with one random colour."""
    if config.erase == 0:
        return pixels
    height, width = pixels.shape[2:]
    half = 0.05 + 0.15 * draws.uniform(2)
    centre = draws.uniform(2)
    erased = draws.uniform() < config.erase
    colour = draws.uniform(3, 1, 1)
    down = ((torch.arange(height) + 0.5) / height - centre[:, :1]).abs() < half[:, :1]
    across = ((torch.arange(width) + 0.5) / width - centre[:, 1:]).abs() < half[:, 1:]
    return torch.where((down[:, :, None] & across[:, None] & erased[:, None, None])[:, None], colour, pixels)
