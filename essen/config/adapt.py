"""Which weights of pretrained towers learn: all, a named part of them, or small modules that are added (LilT)."""

from typing import Annotated, Literal

from pydantic import Field, Tag

from essen.config.base import Config, by_kind


class AdaptConfig(Config):
    """What learns inside the towers, nothing added.

    Pools, projections, temperature, fusion and heads learn in every kind. A tower of which not all weights learn is in
    evaluation mode throughout: its dropout is off and the statistics of its batch norms stand still. A tower with
    ``freeze`` stands still in every kind: with one of them frozen, the other alone is adapted.
    """

    kind: Literal["full", "projections", "normalisation", "biases", "locked"] = Field(
        default="full",
        description="full: all weights; projections: none; normalisation: scales and shifts of every normalisation "
        "layer; biases: every bias (BitFit); locked: those of the text tower (LiT)",
    )


class AdapterConfig(Config):
    """Adapters, x + W2·GELU(W1·x), two in each transformer block, one behind each block of convolutions.

    With h/r numbers inside, 2h·(h/r) + h/r + h parameters each. W2 and its bias start at zero, so the towers start as
    they were pretrained.
    """

    kind: Literal["adapters"]
    reduction: int = Field(default=4, ge=1, description="how many times narrower they are inside than the tower, r")
    normalisation: bool = Field(default=True, description="let the normalisation layers learn too, as LilT does")


class GatedConfig(Config):
    """Adapters with a learned gate each, x + σ(g)·W2·GELU(W1·x), where g starts at -4 and W2 at zero (DueT)."""

    kind: Literal["gated"]
    reduction: int = Field(default=4, ge=1, description="how many times narrower they are inside than the tower, r")


class SharedConfig(Config):
    """Adapters that share a part of W2 between the towers (Cross-Modal Adapter, arXiv 2211.09623).

    They are paired from the top of both towers downwards; those that are left in the deeper tower share nothing.
    """

    kind: Literal["shared"]
    width: int = Field(default=8, ge=1, description="numbers inside each adapter, r")
    share: int = Field(default=16, ge=1, description="of their outputs, so many come from weights of both towers")


class DeepConfig(Config):
    """One new transformer block on top of each tower, 12h² + 13h parameters; the tower's last norm learns too.

    It starts as the identity. Where h is wide, as behind many convolutional backbones, it is large.
    """

    kind: Literal["deep"]
    heads: int = Field(default=4, ge=1, description="attention heads of the new blocks; divides both towers' widths")


class LowRankConfig(Config):
    """LoRA (arXiv 2106.09685) on every linear map and every ungrouped convolution of the towers, by the library peft.

    r·(inputs + outputs) parameters for a linear map, r·(k²·inputs + outputs) for a k×k convolution.
    """

    kind: Literal["lora"]
    rank: int = Field(default=8, ge=1, description="of the change of each weight matrix, r")
    alpha: int = Field(default=16, ge=1, description="the change is scaled by alpha / rank")


AnyAdapt = Annotated[
    Annotated[AdaptConfig, Tag("full")]
    | Annotated[AdaptConfig, Tag("projections")]
    | Annotated[AdaptConfig, Tag("normalisation")]
    | Annotated[AdaptConfig, Tag("biases")]
    | Annotated[AdaptConfig, Tag("locked")]
    | Annotated[AdapterConfig, Tag("adapters")]
    | Annotated[GatedConfig, Tag("gated")]
    | Annotated[SharedConfig, Tag("shared")]
    | Annotated[DeepConfig, Tag("deep")]
    | Annotated[LowRankConfig, Tag("lora")],
    by_kind("full", "projections", "normalisation", "biases", "locked", "adapters", "gated", "shared", "deep", "lora"),
]


class CacheConfig(Config):
    """What a tower that stands still makes of each picture or caption, computed once before the first step.

    The steps then read its tokens from memory, in the precision that training computes in.
    """

    towers: Literal["none", "vision", "text", "both"] = Field(
        default="none",
        description="whose tokens are kept: that tower must stand still, and for vision the pictures too "
        "(train.augment: none)",
    )
    memory: int = Field(
        default=2048,
        ge=1,
        description="most MiB to keep; what does not fit, captions first, is computed with every batch",
    )
    half: bool = Field(default=False, description="keep them in float16 even where training computes in float32")
