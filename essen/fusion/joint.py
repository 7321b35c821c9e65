"""Joint adaptive fusion: both modalities are reduced to N tokens once, then fused step by step (JAR, arXiv 2305.19924).

With t the N tokens of the text, f those of the picture, Φ a cross-attention with its queries first, and T a transformer
block, each layer computes (equations 3 and 4)::

    P = LN(t) + tanh(α)·Φ(LN(t), LN(f))
    F = P + tanh(β)·MLP(P)
    t ← T(F + t)

A layer costs 24h²N + 4hN² multiply-accumulates, however many cells the picture has. The paper does not say where the
gates α and β begin. At 0 nothing of the picture would reach the output, and neither Φ nor the image tower would learn
until α had moved; here both begin at 0.1.
"""

import torch
from torch import Tensor, nn

from essen.config import JointConfig
from essen.fusion.cross import Attention
from essen.towers.transformer import TransformerLayer

GATE = 0.1


class Resampler(nn.Module):
    """N learned latents read the tokens of one modality (equation 2): 4h² + 6h + Nh parameters."""

    def __init__(self, latents: int, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.empty(1, latents, width))
        nn.init.normal_(self.latents, std=0.02)
        self.attention = Attention(width, heads, dropout)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """Return (B, N, h) of tokens (B, L, h); `mask` (B, L) is True where one is real, None where all are."""
        return self.attention.read(self.latents, tokens, mask)


class TokenLearner(nn.Module):
    """N weighted means of the tokens, the weights by a small network: h² + 3h + Nh + N parameters.

    Version 1.1 of TokenLearner (arXiv 2106.11297): the weights are a softmax over the positions, of which there may be
    any number.
    """

    def __init__(self, latents: int, width: int) -> None:
        super().__init__()
        self.scores = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, latents))

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """Return (B, N, h) of tokens (B, L, h); `mask` (B, L) is True where one is real, None where all are."""
        scores = self.scores(tokens)
        if mask is not None:
            scores = scores.masked_fill(~mask.unsqueeze(-1), torch.finfo(scores.dtype).min)
        return scores.softmax(1).to(tokens.dtype).transpose(1, 2) @ tokens


class GatedFusion(nn.Module):
    """What a text's tokens become in view of a picture's, F of equation 3: 12h² + 11h + 2 parameters."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)
        self.alpha = nn.Parameter(torch.tensor(GATE))
        self.beta = nn.Parameter(torch.tensor(GATE))

    def forward(self, text: Tensor, image: Tensor) -> Tensor:
        """Return (B, N, h) of `text` and `image`, (B, N, h) each."""
        seen = self.attention.norm(text) + self.alpha.tanh() * self.dropout(self.attention.read(text, image, None))
        fused: Tensor = seen + self.beta.tanh() * self.dropout(self.mlp(seen))
        return fused


class JointLayer(nn.Module):
    """A gated fusion, added to what came in, and a transformer block: 24h² + 24h + 2 parameters."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.fusion = GatedFusion(width, heads, dropout)
        self.block = TransformerLayer(width, heads, dropout)

    def forward(self, text: Tensor, image: Tensor) -> Tensor:
        """Return the text's tokens after the layer, (B, N, h); the picture's, `image` (B, N, h), stay as they are."""
        joint: Tensor = self.block(text + self.fusion(text, image))
        return joint


class JointFusion(nn.Module):
    """Two reducers, the layers, a last norm, 2h, and what lets words read the joint tokens, 4h² + 6h."""

    def __init__(self, config: JointConfig, dropout: float = 0.0) -> None:
        super().__init__()
        width, heads = config.width, config.heads
        self.text_reducer = _build_reducer(config, dropout)
        self.image_reducer = _build_reducer(config, dropout)
        self.layers = nn.ModuleList(JointLayer(width, heads, dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.words = Attention(width, heads, dropout)

    def forward(self, text: Tensor, image: Tensor, text_mask: Tensor) -> Tensor:
        """Return the joint tokens of B pairs, (B, N, h).

        Args:
            text: (B, Lt, h).
            image: (B, Li, h).
            text_mask: (B, Lt) bool, True where a text token is real.
        """
        joint, seen = self.text_reducer(text, text_mask), self.image_reducer(image, None)
        for layer in self.layers:
            joint = layer(joint, seen)
        normed: Tensor = self.norm(joint)
        return normed

    def read(self, text: Tensor, joint: Tensor) -> Tensor:
        """Return the text's tokens `text` (B, Lt, h) after each has read the joint ones, `joint` (B, N, h).

        The joint tokens stand for no word in particular: this is where a hidden word finds what the picture shows.
        """
        read: Tensor = self.words(text, joint, None)
        return read


def _build_reducer(config: JointConfig, dropout: float) -> Resampler | TokenLearner:
    if config.reducer == "token_learner":
        return TokenLearner(config.latents, config.width)
    return Resampler(config.latents, config.width, config.heads, dropout)
