"""The project's own text tower: a small transformer over word pieces."""

import torch
from torch import Tensor, nn

from essen.config import TextConfig
from essen.towers.tower import Place, Tower, TowerFeatures
from essen.towers.transformer import TransformerLayer, layer_places, masked_mean


class TextTower(Tower):
    """Word pieces and positions, transformer blocks, a last norm; pooled by the mean of the real tokens."""

    def __init__(self, config: TextConfig, vocab_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.width = config.width
        self.words = nn.Embedding(vocab_size, config.width)
        self.positions = nn.Parameter(torch.empty(config.max_length, config.width))
        nn.init.normal_(self.words.weight, std=0.02)
        nn.init.normal_(self.positions, std=0.02)
        self.layers = nn.ModuleList(TransformerLayer(config.width, config.heads, dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        if config.freeze:
            self.freeze(*self.body())

    def body(self) -> tuple[nn.Module | nn.Parameter, ...]:
        """Return all of the tower."""
        return self.words, self.positions, self.layers, self.norm

    def places(self) -> list[Place]:
        """Return the two places of each block."""
        return layer_places(self.layers)

    def forward(self, ids: Tensor, mask: Tensor) -> TowerFeatures:
        """Return the features of captions.

        Args:
            ids: (B, L) int64, L at most `max_length`.
            mask: (B, L) bool, True where a token is real.
        """
        return self.finish(self.encode(ids, mask), mask)

    def encode(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the tokens before the last norm; see `forward`."""
        tokens = self.words(ids) + self.positions[: ids.shape[1]]
        for layer in self.layers:
            tokens = layer(tokens, mask)
        return tokens

    def finish(self, tokens: Tensor, mask: Tensor | None = None) -> TowerFeatures:
        """Return the features: what was added, the last norm, the mean of the real tokens."""
        assert mask is not None, "captions differ in length"
        for layer in self.added:
            tokens = layer(tokens, mask)
        tokens = self.norm(tokens)
        return TowerFeatures(pooled=masked_mean(tokens.float(), mask), tokens=tokens)
