"""Which samples make the next batch: samplers and what they need."""

from typing import Literal, Self

from pydantic import Field, model_validator

from essen.config.base import Config


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
    pairs: int | None = Field(
        default=None,
        ge=2,
        exclude_if=lambda value: value is None,  # the digests of trainings without it stay what they were
        description="train on so many pairs alone, whole pictures drawn by the training's seed: a smaller number takes "
        "a part of what a larger one takes; null: all",
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
