"""One training run: objectives, augmentation, optimiser, stopping."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PositiveInt, field_validator, model_validator

from essen.config.adapt import CacheConfig
from essen.config.base import Config
from essen.config.distillation import AnyDistillation, MutualConfig, TeacherConfig
from essen.config.sampling import SamplingConfig


class AugmentConfig(Config):
    """Random changes of the training pictures; in place of the keys, ``none`` switches all off.

    No mirroring by default: captions may name directions.
    """

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

    @model_validator(mode="before")
    @classmethod
    def _none(cls, values: Any) -> Any:
        return dict.fromkeys(cls.model_fields, 0) if values == "none" else values

    @property
    def still(self) -> bool:
        """Whether pictures stay as they are."""
        return not any(self.model_dump().values())


class ObjectiveConfig(Config):
    """Weights of the objectives; 0 switches one off."""

    contrastive: float = Field(default=1.0, ge=0, description="image-text contrast")
    contrast: Literal["softmax", "sigmoid"] = Field(
        default="softmax",
        description="how: InfoNCE, or SigLIP, where each pair of the batch is judged by itself and a bias is learnt",
    )
    image_contrast: float = Field(default=0.5, ge=0, description="contrast between pictures of equal captions")
    matching: float = Field(default=0.5, ge=0, description="image-text matching with hard negatives")
    masked: float = Field(default=0.2, ge=0, description="masked whole words")
    same_caption: Literal["positive", "mask"] = Field(
        default="positive", description="what pictures of one caption are to each other's text: positives, or left out"
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="of the contrast by softmax")
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


class StoppingConfig(Config):
    """Early stopping: held-out retrieval is examined now and then, and the best weights are kept."""

    patience: int = Field(
        default=0, ge=0, description="examinations without a better score after which training ends; 0: no examination"
    )
    every: int = Field(default=100, ge=1, description="steps between two examinations; the last step is one too")
    split: str = Field(default="validation", description="held-out set of the stages, never one that is reported on")
    keep: Literal["best", "last"] = Field(
        default="best",
        exclude_if=lambda value: value == "best",
        description="which weights become the model: those that did best when examined, or the last; last and a large "
        "patience give a learning curve and leave the training as it is",
    )


class TrainConfig(Config):
    """One training run: everything that decides its bytes, together with the model, the shards and the machine."""

    seed: int = Field(default=0, ge=0, description="of the initial weights, the batches and all randomness")
    steps: int = Field(default=1500, ge=1, description="optimiser steps")
    batch_size: int = Field(default=256, ge=1, description="pairs in a step, of all processes together")
    micro_batch: int = Field(
        default=0,
        ge=0,
        description="most pairs that go through the model at once; the gradients are those of the whole batch, and "
        "the smaller the parts the longer it takes (benchmarks/gradient_cache.py); 0: all",
    )
    learning_rate: float = Field(default=4e-3, gt=0, description="highest learning rate")
    schedule: Literal["cosine", "wsd"] = Field(
        default="cosine",
        description="after the warm-up: a cosine down to the final rate, or the highest rate until a decay at the end",
    )
    decay_share: float = Field(default=0.2, gt=0, le=1, description="wsd: share of the steps that decay takes")
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
    distillation: AnyDistillation | None = Field(
        default=None,
        exclude_if=lambda value: value is None,  # the digests of trainings without it stay what they were
        description="what a trained model, or the model's own fusion, teaches it; null: nothing",
    )
    sampling: SamplingConfig = SamplingConfig()
    augment: AugmentConfig = AugmentConfig()
    cache: CacheConfig = Field(
        default=CacheConfig(),
        exclude_if=lambda value: value == CacheConfig(),  # the digests of trainings without it stay what they were
        description="what towers that stand still make of pictures and captions, computed once",
    )
    checkpoint_every: int = Field(default=50, ge=1, description="steps between two checkpoints")
    log_every: int = Field(default=20, ge=1, description="steps between two lines of metrics.jsonl")
    max_skipped: int = Field(default=5, ge=0, description="steps in a row that may fail for a loss that is no number")
    max_rollbacks: int = Field(
        default=3,
        ge=0,
        description="times that the weights go back to the last checkpoint when more steps fail; not twice in a row",
    )
    stopping: StoppingConfig = StoppingConfig()
    snapshots_at_words: tuple[PositiveInt, ...] | Literal["babylm"] = Field(
        default=(),
        exclude_if=lambda value: value == (),  # the digests of trainings without it stay what they were
        description="numbers of caption words seen, repetitions included, after which the model is kept as it is then, "
        "below checkpoints/ in its folder; babylm: 1M to 10M by 1M, to 100M by 10M, to 1,000M by 100M",
    )
    compile: bool = Field(
        default=False, description="compile towers and fusion (torch.compile); without a C++ compiler it is left out"
    )
    deterministic: bool = Field(
        default=False, description="refuse operations of torch whose result may differ from run to run"
    )
    tensorboard: bool = Field(default=False, description="write event files for TensorBoard, which are no result")
    image_memory: int = Field(default=2048, ge=0, description="most MiB of decoded pictures to keep")

    @field_validator("snapshots_at_words")
    @classmethod
    def _numbers_rise(cls, value: tuple[int, ...] | str) -> tuple[int, ...] | str:
        if not isinstance(value, str) and list(value) != sorted(set(value)):
            raise ValueError("each number of words is to be higher than the one before")
        return value

    @model_validator(mode="after")
    def _cached_pictures_stand_still(self) -> Self:
        if self.cache.towers in ("vision", "both") and not self.augment.still:
            raise ValueError(
                f"cache.towers ({self.cache.towers}): pictures that are changed at random are not the same twice; set "
                "augment to none, or cache.towers to text"
            )
        return self

    @model_validator(mode="after")
    def _distillation_is_possible(self) -> Self:
        if isinstance(self.distillation, MutualConfig) and not self.objectives.matching:
            raise ValueError("distillation of kind mutual: give objectives.matching a weight; the fusion learns by it")
        if isinstance(self.distillation, TeacherConfig) and self.distillation.attention and self.compile:
            raise ValueError("distillation.attention: a compiled tower shows no queries; set compile to false")
        if isinstance(self.distillation, TeacherConfig) and self.cache.towers in ("vision", "both"):
            raise ValueError("distillation: a teacher needs pictures, which cache.towers leaves out; set that to none")
        return self

    @property
    def teacher(self) -> str:
        """The folder of the model that teaches this one; empty: none."""
        return self.distillation.teacher if isinstance(self.distillation, TeacherConfig) else ""

    def at(self, folder: Path) -> "TrainConfig":
        """Return the configuration with the paths of the reference model and the teacher starting from a folder."""
        update: dict[str, Config] = {}
        learnability = self.sampling.learnability
        if learnability.reference:
            found = learnability.model_copy(update={"reference": str(folder / learnability.reference)})
            update["sampling"] = self.sampling.model_copy(update={"learnability": found})
        if isinstance(self.distillation, TeacherConfig):
            update["distillation"] = self.distillation.model_copy(update={"teacher": str(folder / self.teacher)})
        return self.model_copy(update=update)
