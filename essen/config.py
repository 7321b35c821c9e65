"""Model, training and evaluation configuration: immutable values, unknown keys are refused. Light to import."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from essen.presets import resolve_preset


class Config(BaseModel):
    """Base of the configurations here; equal to the one of the data side, which knows nothing of the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _by_kind(usual: str, *others: str) -> Discriminator:
    """Return what tells the members of a union apart: their `kind`, which need not be written where it is the usual."""
    return Discriminator(
        lambda value: value.get("kind", usual) if isinstance(value, dict) else getattr(value, "kind", None),
        custom_error_type="union_tag_unknown",
        custom_error_message=f"kind must be one of {', '.join((usual, *others))}",
    )


class VisionConfig(Config):
    """The project's own convolutional tower: a stem, residual stages, then optional transformer blocks (hybrid)."""

    kind: Literal["convolutional"] = "convolutional"
    stem: int = Field(default=2, ge=1, description="3×3 convolutions of the stem; each halves the picture")
    widths: tuple[int, ...] = Field(
        default=(32, 64, 128, 256), min_length=1, description="channels of each residual stage"
    )
    blocks: tuple[int, ...] = Field(
        default=(1, 1, 1, 1), description="residual blocks of each stage; all but the first halve"
    )
    layers: int = Field(default=0, ge=0, description="transformer blocks after the last stage")
    heads: int = Field(default=4, ge=1, description="attention heads of these blocks")
    pool: Literal["mean", "attention"] = Field(default="mean", description="how cells become one vector")
    freeze: bool = Field(default=False, description="hold weights and running statistics; pool and norm still learn")

    @model_validator(mode="after")
    def _stages_agree(self) -> Self:
        if len(self.widths) != len(self.blocks) or min(self.widths) < 1 or min(self.blocks) < 1:
            raise ValueError("vision.widths and vision.blocks need one positive entry for each stage")
        if self.layers and self.widths[-1] % self.heads:
            raise ValueError(f"vision.heads ({self.heads}) must divide the last width ({self.widths[-1]})")
        return self

    @property
    def stride(self) -> int:
        """Pixels of a cell's side."""
        return 2 ** (self.stem + len(self.widths) - 1)


class PatchConfig(Config):
    """A patch transformer (ViT): square patches, positions, transformer blocks."""

    kind: Literal["patch"]
    patch: int = Field(default=16, ge=1, description="side of a patch, pixels")
    width: int = Field(default=192, ge=1, description="width of the tokens")
    layers: int = Field(default=4, ge=0, description="transformer blocks")
    heads: int = Field(default=4, ge=1, description="attention heads")
    pool: Literal["mean", "attention", "class"] = Field(
        default="mean", description="how patches become one vector; class: a token of its own, as in ViT"
    )
    freeze: bool = Field(default=False, description="hold all weights but the pool's")

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"vision.heads ({self.heads}) must divide vision.width ({self.width})")
        return self

    @property
    def stride(self) -> int:
        """Pixels of a patch's side."""
        return self.patch


class BackboneConfig(Config):
    """Any backbone of timm; its feature map becomes the tokens, and its width is theirs."""

    kind: Literal["timm"]
    backbone: str = Field(description="timm's name of it, for example tf_efficientnet_b2")
    weights: str = Field(
        default="",
        description="pretrained weights: a file or folder, package:PACKAGE/FILE for one inside an installed package, "
        "or a name on the Hugging Face hub (OWNER/NAME or OWNER/NAME@REVISION); empty: random",
    )
    pool: Literal["mean", "attention"] = Field(default="mean", description="how cells become one vector")
    freeze: bool = Field(default=False, description="hold weights and running statistics; pool and norm still learn")


class TextConfig(Config):
    """The project's own text tower: a small transformer over word pieces learned from the training captions."""

    kind: Literal["own"] = "own"
    vocab_size: int = Field(default=4000, ge=260, description="most word pieces to learn; the bytes alone are 256")
    max_length: int = Field(default=32, ge=2, description="longest caption, in word pieces; the rest is cut")
    width: int = Field(default=128, ge=1, description="width of the tokens")
    layers: int = Field(default=2, ge=0, description="transformer blocks; 0: the word pieces themselves")
    heads: int = Field(default=4, ge=1, description="attention heads")
    freeze: bool = Field(default=False, description="hold all weights")

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"text.heads ({self.heads}) must divide text.width ({self.width})")
        return self


class PretrainedTextConfig(Config):
    """Any text encoder of transformers, with the tokenizer that belongs to it."""

    kind: Literal["transformers"]
    weights: str = Field(
        default="",
        description="pretrained weights and tokenizer: a folder, package:PACKAGE/FOLDER, or a name on the Hugging Face "
        "hub (OWNER/NAME or OWNER/NAME@REVISION); empty: random weights, and a tokenizer learned from the captions",
    )
    architecture: dict[str, Any] = Field(
        default={}, description="what transformers' AutoConfig takes, model_type first; empty: as the weights say"
    )
    max_length: int = Field(default=50, ge=3, description="longest caption, in word pieces; the rest is cut")
    freeze: bool = Field(default=False, description="hold all weights")

    @model_validator(mode="after")
    def _known(self) -> Self:
        if not self.weights and "model_type" not in self.architecture:
            raise ValueError("text: name the weights, or give an architecture with its model_type")
        return self


class FusionConfig(Config):
    """Attention between the towers' tokens."""

    kind: Literal["lxmert", "meter", "concat"] = Field(
        default="lxmert",
        description="lxmert: cross-attention with one weight set for both directions, 28h² + 32h parameters a layer; "
        "meter: co-attention with separate weights, 32h² + 38h; concat: self-attention over both streams as one, "
        "12h² + 13h",
    )
    width: int = Field(default=128, ge=1, description="width of both streams, h")
    layers: int = Field(default=1, ge=1, description="fusion layers")
    heads: int = Field(default=4, ge=1, description="attention heads")
    norm: Literal["pre", "post"] = Field(
        default="pre", description="layer norms before each part, or behind it as LXMERT has them (lxmert and meter)"
    )

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"fusion.heads ({self.heads}) must divide fusion.width ({self.width})")
        if self.kind == "concat" and self.norm == "post":
            raise ValueError("fusion.norm: post belongs to lxmert and meter; concat has its norms before each part")
        return self


class ShallowConfig(Config):
    """Fusion of the pooled vectors alone, W2·GELU(LN(W1·[text; image])) (DiDE): 6h² + 7h parameters."""

    kind: Literal["mlp"]
    width: int = Field(default=128, ge=1, description="width of both pooled vectors, h")


class NoFusionConfig(Config):
    """A dual encoder: the cosine is all."""

    kind: Literal["none"]


AnyVision = Annotated[
    Annotated[VisionConfig, Tag("convolutional")]
    | Annotated[PatchConfig, Tag("patch")]
    | Annotated[BackboneConfig, Tag("timm")],
    _by_kind("convolutional", "patch", "timm"),
]
AnyText = Annotated[
    Annotated[TextConfig, Tag("own")] | Annotated[PretrainedTextConfig, Tag("transformers")],
    _by_kind("own", "transformers"),
]
AnyFusion = Annotated[
    Annotated[FusionConfig, Tag("lxmert")]
    | Annotated[FusionConfig, Tag("meter")]
    | Annotated[FusionConfig, Tag("concat")]
    | Annotated[ShallowConfig, Tag("mlp")]
    | Annotated[NoFusionConfig, Tag("none")],
    _by_kind("lxmert", "meter", "concat", "mlp", "none"),
]


class ModelConfig(Config):
    """A model: one tower a modality (or a merged one for both), a joint space, a fusion module.

    In place of the whole, the name of a preset will do (`essen.presets`); given as ``preset`` beside other keys, these
    are laid over it.
    """

    name: str = Field(
        default="essen-nano", pattern=r"^[a-z0-9][a-z0-9._-]*$", description="names the folder below models/"
    )
    towers: Literal["two", "one"] = Field(
        default="two",
        description="one: the merged encoder over embedded words and patches (fusion concat) is all there is; each "
        "modality's vector is a pass of it with that modality alone",
    )
    image_size: int = Field(default=64, ge=8, description="side of the pictures that the model sees, pixels")
    embedding_size: int = Field(default=256, ge=1, description="width of the joint space")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="in every transformer block of the project's own")
    vision: AnyVision = VisionConfig()
    text: AnyText = TextConfig()
    fusion: AnyFusion = FusionConfig()

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, values: Any) -> Any:
        return resolve_preset(values)

    @model_validator(mode="after")
    def _size_divides(self) -> Self:
        if not isinstance(self.vision, BackboneConfig) and self.image_size % self.vision.stride:
            raise ValueError(
                f"image_size ({self.image_size}) must be a multiple of the vision tower's stride ({self.vision.stride})"
            )
        return self

    @model_validator(mode="after")
    def _one_tower_is_merged(self) -> Self:
        if self.towers == "two":
            return self
        vision, text, fusion = self.vision, self.text, self.fusion
        if not (
            isinstance(vision, PatchConfig)
            and isinstance(text, TextConfig)
            and isinstance(fusion, FusionConfig)
            and (vision.layers, text.layers, vision.pool, fusion.kind) == (0, 0, "mean", "concat")
            and vision.width == text.width == fusion.width
        ):
            raise ValueError(
                "towers: one needs vision of kind patch and text of kind own, both with layers 0 and fusion's width, "
                "vision.pool mean, and fusion of kind concat"
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


class PacingConfig(Config):
    """How fast the curriculum opens, until `SamplingConfig.uniform_from`; see `essen.sampling.pacing`."""

    kind: Literal["linear", "root", "geometric", "step", "competence"] = Field(
        default="linear", description="shape of the growth; step: as the schedule says"
    )
    over: Literal["stages", "rank", "difficulty"] = Field(
        default="stages",
        description="what opens: stage by stage, or the order from its beginning, sample by sample or all samples of "
        "one difficulty together",
    )
    root: float = Field(default=2.0, ge=1, description="p of root and competence: 1 is linear, 2 the square root")
    start: float = Field(
        default=0.01, gt=0, le=1, description="over rank and difficulty: share of the order that is open at first"
    )
    unit: float = Field(
        default=0.0, ge=0, le=1, description="over rank and difficulty: share by which the open part grows; 0: any"
    )
    schedule: tuple[tuple[float, float], ...] = Field(
        default=(), description="step: (share of the time, share of the way that is open from then on), rising"
    )

    @model_validator(mode="after")
    def _schedule_rises(self) -> Self:
        if (self.kind == "step") != bool(self.schedule):
            raise ValueError("sampling.pacing.schedule belongs to kind step, and step needs one")
        for column in zip(*self.schedule, strict=True):
            if list(column) != sorted(column) or not 0 <= column[0] <= column[-1] <= 1:
                raise ValueError("sampling.pacing.schedule: give pairs of shares from 0 to 1, both rising")
        return self


class TonicsConfig(Config):
    """Batches of one node of the ontology; nodes open as the model learns them (TOnICS, arXiv 2207.14525)."""

    tree: Literal["ontology", "shuffled", "leaves", "reversed"] = Field(
        default="ontology",
        description="ontology: from the root to the leaves; controls: a tree of the same sizes with its samples drawn "
        "at random, leaves from the first step on, or from the leaves to the root",
    )
    depth: int | None = Field(default=None, ge=0, description="levels below the root that are used; null: all")
    min_count: int = Field(default=1, ge=1, description="training samples that a node needs, beside a full batch")
    every: int = Field(default=25, ge=1, description="steps between two examinations of the nodes")
    pairs: int = Field(default=32, ge=2, description="pairs of a held-out batch: chance is one in so many")
    batches: int = Field(default=2, ge=1, description="held-out batches a node")
    threshold: float = Field(default=0.8, gt=0, le=1, description="held-out accuracy at which a node opens")
    smoothing: float = Field(default=0.5, ge=0, lt=1, description="share of its past in a node's averaged accuracy")
    keep: float = Field(default=0.3, ge=0, lt=1, description="share of its probability that an opened node keeps")
    keep_root: float = Field(default=0.1, gt=0, lt=1, description="lowest probability of the root once it is open")
    patience: int = Field(default=500, ge=1, description="batches of a node after which it opens in any case")


class AdaptiveConfig(Config):
    """Sources drawn by how much is still being learnt from them."""

    every: int = Field(default=25, ge=1, description="steps between two measurements of the held-out losses")
    pairs: int = Field(default=32, ge=2, description="pairs of a source's held-out batch")
    progress: Literal["change", "fall"] = Field(
        default="change",
        description="what counts: any change of the loss, or its fall alone, of which noise leaves little in the mean",
    )
    smoothing: float = Field(default=0.8, ge=0, lt=1, description="share of its past in a source's averaged progress")
    floor: float = Field(default=0.2, gt=0, le=1, description="share of the batch that is dealt out evenly")
    temperature: float = Field(default=1.0, gt=0, description="above 1 evens the sources out, below 1 sharpens them")


class LearnabilityConfig(Config):
    """Batches chosen from larger ones by what is hard for the learner and easy for a reference (arXiv 2406.17711)."""

    reference: str = Field(default="", description="folder of the trained model that is the reference")
    filtered: float = Field(default=0.8, ge=0, lt=1, description="share of the larger batch that is not taken")
    chunks: int = Field(default=16, ge=1, description="parts in which a batch is chosen, each in view of those before")


class MixturePoint(Config):
    """The weights of the sources at one moment; between two moments they change evenly."""

    at: float = Field(ge=0, le=1, description="share of the steps")
    weights: dict[str, float] = Field(min_length=1, description="by name of the source; who is not named has none")

    @model_validator(mode="after")
    def _weights_are_shares(self) -> Self:
        if min(self.weights.values()) < 0 or not sum(self.weights.values()) < float("inf"):
            raise ValueError("sampling.mixture: weights are numbers from 0 upwards")
        if not any(self.weights.values()):
            raise ValueError(f"sampling.mixture: no source has a weight at {self.at:g}")
        return self


class SamplingConfig(Config):
    """Which samples make the next batch."""

    kind: Literal["random", "staged", "tonics", "adaptive", "learnability", "mixture"] = Field(
        default="staged",
        description="uniform; through the stages of the curriculum; by nodes of the ontology; by each source's "
        "progress; the most learnable of a larger batch; sources by declared weights",
    )
    order: Literal["order", "random", "reversed", "shuffled", "frequency", "permuted"] = Field(
        default="order", description="the curriculum's order, or the control below stages/orders that takes its place"
    )
    images_per_caption: int = Field(default=2, ge=1, description="pictures of one caption that are drawn together")
    allow_same_image: bool = Field(default=False, description="let a batch hold several captions of one picture")
    uniform_from: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="staged: share of the steps after which all stages are one; at a linear pace stage k of K opens at "
        "(k-1)/K of that time",
    )
    pacing: PacingConfig = PacingConfig()
    pool: Literal["disjoint", "cumulative"] | None = Field(
        default=None,
        description="staged: draw from the newest stage, or from all open ones alike; null: as the curriculum declares",
    )
    replay: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="staged, disjoint: share of a batch that is drawn from the earlier stages; null: as the curriculum "
        "declares, or else 0.25",
    )
    held_out: float | None = Field(
        default=None,
        ge=0,
        le=0.5,
        description="share of the training pictures that is never trained on; null: 0.1 for tonics and adaptive, which "
        "need them, and else none",
    )
    sources: Literal["corpus", "stage"] = Field(
        default="corpus", description="adaptive and mixture: what the sources are"
    )
    tonics: TonicsConfig = TonicsConfig()
    adaptive: AdaptiveConfig = AdaptiveConfig()
    learnability: LearnabilityConfig = LearnabilityConfig()
    mixture: tuple[MixturePoint, ...] = Field(default=(), description="weights by moment, the moments rising")

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> Self:
        if self.kind == "learnability" and not self.learnability.reference:
            raise ValueError("sampling.learnability.reference: name the folder of a trained model")
        if self.kind == "mixture" and not self.mixture:
            raise ValueError("sampling.mixture: give the weights of the sources at one moment or more")
        if self.kind in ("tonics", "adaptive") and self.held_out == 0:
            raise ValueError(f"sampling.held_out: {self.kind} needs pictures that are never trained on")
        moments = [point.at for point in self.mixture]
        if moments != sorted(set(moments)):
            raise ValueError("sampling.mixture: give the moments in rising order, each once")
        return self

    @property
    def held_out_share(self) -> float:
        """Share of the training pictures that is never trained on."""
        if self.held_out is not None:
            return self.held_out
        return 0.1 if self.kind in ("tonics", "adaptive") else 0.0


class StoppingConfig(Config):
    """Early stopping: held-out retrieval is examined now and then, and the best weights are kept."""

    patience: int = Field(
        default=0, ge=0, description="examinations without a better score after which training ends; 0: no examination"
    )
    every: int = Field(default=100, ge=1, description="steps between two examinations; the last step is one too")
    split: str = Field(default="validation", description="held-out set of the stages, never one that is reported on")


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
    sampling: SamplingConfig = SamplingConfig()
    augment: AugmentConfig = AugmentConfig()
    checkpoint_every: int = Field(default=50, ge=1, description="steps between two checkpoints")
    log_every: int = Field(default=20, ge=1, description="steps between two lines of metrics.jsonl")
    max_skipped: int = Field(default=5, ge=0, description="steps in a row that may fail for a loss that is no number")
    max_rollbacks: int = Field(
        default=3,
        ge=0,
        description="times that the weights go back to the last checkpoint when more steps fail; not twice in a row",
    )
    stopping: StoppingConfig = StoppingConfig()
    compile: bool = Field(
        default=False, description="compile towers and fusion (torch.compile); without a C++ compiler it is left out"
    )
    deterministic: bool = Field(
        default=False, description="refuse operations of torch whose result may differ from run to run"
    )
    tensorboard: bool = Field(default=False, description="write event files for TensorBoard, which are no result")
    image_memory: int = Field(default=2048, ge=0, description="most MiB of decoded pictures to keep")

    def at(self, folder: Path) -> "TrainConfig":
        """Return the configuration with the reference model's path starting from a folder."""
        learnability = self.sampling.learnability
        if not learnability.reference:
            return self
        found = learnability.model_copy(update={"reference": str(folder / learnability.reference)})
        return self.model_copy(update={"sampling": self.sampling.model_copy(update={"learnability": found})})


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
        default=8, ge=0, description="queries a set that are recorded with their answers, half of them wrong"
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
