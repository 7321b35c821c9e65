"""The project's own vision tower: a convolutional network whose feature map becomes tokens."""

import torch
from torch import Tensor, nn

from essen.config import VisionConfig
from essen.towers.tower import Place, Tower, TowerFeatures, build_pool
from essen.towers.transformer import TransformerLayer, layer_places


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions around a shortcut (ResNet-D: a shortcut that halves does so by averaging)."""

    def __init__(self, channels_in: int, channels: int, *, halve: bool) -> None:
        super().__init__()
        stride = 2 if halve else 1
        last_norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(last_norm.weight)
        self.branch = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            last_norm,
        )
        shortcut: list[nn.Module] = [nn.AvgPool2d(2)] if halve else []
        if channels_in != channels:
            shortcut += [nn.Conv2d(channels_in, channels, 1, bias=False), nn.BatchNorm2d(channels)]
        self.shortcut = nn.Sequential(*shortcut)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels, H', W') of (B, channels_in, H, W)."""
        return self.activation(self.branch(x) + self.shortcut(x))


class VisionTower(Tower):
    """Stem, residual stages, transformer blocks; without these, the order of the cells does not matter to the pool.

    The stem's convolutions halve the picture and double the channels, up to the first stage's width.
    """

    def __init__(self, config: VisionConfig, image_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.width = config.widths[-1]
        stem: list[nn.Module] = []
        channels = 3
        for later in reversed(range(config.stem)):
            width = max(1, config.widths[0] // 2**later)
            stem += [nn.Conv2d(channels, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            channels = width
        self.stem = nn.Sequential(*stem)
        stages: list[nn.Module] = []
        for stage, (width, blocks) in enumerate(zip(config.widths, config.blocks, strict=True)):
            for block in range(blocks):
                stages.append(ResidualBlock(channels, width, halve=stage > 0 and block == 0))
                channels = width
        self.stages = nn.Sequential(*stages)
        self._widths = [w for w, blocks in zip(config.widths, config.blocks, strict=True) for _ in range(blocks)]
        self.cells = (image_size // config.stride) ** 2
        self.layers = nn.ModuleList(TransformerLayer(channels, config.heads, dropout) for _ in range(config.layers))
        self.positions = nn.Parameter(torch.zeros(1, self.cells, channels)) if config.layers else None
        self.norm = nn.LayerNorm(channels)
        self.pool = build_pool(config.pool, channels)
        if config.freeze:
            self.freeze(*self.body())

    def body(self) -> tuple[nn.Module | nn.Parameter, ...]:
        """Return all but the pool and the norm behind it."""
        own = (self.stem, self.stages, self.layers)
        return own if self.positions is None else (*own, self.positions)

    def places(self) -> list[Place]:
        """Return one place behind each residual block, and the two of each transformer block."""
        behind = [Place(self.stages, str(n), width, axis=1) for n, width in enumerate(self._widths)]
        return behind + layer_places(self.layers)

    def forward(self, pixels: Tensor) -> TowerFeatures:
        """Return the features of pictures.

        Args:
            pixels: (B, 3, size, size), normalised.
        """
        return self.finish(self.encode(pixels))

    def encode(self, pixels: Tensor) -> Tensor:
        """Return the tokens; see `forward`."""
        cells = self.stages(self.stem(pixels.contiguous(memory_format=torch.channels_last)))
        tokens = cells.flatten(2).transpose(1, 2)
        if self.positions is not None:
            tokens = tokens + self.positions
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens

    def finish(self, tokens: Tensor, mask: Tensor | None = None) -> TowerFeatures:
        """Return the features: what was added, the pool, its norm."""
        for layer in self.added:
            tokens = layer(tokens, mask)
        return TowerFeatures(pooled=self.norm(self.pool(tokens.float())), tokens=tokens)
