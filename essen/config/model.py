"""The model: towers, joint space, fusion."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, Tag, model_validator

from essen.config.adapt import AdaptConfig, AnyAdapt, CacheConfig
from essen.config.base import Config, by_kind
from essen.presets import resolve_preset


def _check_heads(part: str, width: int, heads: int) -> None:
    if width % heads:
        raise ValueError(f"{part}.heads ({heads}) must divide {part}.width ({width})")


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
    weights: str = Field(
        default="",
        exclude_if=lambda value: not value,  # the digests of models without it stay what they were
        description="folder of a trained model of this project whose tower it starts as; empty: random",
    )

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
    weights: str = Field(
        default="",
        exclude_if=lambda value: not value,  # the digests of models without it stay what they were
        description="folder of a trained model of this project whose tower it starts as; empty: random",
    )

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        _check_heads("vision", self.width, self.heads)
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
    weights: str = Field(
        default="",
        exclude_if=lambda value: not value,  # the digests of models without it stay what they were
        description="folder of a trained model of this project whose tower it starts as and whose tokenizer it has; "
        "empty: random",
    )

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        _check_heads("text", self.width, self.heads)
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
        _check_heads("fusion", self.width, self.heads)
        if self.kind == "concat" and self.norm == "post":
            raise ValueError("fusion.norm: post belongs to lxmert and meter; concat has its norms before each part")
        return self


class ShallowConfig(Config):
    """Fusion of the pooled vectors alone, W2·GELU(LN(W1·[text; image])) (DiDE): 6h² + 7h parameters."""

    kind: Literal["mlp"]
    width: int = Field(default=128, ge=1, description="width of both pooled vectors, h")


class JointConfig(Config):
    """Both modalities reduced to N tokens once, which are then fused step by step (JAR, arXiv 2305.19924).

    Its cost hardly depends on the number of visual tokens; there is something to gain where these are more than N.
    """

    kind: Literal["joint"]
    latents: int = Field(default=16, ge=1, description="tokens to which each modality is reduced, N")
    reducer: Literal["latent", "token_learner"] = Field(
        default="latent", description="how: N learned queries attend to the tokens, or N learned weighted means of them"
    )
    width: int = Field(default=128, ge=1, description="width of all tokens, h")
    layers: int = Field(default=1, ge=1, description="layers of gated fusion and a transformer block, 24h² + 24h + 2")
    heads: int = Field(default=4, ge=1, description="attention heads")

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        _check_heads("fusion", self.width, self.heads)
        return self


class NoFusionConfig(Config):
    """A dual encoder: the cosine is all."""

    kind: Literal["none"]


AnyVision = Annotated[
    Annotated[VisionConfig, Tag("convolutional")]
    | Annotated[PatchConfig, Tag("patch")]
    | Annotated[BackboneConfig, Tag("timm")],
    by_kind("convolutional", "patch", "timm"),
]


AnyText = Annotated[
    Annotated[TextConfig, Tag("own")] | Annotated[PretrainedTextConfig, Tag("transformers")],
    by_kind("own", "transformers"),
]


AnyFusion = Annotated[
    Annotated[FusionConfig, Tag("lxmert")]
    | Annotated[FusionConfig, Tag("meter")]
    | Annotated[FusionConfig, Tag("concat")]
    | Annotated[JointConfig, Tag("joint")]
    | Annotated[ShallowConfig, Tag("mlp")]
    | Annotated[NoFusionConfig, Tag("none")],
    by_kind("lxmert", "meter", "concat", "joint", "mlp", "none"),
]


class ImageMapConfig(Config):
    """How pictures come into the joint space: one linear map, or two with a hidden layer between them.

    Two are worth it above frozen features, which nothing else can bend (LiT's and SimCLR's heads).
    """

    hidden: int = Field(default=0, ge=0, description="width of the hidden layer; 0: one linear map")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="of the features and of the hidden layer")

    @model_validator(mode="after")
    def _drops_something(self) -> Self:
        if self.dropout and not self.hidden:
            raise ValueError("dropout belongs to the hidden layer; give hidden a width")
        return self


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
    adapt: AnyAdapt = Field(
        default=AdaptConfig(),
        exclude_if=lambda value: value == AdaptConfig(),  # the digests of models without it stay what they were
        description="which weights of the towers learn",
    )
    image_map: ImageMapConfig = Field(
        default=ImageMapConfig(),
        exclude_if=lambda value: value == ImageMapConfig(),  # the digests of models without it stay what they were
        description="from the vision tower into the joint space",
    )

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

    def check_cache(self, cache: CacheConfig) -> None:
        """Raise where a tower whose tokens are to be kept does not stand still.

        Raises:
            ValueError: it learns.
        """
        kind, wanted = self.adapt.kind, ("vision", "text") if cache.towers == "both" else (cache.towers,)
        still = {
            "none": True,
            "vision": self.vision.freeze or kind in ("projections", "locked", "deep"),
            "text": self.text.freeze or kind in ("projections", "deep"),
        }
        learning = [tower for tower in wanted if not still[tower]]
        if learning:
            raise ValueError(
                f"train.cache.towers ({cache.towers}): the {' and '.join(learning)} tower learns, so its tokens "
                "change; let it stand still (model.adapt.kind: projections), or leave it out"
            )

    @model_validator(mode="after")
    def _one_tower_is_merged(self) -> Self:
        if self.towers == "two":
            return self
        if self.adapt.kind != "full":
            raise ValueError("adapt: there are no towers to adapt where towers is one; set towers to two")
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
