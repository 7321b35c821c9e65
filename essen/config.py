"""Model, training and evaluation configuration: immutable values, unknown keys are refused. Light to import."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Config(BaseModel):
    """Base of the configurations here; equal to the one of the data side, which knows nothing of the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class VisionConfig(Config):
    """The vision tower: a convolutional stem, residual stages, then optional transformer blocks over the cells."""

    stem: int = Field(default=2, ge=1, description="3×3 convolutions of the stem; each halves the picture")
    widths: tuple[int, ...] = Field(
        default=(32, 64, 128, 256), min_length=1, description="channels of each residual stage"
    )
    blocks: tuple[int, ...] = Field(
        default=(1, 1, 1, 1), description="residual blocks of each stage; all but the first halve"
    )
    layers: int = Field(default=0, ge=0, description="transformer blocks after the last stage")
    heads: int = Field(default=4, ge=1, description="attention heads of these blocks")

    @model_validator(mode="after")
    def _stages_agree(self) -> Self:
        if len(self.widths) != len(self.blocks) or min(self.widths) < 1 or min(self.blocks) < 1:
            raise ValueError("vision.widths and vision.blocks need one positive entry for each stage")
        if self.layers and self.widths[-1] % self.heads:
            raise ValueError(f"vision.heads ({self.heads}) must divide the last width ({self.widths[-1]})")
        return self


class TextConfig(Config):
    """The text tower: a small transformer over word pieces."""

    vocab_size: int = Field(default=4000, ge=260, description="most word pieces to learn; the bytes alone are 256")
    max_length: int = Field(default=32, ge=2, description="longest caption, in word pieces; the rest is cut")
    width: int = Field(default=128, ge=1, description="width of the tokens")
    layers: int = Field(default=2, ge=1, description="transformer blocks")
    heads: int = Field(default=4, ge=1, description="attention heads")

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"text.heads ({self.heads}) must divide text.width ({self.width})")
        return self


class FusionConfig(Config):
    """Cross-attention between the towers' tokens."""

    width: int = Field(default=128, ge=1, description="width of both streams, h")
    layers: int = Field(default=1, ge=1, description="cross-attention layers of 28h² + 32h parameters")
    heads: int = Field(default=4, ge=1, description="attention heads")

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"fusion.heads ({self.heads}) must divide fusion.width ({self.width})")
        return self


class ModelConfig(Config):
    """A two-tower model with a fusion module."""

    name: str = Field(
        default="essen-nano", pattern=r"^[a-z0-9][a-z0-9._-]*$", description="names the folder below models/"
    )
    image_size: int = Field(default=64, ge=8, description="side of the pictures that the model sees, pixels")
    embedding_size: int = Field(default=256, ge=1, description="width of the joint space")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="in every transformer block")
    vision: VisionConfig = VisionConfig()
    text: TextConfig = TextConfig()
    fusion: FusionConfig = FusionConfig()

    @model_validator(mode="after")
    def _size_divides(self) -> Self:
        stride = 2 ** (self.vision.stem + len(self.vision.widths) - 1)
        if self.image_size % stride:
            raise ValueError(
                f"image_size ({self.image_size}) must be a multiple of the vision tower's stride ({stride})"
            )
        return self


class AugmentConfig(Config):
    """Random changes of the training pictures. No mirroring by default: captions may name directions."""

    scale: float = Field(default=0.2, ge=0, description="largest change of size, natural logarithm")
    aspect: float = Field(
        default=0.15, ge=0, description="largest stretch of one side against the other, natural logarithm"
    )
    rotate: float = Field(default=8.0, ge=0, description="largest rotation, degrees")
    shear: float = Field(default=0.15, ge=0, description="largest shear, as a tangent")
    translate: float = Field(default=0.08, ge=0, description="largest shift, share of the side")
    contrast: float = Field(
        default=0.25, ge=0, lt=1, description="largest change of a colour channel's contrast, share"
    )
    brightness: float = Field(
        default=0.1, ge=0, description="largest change of a colour channel's brightness, share of white"
    )
    grey: float = Field(default=0.1, ge=0, le=1, description="share of pictures that lose their colours")
    erase: float = Field(default=0.0, ge=0, le=1, description="share of pictures that lose a rectangle")
    mirror: bool = Field(default=False, description="mirror half of the pictures")


class ObjectiveConfig(Config):
    """Weights of the objectives; 0 switches one off."""

    contrastive: float = Field(default=1.0, ge=0, description="image-text contrast (InfoNCE)")
    image_contrast: float = Field(default=0.5, ge=0, description="contrast between pictures of equal captions")
    matching: float = Field(default=0.5, ge=0, description="image-text matching with hard negatives")
    masked: float = Field(default=0.2, ge=0, description="masked whole words")
    same_caption: Literal["positive", "mask"] = Field(
        default="positive", description="what pictures of one caption are to each other's text: positives, or left out"
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="of the image-text contrast")
    hardness: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="how negatives for matching are drawn: 0 evenly, 1 with the contrast's shares",
    )
    mask_share: float = Field(
        default=0.15, gt=0, le=1, description="share of the words that are hidden, at least one a caption"
    )
    fusion_every: int = Field(default=2, ge=1, description="steps between two uses of the fusion objectives")
    fusion_batch: int = Field(default=64, ge=1, description="pairs of a batch that the fusion objectives see")


class SamplingConfig(Config):
    """Which samples make the next batch."""

    kind: Literal["random", "staged"] = Field(
        default="staged", description="uniform, or through the stages of the curriculum"
    )
    images_per_caption: int = Field(default=2, ge=1, description="pictures of one caption that are drawn together")
    uniform_from: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="share of the steps after which all stages are one; stage k of K opens at (k-1)/K of that time",
    )
    replay: float = Field(
        default=0.25, ge=0, lt=1, description="share of a batch that is drawn from the earlier stages"
    )


class TrainConfig(Config):
    """One training run: everything that decides its bytes, together with the model, the shards and the machine."""

    seed: int = Field(default=0, ge=0, description="of the initial weights, the batches and all randomness")
    steps: int = Field(default=1500, ge=1, description="optimiser steps")
    batch_size: int = Field(default=256, ge=1, description="pairs in a step")
    learning_rate: float = Field(default=4e-3, gt=0, description="highest learning rate")
    final_rate: float = Field(default=0.01, ge=0, le=1, description="learning rate at the end, share of the highest")
    warmup_steps: int = Field(default=50, ge=0, description="steps of linear warm-up")
    weight_decay: float = Field(
        default=0.1, ge=0, description="of matrices and convolutions; vectors and scalars have none"
    )
    betas: tuple[float, float] = Field(default=(0.9, 0.98), description="AdamW's averages")
    clip: float = Field(default=1.0, gt=0, description="largest norm of the gradient")
    ema_decay: float = Field(
        default=0.995, ge=0, lt=1, description="of the averaged weights that are exported; 0: the last ones"
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        default="auto", description="auto: bf16 where the processor has it"
    )
    threads: int = Field(default=0, ge=0, description="processor threads; 0 leaves it to torch")
    objectives: ObjectiveConfig = ObjectiveConfig()
    sampling: SamplingConfig = SamplingConfig()
    augment: AugmentConfig = AugmentConfig()
    checkpoint_every: int = Field(default=50, ge=1, description="steps between two checkpoints")
    log_every: int = Field(default=20, ge=1, description="steps between two lines of metrics.jsonl")
    max_skipped: int = Field(default=5, ge=0, description="steps in a row that may fail for a loss that is no number")
    image_memory: int = Field(default=2048, ge=0, description="most MiB of decoded pictures to keep")


class EvaluateConfig(Config):
    """Retrieval on every held-out set, with intervals and controls."""

    batch_size: int = Field(default=256, ge=1, description="pictures, captions or pairs at once")
    rerank_top: int = Field(
        default=10, ge=0, description="first answers that the fusion module puts in order; 0: no such row"
    )
    resamples: int = Field(default=2000, ge=100, description="resamples of the bootstrap")
    level: float = Field(default=0.95, gt=0, lt=1, description="probability that an interval is to cover")
    examples: int = Field(
        default=8, ge=0, description="queries a set that are recorded with their answers, half of them wrong"
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        default="auto", description="auto: bf16 where the processor has it"
    )
    initial_seed: int = Field(default=0, ge=0, description="of the untrained model: the training's seed")
    seed: int = Field(
        default=0, ge=0, description="of resamples, of the shuffled control and of the choice of examples"
    )
