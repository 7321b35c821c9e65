"""How models are scored."""

from typing import Literal, Self

from pydantic import Field, model_validator

from essen.config.base import Config


class ScoringConfig(Config):
    """How any model is scored."""

    batch_size: int = Field(default=256, ge=1, description="pictures, captions or pairs at once")
    rerank_top: int = Field(
        default=10, ge=0, description="first answers that the fusion module puts in order; 0: no such row"
    )
    resamples: int = Field(default=2000, ge=100, description="resamples of the bootstrap")
    level: float = Field(default=0.95, gt=0, lt=1, description="probability that an interval is to cover")
    precision: Literal["auto", "bf16", "fp32"] = Field(
        default="auto", description="auto: bf16 where the processor has it"
    )
    seed: int = Field(
        default=0, ge=0, description="of resamples, shuffled controls, halves, heads and the choice of examples"
    )


class EvaluateConfig(ScoringConfig):
    """Retrieval on every held-out set, with intervals and controls."""

    examples: int = Field(
        default=8,
        ge=0,
        description="queries a set and direction that are recorded with their answers, half of them wrong",
    )
    initial_seed: int = Field(default=0, ge=0, description="of the untrained model: the training's seed")


class HeadConfig(Config):
    """A classifier on frozen features of pairs: Linear, LayerNorm, GELU, Linear."""

    epochs: int = Field(default=60, ge=1, description="most passes over the training part")
    patience: int = Field(default=8, ge=1, description="passes without a lower held-out loss before it ends")
    batch_size: int = Field(default=64, ge=1, description="trials in a step")
    learning_rate: float = Field(default=1e-3, gt=0, description="of AdamW")
    weight_decay: float = Field(default=0.05, ge=0, description="of AdamW")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="before the last layer")
    held_out: float = Field(default=0.15, gt=0, le=0.5, description="share of the groups that decides when it ends")
    teacher: str = Field(
        default="",
        exclude_if=lambda value: not value,  # the records without one stay what they were
        description="a model whose own head, trained on the same trials, gives this one soft labels: a folder, or "
        "open_clip:NAME@WEIGHTS; empty: none",
    )
    soft_labels: float = Field(
        default=1.0,
        ge=0,
        le=1,
        exclude_if=lambda value: value == 1.0,
        description="share of the teacher's answers in the labels; the rest are the true ones",
    )


class ScoreConfig(ScoringConfig):
    """Any model on trials, labelled pictures and held-out sets."""

    fit: Literal["letterbox", "stretch", "crop"] = Field(
        default="letterbox",
        description="how a picture becomes a square: whole on white as in staged shards, stretched, or its middle",
    )
    templates: tuple[str, ...] = Field(
        default=("{c}", "a {c}", "a picture of a {c}", "a drawing of a {c}", "a photo of a {c}"),
        min_length=1,
        description="prompts around a class name, {c}, where a set brings none of its own",
    )
    zero_shot: bool = Field(default=True, description="classify pictures by the names of the classes")
    probe: bool = Field(default=True, description="fit a linear probe on the vectors of labelled pictures")
    probe_strengths: tuple[float, ...] = Field(
        default=(1e-4, 1e-3, 1e-2, 1e-1),
        min_length=1,
        description="weights of the probe's squared norm, of which a held-out share chooses",
    )
    heads: bool = Field(default=True, description="train heads on trials that are true or false")
    pair_features: Literal["auto", "fused", "towers"] = Field(
        default="auto", description="what heads see: both streams after fusion, or both vectors and their product"
    )
    head: HeadConfig = HeadConfig()

    @model_validator(mode="after")
    def _templates_have_a_place(self) -> Self:
        if lacking := [text for text in self.templates if "{c}" not in text]:
            raise ValueError(f"templates: {lacking[0]!r} has no {{c}}, where the name goes")
        if min(self.probe_strengths) <= 0:
            raise ValueError("probe_strengths: give numbers above 0")
        return self
