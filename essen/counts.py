"""Parameters and multiply-accumulates of each part of a model, in closed form.

Multiply-accumulates (MACs) are those of matrix products and convolutions for one picture, one caption or one pair, as
`torch.utils.flop_counter` counts them (a MAC is two FLOPs); norms, activations and softmaxes are left out. h is a
width, n a number of tokens. Backbones of timm, encoders other than BERT's and ELECTRA's, and towers to which an
adaptation adds something are built and counted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from essen.config import (
    AnyFusion,
    BackboneConfig,
    FusionConfig,
    JointConfig,
    ModelConfig,
    NoFusionConfig,
    PatchConfig,
    PretrainedTextConfig,
    ShallowConfig,
    TextConfig,
    VisionConfig,
)

ADDING = ("adapters", "gated", "shared", "deep", "lora")  # kinds of adaptation that add to the towers


@dataclass(frozen=True)
class Cost:
    """What a part costs: numbers in its parameters, and MACs of one use."""

    parameters: int
    macs: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.parameters + other.parameters, self.macs + other.macs)

    def __mul__(self, times: int) -> "Cost":
        return Cost(self.parameters * times, self.macs * times)


def linear(inputs: int, outputs: int, n: int = 1) -> Cost:
    """Return the cost of a linear map with bias, used on n tokens."""
    return Cost((inputs + 1) * outputs, n * inputs * outputs)


def convolution(inputs: int, outputs: int, kernel: int, cells: int) -> Cost:
    """Return the cost of a convolution without bias and the batch norm behind it, for so many cells of output."""
    return Cost(kernel**2 * inputs * outputs + 2 * outputs, kernel**2 * inputs * outputs * cells)


def transformer_layer(h: int, n: int) -> Cost:
    """Return the cost of a transformer block with a feed-forward network of 4h; also of a layer of ``concat``."""
    return Cost(12 * h**2 + 13 * h, 12 * h**2 * n + 2 * h * n**2)


def cross_layer(h: int, n: int) -> Cost:
    """Return the cost of a layer of ``lxmert`` for n tokens of both streams together."""
    return Cost(28 * h**2 + 32 * h, 16 * h**2 * n + 2 * h * n**2)


def co_layer(h: int, n: int) -> Cost:
    """Return the cost of a layer of ``meter`` for n tokens of both streams together."""
    return Cost(32 * h**2 + 38 * h, 16 * h**2 * n + 2 * h * n**2)


def joint_layer(h: int, latents: int) -> Cost:
    """Return the cost of a layer of ``joint``: gated cross-attention, MLP and transformer block on N joint tokens."""
    return Cost(24 * h**2 + 24 * h + 2, 24 * h**2 * latents + 4 * h * latents**2)


def joint_reducers(config: JointConfig, n: int) -> Cost:
    """Return the cost of reducing both streams of ``joint``, n tokens together, to N tokens each."""
    h, latents = config.width, config.latents
    if config.reducer == "token_learner":
        return Cost(2 * (h**2 + 3 * h + h * latents + latents), n * (h**2 + 2 * h * latents))
    own = 2 * (4 * h**2 + 6 * h + h * latents)
    return Cost(own, 2 * h**2 * (2 * latents + n) + 2 * h * latents * n)


def shallow_fusion(h: int) -> Cost:
    """Return the cost of ``mlp``."""
    return Cost(6 * h**2 + 7 * h, 6 * h**2)


def patch_tower(config: PatchConfig, image_size: int) -> Cost:
    """Return the cost of a patch transformer: 3p²h + h + nh + 2h parameters, and its blocks."""
    h, p, cells = config.width, config.patch, (image_size // config.patch) ** 2
    with_class = config.pool == "class"
    n = cells + with_class
    own = with_class * h + n * h + 2 * h + (config.pool == "attention") * h
    stem = Cost(3 * p**2 * h + h, cells * 3 * p**2 * h)
    return stem + Cost(own) + transformer_layer(h, n) * config.layers


def convolutional_tower(config: VisionConfig, image_size: int) -> Cost:
    """Return the cost of the project's own convolutional tower, with its transformer blocks if it has any."""
    cost, channels, side = Cost(0), 3, image_size
    for later in reversed(range(config.stem)):
        width, side = max(1, config.widths[0] // 2**later), side // 2
        cost, channels = cost + convolution(channels, width, 3, side**2), width
    for stage, (width, blocks) in enumerate(zip(config.widths, config.blocks, strict=True)):
        side = side // 2 if stage else side
        for _ in range(blocks):
            cost += convolution(channels, width, 3, side**2) + convolution(width, width, 3, side**2)
            if channels != width:
                cost += convolution(channels, width, 1, side**2)
            channels = width
    positions = side**2 * channels if config.layers else 0
    pool = channels if config.pool == "attention" else 0
    return cost + transformer_layer(channels, side**2) * config.layers + Cost(positions + pool + 2 * channels)


def own_text_tower(config: TextConfig, vocab_size: int, n: int) -> Cost:
    """Return the cost of the project's own text tower for a caption of n word pieces."""
    h = config.width
    return Cost((vocab_size + config.max_length) * h + 2 * h) + transformer_layer(h, n) * config.layers


def bert_encoder(
    n: int,
    *,
    vocab_size: int = 30522,
    hidden_size: int,
    num_hidden_layers: int,
    embedding_size: int | None = None,
    max_position_embeddings: int = 512,
    type_vocab_size: int = 2,
) -> Cost:
    """Return the cost of BERT without its pooler, or of ELECTRA, for n word pieces; feed-forward networks are 4h wide.

    Args:
        n: word pieces.
        vocab_size, hidden_size, num_hidden_layers, embedding_size, max_position_embeddings, type_vocab_size: as
            transformers calls them. A narrower embedding (ELECTRA) is followed by a linear map.
    """
    e, h = embedding_size or hidden_size, hidden_size
    embeddings = Cost((vocab_size + max_position_embeddings + type_vocab_size + 2) * e)
    return embeddings + (linear(e, h, n) if e != h else Cost(0)) + transformer_layer(h, n) * num_hidden_layers


def fusion(config: AnyFusion, n: int) -> Cost:
    """Return the cost of a fusion module for a pair of n tokens, its last norms with it.

    Of ``joint``, without what words read its tokens with.
    """
    if isinstance(config, NoFusionConfig):
        return Cost(0)
    h = config.width
    if isinstance(config, ShallowConfig):
        return shallow_fusion(h)
    if isinstance(config, JointConfig):
        return joint_reducers(config, n) + joint_layer(h, config.latents) * config.layers + Cost(2 * h)
    if config.kind == "concat":
        return transformer_layer(h, n) * config.layers + Cost(2 * h)
    layer = co_layer(h, n) if config.kind == "meter" else cross_layer(h, n)
    return layer * config.layers + Cost(4 * h if config.norm == "pre" else 0)


def count_model(config: ModelConfig, vocab_size: int, pieces: int) -> dict[str, Cost]:
    """Return the cost of each part of a model for one pair: both towers, the fusion and the matching head.

    Args:
        config: of the model; weights that it names are not loaded.
        vocab_size: word pieces of its tokenizer.
        pieces: of the caption.

    Returns:
        ``vision``, ``text``, ``projections`` (to the joint space and to the fusion, with token types, temperature and
        what adapted towers share),
        ``fusion``, ``heads`` (poolers and matching), and ``words``, the head of masked words and what it reads a joint
        fusion with, which no pair needs: its MACs are 0.

    Raises:
        EssenError: a backbone or encoder cannot be built.
    """
    vision, cells, image_width = _vision(config)
    text, text_width = _text(config, vocab_size, pieces)
    common = Cost(0)
    if config.adapt.kind in ADDING:
        vision, text, common = _adapted(config, vocab_size, pieces)
    e, module, n = config.embedding_size, config.fusion, cells + pieces
    projections, heads, words = Cost(1) + common, Cost(0), Cost(0)
    if config.towers == "one":
        # Each modality goes through the encoder alone for its embedding, and once more with the other.
        for tokens in (cells, pieces):
            projections += Cost(0, transformer_layer(image_width, tokens).macs * _layers(module))
    hidden = config.image_map.hidden
    projections += linear(image_width, hidden) + linear(hidden, e) if hidden else linear(image_width, e)
    projections += linear(text_width, e)
    if not isinstance(module, NoFusionConfig):
        h = module.width
        if config.towers == "two":
            projections += linear(image_width, h, cells) + linear(text_width, h, pieces)
        pooled = 2 * h if isinstance(module, FusionConfig) else h
        heads = linear(h, h) * (1 if isinstance(module, JointConfig) else 2) + linear(pooled, 1)
        if isinstance(module, FusionConfig):
            projections += Cost(2 * h)
        if not isinstance(module, ShallowConfig):
            words = Cost(linear(h, h).parameters + 2 * h + linear(h, vocab_size).parameters)
        if isinstance(module, JointConfig):
            words += Cost(4 * h**2 + 6 * h)
    return {
        "vision": vision,
        "text": text,
        "projections": projections,
        "fusion": fusion(module, n),
        "heads": heads,
        "words": words,
    }


def _layers(module: AnyFusion) -> int:
    return module.layers if isinstance(module, FusionConfig) else 0


def _vision(config: ModelConfig) -> tuple[Cost, int, int]:
    """Return the cost of the vision tower, its number of tokens and their width."""
    vision, size = config.vision, config.image_size
    if isinstance(vision, VisionConfig):
        return convolutional_tower(vision, size), (size // vision.stride) ** 2, vision.widths[-1]
    if isinstance(vision, PatchConfig):
        cells = (size // vision.patch) ** 2 + (vision.pool == "class")
        return patch_tower(vision, size), cells, vision.width
    return _built_backbone(vision, size)


def _adapted(config: ModelConfig, vocab_size: int, pieces: int) -> tuple[Cost, Cost, Cost]:
    """Return the cost of both towers with what was added to them, and of what they share."""
    import torch

    from essen.model import Essen

    towers = config.model_copy(update={"fusion": NoFusionConfig(kind="none")})
    model = Essen(towers, vocab_size, pretrained=False).eval()
    pixels = torch.zeros(1, 3, config.image_size, config.image_size)
    ids, mask = torch.zeros(1, pieces, dtype=torch.long), torch.ones(1, pieces, dtype=torch.bool)
    vision = _counted(model.vision, lambda: model.vision(pixels))
    text = _counted(model.text, lambda: model.text(ids, mask))
    return vision, text, Cost(sum(parameter.numel() for parameter in model.shared.parameters()))


def _built_backbone(config: BackboneConfig, image_size: int) -> tuple[Cost, int, int]:
    import torch

    from essen.towers.backbone import BackboneTower

    with torch.device("meta"):  # shapes without numbers: nothing is computed
        tower = BackboneTower(config, image_size, pretrained=False).eval()
        pixels = torch.empty(1, 3, image_size, image_size)
    return _counted(tower, lambda: tower(pixels)), tower.cells, tower.width


def _text(config: ModelConfig, vocab_size: int, pieces: int) -> tuple[Cost, int]:
    """Return the cost of the text tower and the width of its tokens."""
    if isinstance(config.text, TextConfig):
        return own_text_tower(config.text, vocab_size, pieces), config.text.width
    known = _bert_values(config.text)
    if known is not None:
        return bert_encoder(pieces, **known), known["hidden_size"]
    return _built_encoder(config.text, vocab_size, pieces)


def _bert_values(config: PretrainedTextConfig) -> dict[str, Any] | None:
    """Return what `bert_encoder` takes, or None where it does not hold."""
    own = config.architecture
    h, e = own.get("hidden_size"), own.get("embedding_size")
    if own.get("model_type") not in ("bert", "electra") or h is None or own.get("intermediate_size") != 4 * h:
        return None
    if own["model_type"] == "electra" and e is None:
        return None
    taken = ("vocab_size", "num_hidden_layers", "max_position_embeddings", "type_vocab_size")
    values = {name: own[name] for name in taken if name in own}
    if "num_hidden_layers" not in values:
        return None
    return {"hidden_size": h, "embedding_size": e, **values}


def _built_encoder(config: PretrainedTextConfig, vocab_size: int, pieces: int) -> tuple[Cost, int]:
    import torch

    from essen.towers.pretrained import PretrainedTextTower

    tower = PretrainedTextTower(config, vocab_size, pretrained=False).eval()
    ids = torch.zeros(1, pieces, dtype=torch.long)
    return _counted(tower, lambda: tower(ids, torch.ones(1, pieces, dtype=torch.bool))), tower.width


def _counted(module: Any, use: Callable[[], object]) -> Cost:
    """Return a module's parameters and the MACs of one use, counted by torch."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        use()
    return Cost(sum(parameter.numel() for parameter in module.parameters()), counter.get_total_flops() // 2)
