"""A patch transformer (ViT, Dosovitskiy et al. 2021) as a vision tower."""

import torch
from torch import Tensor, nn

from essen.config import PatchConfig
from essen.towers.tower import Place, Tower, TowerFeatures, build_pool
from essen.towers.transformer import TransformerLayer, layer_places


class PatchTower(Tower):
    """Patches, positions, transformer blocks, a last norm.

    For n patches of p pixels' side: 3p²h + h + nh + 2h parameters and 12h² + 13h a block; h for the class token and h
    for its position more where there is one, as many as ViT's and DeiT's.
    """

    def __init__(self, config: PatchConfig, image_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.width = config.width
        self.cells = (image_size // config.patch) ** 2
        self.stem = nn.Conv2d(3, config.width, config.patch, config.patch)
        with_class = config.pool == "class"
        self.class_token = nn.Parameter(torch.empty(1, 1, config.width)) if with_class else None
        self.positions = nn.Parameter(torch.empty(1, self.cells + with_class, config.width))
        for parameter in (self.class_token, self.positions):
            if parameter is not None:
                nn.init.normal_(parameter, std=0.02)
        self.layers = nn.ModuleList(TransformerLayer(config.width, config.heads, dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.pool = build_pool(config.pool, config.width)
        if config.freeze:
            self.freeze(*self.body())

    def body(self) -> tuple[nn.Module | nn.Parameter, ...]:
        """Return all but the pool."""
        own = (self.stem, self.positions, self.layers, self.norm)
        return own if self.class_token is None else (*own, self.class_token)

    def places(self) -> list[Place]:
        """Return the two places of each block."""
        return layer_places(self.layers)

    def forward(self, pixels: Tensor) -> TowerFeatures:
        """Return the features of pictures, the class token (where there is one) first.

        Args:
            pixels: (B, 3, size, size), normalised.
        """
        return self.finish(self.encode(pixels))

    def encode(self, pixels: Tensor) -> Tensor:
        """Return the tokens before the last norm; see `forward`."""
        tokens = self.stem(pixels).flatten(2).transpose(1, 2)
        if self.class_token is not None:
            tokens = torch.cat([self.class_token.expand(tokens.shape[0], -1, -1).to(tokens.dtype), tokens], dim=1)
        tokens = tokens + self.positions
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens

    def finish(self, tokens: Tensor, mask: Tensor | None = None) -> TowerFeatures:
        """Return the features: what was added, the last norm, the pool."""
        for layer in self.added:
            tokens = layer(tokens, mask)
        tokens = self.norm(tokens)
        return TowerFeatures(pooled=self.pool(tokens.float()), tokens=tokens)
