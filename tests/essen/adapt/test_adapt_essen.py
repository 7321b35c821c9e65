"""Adapted models: exact counts, the function that they start with, what stands still, what cannot be."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from essen.adapt.learning import changing, copy_model, count_learning, still
from essen.config import ModelConfig, TrainConfig
from essen.errors import EssenError
from essen.model import Essen, build_model
from essen.step import build_optimiser

pytestmark = pytest.mark.usefixtures("one_thread")
VOCABULARY = 50
KINDS = ["projections", "normalisation", "biases", "locked", "adapters", "gated", "shared", "deep", "lora"]
TINY_BERT = {
    "model_type": "bert",
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 128,
    "max_position_embeddings": 16,
    "hidden_dropout_prob": 0.5,
}
TOWERS: dict[str, dict[str, Any]] = {
    "own": {},
    "patches": {"vision": {"kind": "patch", "patch": 8, "width": 16, "layers": 2, "heads": 2, "pool": "class"}},
    "timm": {
        "vision": {"kind": "timm", "backbone": "test_efficientnet"},
        "text": {"kind": "transformers", "architecture": TINY_BERT, "max_length": 8},
    },
    "timm, transformers of both kinds": {
        "vision": {"kind": "timm", "backbone": "test_vit"},
        "text": {
            "kind": "transformers",
            "architecture": {**TINY_BERT, "model_type": "electra", "embedding_size": 8},
            "max_length": 8,
        },
    },
}


def adapted(tiny_model: ModelConfig, towers: dict[str, Any], adapt: str | dict[str, Any]) -> Essen:
    values = {**tiny_model.model_dump(), **towers, "adapt": {"kind": adapt} if isinstance(adapt, str) else adapt}
    if values["vision"].get("backbone") == "test_vit":
        values["image_size"] = 160
    return build_model(ModelConfig.model_validate(values), VOCABULARY, seed=0)


def seen_by(model: Essen) -> torch.Tensor:
    """What a model says of two pairs, all in one vector."""
    generator, side = torch.Generator().manual_seed(1), model.config.image_size
    ids = torch.randint(3, VOCABULARY, (2, 6), generator=generator)
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    with torch.no_grad():
        images = model.encode_images(torch.rand(2, 3, side, side, generator=generator))
        texts = model.encode_texts(ids, mask)
        return torch.cat([images.embedding.flatten(), texts.embedding.flatten(), model.match(images, texts)])


def loss(model: Essen, generator: torch.Generator) -> torch.Tensor:
    side = model.config.image_size
    images = model.encode_images(torch.rand(6, 3, side, side, generator=generator))
    ids = torch.randint(3, VOCABULARY, (6, 4), generator=generator)
    texts = model.encode_texts(ids, torch.ones_like(ids, dtype=torch.bool))
    logits = images.embedding @ texts.embedding.T * model.logit_scale.exp()
    return nn.functional.cross_entropy(logits, torch.arange(6)) - model.match(images, texts).mean()


@pytest.mark.parametrize("towers", TOWERS.values(), ids=TOWERS.keys())
@pytest.mark.parametrize("kind", KINDS)
def test_an_adapted_model_starts_as_the_model_that_is_not(
    kind: str, towers: dict[str, Any], tiny_model: ModelConfig
) -> None:
    plain = adapted(tiny_model, towers, "full").eval()
    assert torch.equal(seen_by(adapted(tiny_model, towers, kind).eval()), seen_by(plain))


def adapter(h: int, m: int) -> int:
    return 2 * h * m + m + h


# Of tiny_model: convolutions 3 → 4 → 8, a residual block 8 → 8 and one 8 → 16 with a shortcut of its own, a transformer
# block of 16; for the text, words and positions, a transformer block of 16, a last norm.
NORMS = 2 * (4 + 8) + 2 * (8 + 8) + 2 * (16 + 16 + 16) + 4 * 16 + (4 * 16 + 2 * 16)
BIASES = (4 + 8) + (8 + 8) + (16 + 16 + 16) + 11 * 16 + (11 * 16 + 16)
PLACES = adapter(8, 2) + 5 * adapter(16, 4)  # one behind each residual block, two in each transformer block
CONVOLUTIONS = (
    (3 * 9 + 4) + (4 * 9 + 8) + 2 * (8 * 9 + 8) + (8 * 9 + 16) + (16 * 9 + 16) + (8 + 16)
)  # k²·inputs + outputs


@pytest.mark.parametrize(
    ("adapt", "expected"),
    [
        ({"kind": "projections"}, 0),
        ({"kind": "normalisation"}, NORMS),
        ({"kind": "biases"}, BIASES),
        ({"kind": "locked"}, (VOCABULARY + 8) * 16 + 12 * 16**2 + 13 * 16 + 2 * 16),
        ({"kind": "adapters", "normalisation": False}, PLACES),
        ({"kind": "adapters"}, PLACES + NORMS),
        ({"kind": "adapters", "reduction": 8, "normalisation": False}, adapter(8, 1) + 5 * adapter(16, 2)),
        ({"kind": "gated"}, PLACES + 6),
        # Two of the vision tower's four places have their fellow in the text tower.
        ({"kind": "shared", "width": 2, "share": 4}, adapter(8, 2) + 5 * adapter(16, 2) - 2 * 3 * 4),
        # Both blocks, and the text tower's last norm; the vision tower has its own behind the pool.
        ({"kind": "deep", "heads": 2}, 2 * (12 * 16**2 + 13 * 16) + 2 * 16),
        # In each transformer block: queries, keys and values; output; both maps of the feed-forward network.
        ({"kind": "lora", "rank": 2}, 2 * 2 * ((1 + 3) + (1 + 1) + (1 + 4) + (4 + 1)) * 16 + 2 * CONVOLUTIONS),
    ],
    ids=lambda value: "-".join(str(part) for part in value.values()) if isinstance(value, dict) else "",
)
def test_what_learns_in_closed_form(adapt: dict[str, Any], expected: int, tiny_model: ModelConfig) -> None:
    model = adapted(tiny_model, {}, adapt)
    counts, size = count_learning(model), model.config.embedding_size
    assert counts["trainable_in_towers"] == expected
    assert counts["projections"] == 2 * (16 + 1) * size + 1
    assert counts["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    held = [parameter for group in build_optimiser(model, TrainConfig()).param_groups for parameter in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in model.parameters() if p.requires_grad}
    assert counts["trainable"] == sum(parameter.numel() for parameter in held)


def test_lite0_and_minilm_in_closed_form() -> None:
    architecture = {
        **TINY_BERT,
        "vocab_size": 30522,
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "intermediate_size": 1536,
    }
    towers = {
        "vision": {"kind": "timm", "backbone": "tf_efficientnet_lite0"},
        "text": {"kind": "transformers", "architecture": architecture, "max_length": 16},
    }
    model = build_model(ModelConfig.model_validate({**towers, "adapt": {"kind": "adapters"}}), 100, seed=0)
    widths = [16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320]  # behind each of the 16 blocks
    learning = [p for part in model.text.body() for p in part.parameters() if p.requires_grad]
    assert sum(p.numel() for p in learning) == 12 * adapter(384, 96) + (1 + 2 * 6) * 2 * 384
    of_norms = sum(2 * m.num_features for m in model.vision.modules() if isinstance(m, nn.BatchNorm2d))
    in_vision = sum(p.numel() for part in model.vision.body() for p in part.parameters() if p.requires_grad)
    assert in_vision == sum(adapter(h, h // 4) for h in widths) + of_norms


def test_a_model_that_is_not_adapted_learns_all_of_itself(tiny_model: ModelConfig) -> None:
    model = adapted(tiny_model, {}, "full")
    assert count_learning(model).keys() == {"parameters"} and not still(model)
    assert changing(model).keys() == model.state_dict().keys()


@pytest.mark.parametrize("towers", ["own", "timm"])
@pytest.mark.parametrize("kind", KINDS)
def test_five_steps_move_what_learns_and_nothing_else(kind: str, towers: str, tiny_model: ModelConfig) -> None:
    model = adapted(tiny_model, TOWERS[towers], kind)
    before = copy.deepcopy(model.state_dict())
    standing = still(model).keys()
    optimiser = build_optimiser(model, TrainConfig(learning_rate=1e-2))
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        model.train()
        optimiser.zero_grad()
        loss(model, generator).backward()
        optimiser.step()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert not moved & standing
    assert {name for name, parameter in model.named_parameters() if not parameter.requires_grad} <= standing
    statistics = {name for name, _ in model.vision.named_buffers(prefix="vision")} & before.keys()
    assert statistics and statistics <= standing  # batch norms stand still in every kind
    assert {"image_projection.weight", "text_projection.weight", "logit_scale", "vision.norm.weight"} <= moved
    inside = {name for name in moved - {"vision.norm.weight", "vision.norm.bias"} if name.startswith(("vis", "text."))}
    assert bool({name for name in inside if name.startswith("vision.")}) == (kind not in ("projections", "locked"))
    assert bool({name for name in inside if name.startswith("text.")}) == (kind != "projections")
    if kind == "biases":
        assert all(before[name].ndim == 1 for name in inside)


def test_what_is_frozen_has_no_dropout_and_the_same_answer_each_time(tiny_model: ModelConfig) -> None:
    model = adapted(tiny_model, TOWERS["timm"], "projections").train()  # a text encoder with dropout 0.5
    ids, mask = torch.randint(3, VOCABULARY, (2, 6)), torch.ones(2, 6, dtype=torch.bool)
    assert torch.equal(model.text(ids, mask).pooled, model.text(ids, mask).pooled)


def test_both_towers_teach_what_they_share(tiny_model: ModelConfig) -> None:
    model = adapted(tiny_model, {}, {"kind": "shared", "width": 2, "share": 4})
    assert len(model.shared) == 2
    top = model.shared[0]
    for encode in (
        lambda: model.encode_images(torch.rand(2, 3, 32, 32)).embedding,
        lambda: model.encode_texts(torch.randint(3, 50, (2, 5)), torch.ones(2, 5, dtype=torch.bool)).embedding,
    ):
        model.zero_grad()
        encode().square()[:, 0].sum().backward()
        assert top.weight.grad.abs().sum() > 0
    names = [name for name, tensor in model.state_dict().items() if tensor.data_ptr() == top.weight.data_ptr()]
    assert names == ["shared.0.weight"]


def test_a_copy_shares_what_stands_still_and_nothing_else(tiny_model: ModelConfig) -> None:
    model = adapted(tiny_model, {}, {"kind": "shared", "width": 2, "share": 4})
    other = copy_model(model)
    assert all(tensor.data_ptr() == still(other)[name].data_ptr() for name, tensor in still(model).items())
    assert all(tensor.data_ptr() != changing(other)[name].data_ptr() for name, tensor in changing(model).items())
    with torch.no_grad():
        other.shared[0].bias.fill_(1.0)
    assert not torch.equal(seen_by(other.eval()), seen_by(model.eval()))


def test_projections_and_locked_are_names_for_frozen_towers(tiny_model: ModelConfig) -> None:
    values = tiny_model.model_dump()
    frozen = {"vision": {**values["vision"], "freeze": True}, "text": {**values["text"], "freeze": True}}
    for kind, towers in (("projections", frozen), ("locked", {"vision": frozen["vision"]})):
        names = still(adapted(tiny_model, {}, kind)).keys()
        assert names and names == still(adapted(tiny_model, towers, "full")).keys()


def test_a_tower_with_freeze_stands_still_while_the_other_is_adapted(tiny_model: ModelConfig) -> None:
    values = tiny_model.model_dump()
    model = adapted(tiny_model, {"vision": {**values["vision"], "freeze": True}}, "adapters")
    assert count_learning(model)["trainable_in_towers"] == 2 * adapter(16, 4) + 4 * 16 + 2 * 16


@pytest.mark.parametrize(
    ("towers", "adapt", "message"),
    [
        ({"vision": {"freeze": True}, "text": {"freeze": True}}, {"kind": "biases"}, "biases is to work on is frozen"),
        ({"text": {"freeze": True}}, {"kind": "shared"}, "shared is to work on is frozen"),
        ({}, {"kind": "deep", "heads": 3}, r"heads \(3\) must divide .* one is 16"),
        ({}, {"kind": "shared", "share": 20}, r"share \(20\) .* at most 16"),
        ({"vision": {"kind": "timm", "backbone": "test_mambaout"}}, {"kind": "adapters"}, "no place .* test_mambaout"),
        (
            {"text": {"kind": "transformers", "architecture": {"model_type": "distilbert", "dim": 32, "n_heads": 2}}},
            {"kind": "gated"},
            "no place for adapters is known in distilbert",
        ),
    ],
)
def test_what_cannot_be_is_one_line(
    towers: dict[str, Any], adapt: dict[str, Any], message: str, tiny_model: ModelConfig
) -> None:
    usual = tiny_model.model_dump()
    laid_over = {part: value if "kind" in value else {**usual[part], **value} for part, value in towers.items()}
    with pytest.raises(EssenError, match=message) as caught:
        adapted(tiny_model, laid_over, adapt)
    assert "\n" not in str(caught.value)


def test_one_tower_has_nothing_to_adapt() -> None:
    one = {
        "towers": "one",
        "vision": {"kind": "patch", "width": 64, "layers": 0},
        "text": {"width": 64, "layers": 0},
        "fusion": {"kind": "concat", "width": 64},
    }
    with pytest.raises(ValueError, match="set towers to two"):
        ModelConfig.model_validate({**one, "adapt": {"kind": "biases"}})
