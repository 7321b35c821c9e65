"""Random changes of training pictures: geometry in one resampling, then colours."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from essen.config import AugmentConfig


def augment(pixels: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Return changed copies of pictures.

    Args:
        pixels: (B, 3, size, size) uint8.
        config: how much; all zero gives the pictures back.
        generator: of all draws.

    Returns:
        (B, 3, size, size) float32 in 0..1. What comes in from outside continues the edge, as paper and scenes do.
    """
    scaled = pixels.float() / 255
    grid = F.affine_grid(_affine(len(pixels), config, generator), list(scaled.shape), align_corners=False)
    moved = F.grid_sample(scaled, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return _erase(_recolour(moved, config, generator), config, generator).clamp_(0, 1)


def _affine(batch: int, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Return (B, 2, 3) maps from places in the new picture to places in the old one."""
    angle = math.radians(config.rotate) * _symmetric(generator, batch)
    scale = torch.exp(config.scale * _symmetric(generator, batch))
    stretch = torch.exp(config.aspect / 2 * _symmetric(generator, batch))
    shear = config.shear * _symmetric(generator, batch)
    mirror = torch.where(torch.rand(batch, generator=generator) < (0.5 if config.mirror else 0.0), -1.0, 1.0)
    cosine, sine = angle.cos(), angle.sin()
    across, down = scale * stretch * mirror, scale / stretch
    first = torch.stack([cosine * across, (shear * cosine - sine) * down], 1)
    second = torch.stack([sine * across, (shear * sine + cosine) * down], 1)
    # Places run from -1 to 1, so a shift of the whole side is 2.
    shift = 2 * config.translate * _symmetric(generator, batch, 2)
    return torch.cat([torch.stack([first, second], 1), shift.unsqueeze(2)], 2)


def _recolour(pixels: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Change each channel's contrast (about white, so that paper stays paper) and brightness; grey some pictures."""
    batch = len(pixels)
    contrast = 1 + config.contrast * _symmetric(generator, batch, 3, 1, 1)
    brightness = config.brightness * _symmetric(generator, batch, 3, 1, 1)
    coloured = (pixels - 1) * contrast + brightness + 1
    grey = torch.rand(batch, 1, 1, 1, generator=generator) < config.grey
    return torch.where(grey, coloured.mean(1, keepdim=True), coloured)


def _erase(pixels: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Fill a rectangle of some pictures, a tenth to four tenths of the side each way, with one random colour."""
    if config.erase == 0:
        return pixels
    batch, _, height, width = pixels.shape
    half = torch.empty(batch, 2).uniform_(0.05, 0.2, generator=generator)
    centre = torch.rand(batch, 2, generator=generator)
    erased = torch.rand(batch, generator=generator) < config.erase
    colour = torch.rand(batch, 3, 1, 1, generator=generator)
    down = ((torch.arange(height) + 0.5) / height - centre[:, :1]).abs() < half[:, :1]
    across = ((torch.arange(width) + 0.5) / width - centre[:, 1:]).abs() < half[:, 1:]
    return torch.where((down[:, :, None] & across[:, None] & erased[:, None, None])[:, None], colour, pixels)


def _symmetric(generator: torch.Generator, *shape: int) -> Tensor:
    """Return numbers drawn evenly from -1 to 1."""
    return torch.rand(shape, generator=generator) * 2 - 1
