"""ESsEN: two towers, a joint space, and a fusion of their tokens (arXiv 2604.18452); and its one-tower baseline."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from essen.adapt.adapt import adapt_towers
from essen.config import FusionConfig, ImageMapConfig, JointConfig, ModelConfig, NoFusionConfig, ShallowConfig
from essen.errors import EssenError
from essen.fusion.cross import CrossFusion, Fused
from essen.fusion.joint import JointFusion
from essen.fusion.merged import MergedFusion
from essen.fusion.shallow import ShallowFusion
from essen.towers.build import build_text_tower, build_vision_tower
from essen.towers.tower import TowerFeatures
from essen.towers.transformer import masked_mean

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
    """The towers with their fusion module and heads.

    With one tower, the merged encoder is all there is: a modality's embedding comes from a pass of it with that
    modality alone, and a pair's score from a pass with both.

    Attributes:
        config: of the model, complete: it can be built from it without any pretrained weights at hand.
    """

    def __init__(self, config: ModelConfig, vocab_size: int, *, pretrained: bool = True) -> None:
        """Build the model.

        Args:
            config: of the model.
            vocab_size: number of word pieces of its tokenizer.
            pretrained: load the weights that the configuration names; otherwise all are random.

        Raises:
            EssenError: a pretrained tower cannot be had or does not fit.
        """
        super().__init__()
        self.vocab_size = vocab_size
        self.vision = build_vision_tower(config, pretrained=pretrained)
        self.text, self.config = build_text_tower(config, vocab_size, pretrained=pretrained)
        self.image_projection = _image_map(config.image_map, self.vision.width, config.embedding_size)
        self.text_projection = nn.Linear(self.text.width, config.embedding_size)
        self._add_fusion()
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        # Last, so that all other weights are those of the model that is not adapted.
        frozen = (self.config.vision.freeze, self.config.text.freeze)
        self.shared = adapt_towers(self.vision, self.text, self.config.adapt, frozen=frozen)

    def _add_fusion(self) -> None:
        """Add what comes after the towers' tokens: nothing, a shallow fusion, or one with token types and word head."""
        config = self.config.fusion
        self.image_to_fusion: nn.Module = nn.Identity()
        self.text_to_fusion: nn.Module = nn.Identity()
        self.token_types: nn.Parameter | None = None
        self.fusion: CrossFusion | MergedFusion | JointFusion | ShallowFusion | None = None
        self.word_head: nn.Module | None = None
        if isinstance(config, NoFusionConfig):
            return
        width = config.width
        if self.config.towers == "two":
            self.image_to_fusion = nn.Linear(self.vision.width, width)
            self.text_to_fusion = nn.Linear(self.text.width, width)
        if isinstance(config, FusionConfig):
            self.token_types = nn.Parameter(torch.empty(2, width))
            nn.init.normal_(self.token_types, std=0.02)
        self.fusion = _build_fusion(config, self.config.dropout)
        if isinstance(config, JointConfig):
            self.joint_pooler = nn.Linear(width, width)
        else:
            self.text_pooler = nn.Linear(width, width)
            self.image_pooler = nn.Linear(width, width)
        self.matching_head = nn.Linear(2 * width if isinstance(config, FusionConfig) else width, 1)
        if isinstance(config, ShallowConfig):
            return
        self.word_head = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, self.vocab_size)
        )

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """Return the features of pictures.

        Args:
            pixels: (B, 3, H, W), RGB; uint8 in 0..255 or floating point in 0..1. A picture of another size than
                ``config.image_size`` is scaled to it.
        """
        return self.project_images(self.vision(self.see(pixels)))

    def see(self, pixels: Tensor) -> Tensor:
        """Return pictures as the vision tower takes them; see `encode_images`."""
        return self.vision.normalise(prepare_pixels(pixels, self.config.image_size))

    def project_images(self, features: TowerFeatures) -> ImageFeatures:
        """Return the features of pictures of those of the vision tower."""
        pooled, tokens = features
        tokens = self.image_to_fusion(tokens)
        if self.token_types is not None:
            tokens = tokens + self.token_types[1]
        if self.config.towers == "one":
            pooled = self._alone(tokens, None)
        return ImageFeatures(F.normalize(self.image_projection(pooled).float(), dim=-1), tokens)

    def encode_texts(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """Return the features of captions.

        Args:
            ids: (B, L) int64.
            mask: (B, L) bool, True where a token is real.
        """
        return self.project_texts(self.text(ids, mask), mask)

    def project_texts(self, features: TowerFeatures, mask: Tensor) -> TextFeatures:
        """Return the features of captions of those of the text tower; `mask` as in `encode_texts`."""
        pooled, tokens = features
        tokens = self.text_to_fusion(tokens)
        if self.token_types is not None:
            tokens = tokens + self.token_types[0]
        if self.config.towers == "one":
            pooled = self._alone(tokens, mask)
        return TextFeatures(F.normalize(self.text_projection(pooled).float(), dim=-1), tokens, mask)

    def fuse(self, images: ImageFeatures, texts: TextFeatures) -> Fused:
        """Return both token streams of B pairs after the fusion, or as they are where it is shallow or none.

        After a joint fusion, the N joint tokens stand in the place of the picture's.
        """
        if isinstance(self.fusion, JointFusion):
            joint = self.fusion(texts.tokens, images.tokens, texts.mask)
            return Fused(self.fusion.read(texts.tokens, joint), joint)
        if isinstance(self.fusion, CrossFusion | MergedFusion):
            fused: Fused = self.fusion(texts.tokens, images.tokens, texts.mask)
            return fused
        return Fused(texts.tokens, images.tokens)

    def match(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """Return (B,) float32 logits that picture and caption of each of B pairs belong together.

        A model without fusion has the cosine over the temperature, and nothing else, to tell it by.
        """
        if self.fusion is None:
            return self.logit_scale.exp() * (images.embedding * texts.embedding).sum(-1)
        return self.matching_head(self._pooled(images, texts)).squeeze(-1).float()

    def predict_words(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """Return (B, L, vocabulary) float32 logits of the word piece at every text position of B pairs.

        Raises:
            EssenError: the fusion does not let words see the picture.
        """
        if self.word_head is None:
            raise EssenError(
                f"model.fusion of kind {self.config.fusion.kind} shows no picture to the words, so none can be told "
                "from it: switch masked words off (train.objectives.masked: 0), or choose another fusion"
            )
        logits: Tensor = self.word_head(self.fuse(images, texts).text)
        return logits.float()

    def _pooled(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """Return what the matching head reads of B pairs: (B, 2h), or (B, h) where the fusion makes one vector."""
        if isinstance(self.fusion, JointFusion):
            joint = self.fusion(texts.tokens, images.tokens, texts.mask)
            return torch.tanh(self.joint_pooler(joint.mean(1)))
        fused = self.fuse(images, texts)
        pooled_text = torch.tanh(self.text_pooler(masked_mean(fused.text, texts.mask)))
        pooled_image = torch.tanh(self.image_pooler(fused.image.mean(1)))
        if isinstance(self.fusion, ShallowFusion):
            return self.fusion(pooled_text, pooled_image)
        return torch.cat([pooled_text, pooled_image], dim=-1)

    def _alone(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """Return (B, h) float32: the mean of one modality's tokens after the one tower has seen them alone."""
        assert isinstance(self.fusion, MergedFusion)  # the configuration sees to it
        encoded = self.fusion.encode(tokens, mask).float()
        return encoded.mean(1) if mask is None else masked_mean(encoded, mask)

    @torch.no_grad()
    def clamp_temperature(self) -> None:
        """Keep log(1/τ) in [0, ln 100]; called after every optimiser step."""
        self.logit_scale.clamp_(0, MAX_LOGIT_SCALE)


def _image_map(config: ImageMapConfig, width: int, embedding_size: int) -> nn.Module:
    """Return the map of a picture's pooled features (B, width) into the joint space."""
    if not config.hidden:
        return nn.Linear(width, embedding_size)
    return nn.Sequential(
        nn.Dropout(config.dropout),
        nn.Linear(width, config.hidden),
        nn.GELU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.hidden, embedding_size),
    )


def prepare_pixels(pixels: Tensor, size: int) -> Tensor:
    """Return pictures as float32 (B, 3, size, size) of 0..1; see `Essen.encode_images` for what is taken."""
    scaled = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()
    if scaled.shape[-2:] != (size, size):
        scaled = F.interpolate(scaled, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return scaled


def build_model(config: ModelConfig, vocab_size: int, seed: int, *, pretrained: bool = True) -> Essen:
    """Return a model with weights that depend on the arguments alone; the caller's random state is left as it was.

    Args:
        config: of the model.
        vocab_size: number of word pieces of its tokenizer.
        seed: of all weights that are not loaded.
        pretrained: load the weights that the configuration names; otherwise all are random.

    Raises:
        EssenError: a pretrained tower cannot be had or does not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Essen(config, vocab_size, pretrained=pretrained)


def _build_fusion(
    config: FusionConfig | JointConfig | ShallowConfig, dropout: float
) -> CrossFusion | MergedFusion | JointFusion | ShallowFusion:
    if isinstance(config, ShallowConfig):
        return ShallowFusion(config.width)
    if isinstance(config, JointConfig):
        return JointFusion(config, dropout)
    return MergedFusion(config, dropout) if config.kind == "concat" else CrossFusion(config, dropout)
