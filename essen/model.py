"""ESsEN: two towers, a joint space, and cross-attention between their tokens (arXiv 2604.18452)."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from essen.config import ModelConfig
from essen.fusion.cross import CrossFusion, Fused
from essen.towers.text import TextTower
from essen.towers.transformer import masked_mean
from essen.towers.vision import VisionTower

# Drawings are mostly white: these centre and scale them as well as per-channel statistics do, with nothing to store.
PIXEL_MEAN, PIXEL_DEVIATION = 0.5, 0.25
MAX_LOGIT_SCALE = math.log(100)


class ImageFeatures(NamedTuple):
    """Pictures: `embedding` (B, E) float32 of unit length, `tokens` (B, Li, h) for the fusion."""

    embedding: Tensor
    tokens: Tensor

    def take(self, rows: Tensor) -> "ImageFeatures":
        """Return the features of some rows, (R,) int64."""
        # Not by `[rows]`, whose gradient several threads add up in an order of their own.
        return ImageFeatures(*(part.index_select(0, rows) for part in self))


class TextFeatures(NamedTuple):
    """Captions: `embedding` (B, E) float32 of unit length, `tokens` (B, L, h), `mask` (B, L) True where real."""

    embedding: Tensor
    tokens: Tensor
    mask: Tensor

    def take(self, rows: Tensor) -> "TextFeatures":
        """Return the features of some rows, (R,) int64."""
        return TextFeatures(*(part.index_select(0, rows) for part in self))


class Essen(nn.Module):
    """The two-tower model with its fusion module and heads."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.vocab_size = vocab_size
        width = config.fusion.width
        self.vision = VisionTower(config.vision, config.image_size, config.dropout)
        self.text = TextTower(config.text, vocab_size, config.dropout)
        self.image_projection = nn.Linear(self.vision.width, config.embedding_size)
        self.text_projection = nn.Linear(self.text.width, config.embedding_size)
        self.image_to_fusion = nn.Linear(self.vision.width, width)
        self.text_to_fusion = nn.Linear(self.text.width, width)
        self.token_types = nn.Parameter(torch.empty(2, width))
        nn.init.normal_(self.token_types, std=0.02)
        self.fusion = CrossFusion(config.fusion, config.dropout)
        self.text_pooler = nn.Linear(width, width)
        self.image_pooler = nn.Linear(width, width)
        self.matching_head = nn.Linear(2 * width, 1)
        self.word_head = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, vocab_size)
        )
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """Return the features of pictures.

        Args:
            pixels: (B, 3, H, W), RGB; uint8 in 0..255 or floating point in 0..1. A picture of another size than
                ``config.image_size`` is scaled to it.
        """
        features = self.vision(prepare_pixels(pixels, self.config.image_size))
        return ImageFeatures(
            embedding=F.normalize(self.image_projection(features.pooled).float(), dim=-1),
            tokens=self.image_to_fusion(features.tokens) + self.token_types[1],
        )

    def encode_texts(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """Return the features of captions.

        Args:
            ids: (B, L) int64.
            mask: (B, L) bool, True where a token is real.
        """
        features = self.text(ids, mask)
        return TextFeatures(
            embedding=F.normalize(self.text_projection(features.pooled).float(), dim=-1),
            tokens=self.text_to_fusion(features.tokens) + self.token_types[0],
            mask=mask,
        )

    def fuse(self, images: ImageFeatures, texts: TextFeatures) -> Fused:
        """Return both token streams of B pairs after cross-attention."""
        return self.fusion(texts.tokens, images.tokens, texts.mask)

    def match(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """Return (B,) float32 logits that picture and caption of each of B pairs belong together."""
        fused = self.fuse(images, texts)
        pooled_text = torch.tanh(self.text_pooler(masked_mean(fused.text, texts.mask)))
        pooled_image = torch.tanh(self.image_pooler(fused.image.mean(1)))
        return self.matching_head(torch.cat([pooled_text, pooled_image], dim=-1)).squeeze(-1).float()

    def predict_words(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """Return (B, L, vocabulary) float32 logits of the word piece at every text position of B pairs."""
        return self.word_head(self.fuse(images, texts).text).float()

    @torch.no_grad()
    def clamp_temperature(self) -> None:
        """Keep log(1/τ) in [0, ln 100]; called after every optimiser step."""
        self.logit_scale.clamp_(0, MAX_LOGIT_SCALE)


def prepare_pixels(pixels: Tensor, size: int) -> Tensor:
    """Return pictures as float32 (B, 3, size, size), normalised; see `Essen.encode_images` for what is taken."""
    scaled = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()
    if scaled.shape[-2:] != (size, size):
        scaled = F.interpolate(scaled, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return (scaled - PIXEL_MEAN) / PIXEL_DEVIATION


def build_model(config: ModelConfig, vocab_size: int, seed: int) -> Essen:
    """Return a model with weights that depend on the arguments alone; the caller's random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Essen(config, vocab_size)
