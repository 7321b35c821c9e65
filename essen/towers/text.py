"""The project's own text tower: a small transformer over word pieces."""

import torch
from torch import Tensor, nn

from essen.config import TextConfig
from essen.towers.tower import Tower, TowerFeatures
from essen.towers.transformer import TransformerLayer, masked_mean


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
            self.freeze(self.words, self.positions, self.layers, self.norm)

    def forward(self, ids: Tensor, mask: Tensor) -> TowerFeatures:
        """Return the features of captions.

        Args:
            ids: (B, L) int64, L at most `max_length`.
            mask: (B, L) bool, True where a token is real.
        """
        tokens = self.words(ids) + self.positions[: ids.shape[1]]
        for layer in self.layers:
            tokens = layer(tokens, mask)
        tokens = self.norm(tokens)
        return TowerFeatures(pooled=masked_mean(tokens.float(), mask), tokens=tokens)
