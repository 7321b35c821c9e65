"""The closed forms are what torch counts, for parameters and for multiply-accumulates."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from essen import counts
from essen.config import ModelConfig
from essen.counts import Cost
from essen.fusion.cross import CoLayer, CrossLayer
from essen.fusion.shallow import ShallowFusion
from essen.model import Essen
from essen.overview import PIECES, markdown, overview
from essen.presets import ELECTRA_SMALL, PRESETS
from essen.towers.transformer import TransformerLayer

pytestmark = pytest.mark.usefixtures("one_thread")

ONE_TOWER = {
    "towers": "one",
    "vision": {"kind": "patch", "width": 64, "layers": 0},
    "text": {"width": 64, "layers": 0},
    "fusion": {"kind": "concat", "width": 64, "layers": 3},
}
TINY_ELECTRA = {**ELECTRA_SMALL, "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2}
CONFIGURATIONS: dict[str, Any] = {
    **{name: name for name in ("essen-nano", "essen-micro", "essen-tiny")},
    "one tower": ONE_TOWER,
    "meter": {"fusion": {"kind": "meter", "width": 64, "layers": 2, "norm": "post"}},
    "concat": {"fusion": {"kind": "concat", "width": 64, "layers": 2}},
    "joint": {"fusion": {"kind": "joint", "latents": 6, "width": 64, "layers": 2}},
    "joint, token learner": {"fusion": {"kind": "joint", "latents": 6, "width": 64, "reducer": "token_learner"}},
    "mlp": {"fusion": {"kind": "mlp", "width": 64}},
    "none": {"fusion": {"kind": "none"}},
    "patches": {"vision": {"kind": "patch", "pool": "class", "width": 64, "layers": 2}},
    "patches, attention pool": {"vision": {"kind": "patch", "pool": "attention", "width": 64, "layers": 1}},
    "hybrid": {"vision": {"pool": "attention", "layers": 2, "widths": [16, 32], "blocks": [1, 2]}},
    "bag of words": {"text": {"layers": 0}},
    "a hidden layer": {"image_map": {"hidden": 48, "dropout": 0.2}},
    "timm": {"vision": {"kind": "timm", "backbone": "mobilenetv3_small_050"}},
    "electra": {"text": {"kind": "transformers", "architecture": TINY_ELECTRA}},
    "adapters": {"adapt": {"kind": "adapters"}, "vision": {"layers": 1, "widths": [16, 32], "blocks": [1, 2]}},
    "shared adapters": {"adapt": {"kind": "shared"}, "text": {"kind": "transformers", "architecture": TINY_ELECTRA}},
    "deep": {"adapt": {"kind": "deep"}, "vision": {"kind": "patch", "width": 64, "layers": 1}},
    "lora": {"adapt": {"kind": "lora"}, "vision": {"kind": "timm", "backbone": "mobilenetv3_small_050"}},
}


def counted(module: nn.Module, use: Callable[[], object]) -> Cost:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        use()
    return Cost(sum(parameter.numel() for parameter in module.parameters()), counter.get_total_flops() // 2)


@pytest.mark.parametrize("values", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_a_model_has_the_cost_of_its_closed_forms(values: Any) -> None:
    config = ModelConfig.model_validate(values)
    vocab_size = 30522 if config.text.kind == "transformers" else 500
    model = Essen(config, vocab_size).eval()
    pixels = torch.zeros(1, 3, config.image_size, config.image_size)
    ids, mask = torch.zeros(1, 11, dtype=torch.long), torch.ones(1, 11, dtype=torch.bool)
    measured = counted(model, lambda: model.match(model.encode_images(pixels), model.encode_texts(ids, mask)))
    parts = counts.count_model(config, vocab_size, 11)
    assert sum(parts.values(), Cost(0)) == measured
    assert parts["vision"].parameters == sum(parameter.numel() for parameter in model.vision.parameters())
    assert parts["text"].parameters == sum(parameter.numel() for parameter in model.text.parameters())


@pytest.mark.parametrize("h", [32, 96])
def test_layers_have_the_cost_of_their_closed_forms(h: int) -> None:
    text, image, mask = torch.zeros(1, 5, h), torch.zeros(1, 9, h), torch.ones(1, 5, dtype=torch.bool)
    for layer, closed in ((CrossLayer(h, 4), counts.cross_layer(h, 14)), (CoLayer(h, 4), counts.co_layer(h, 14))):
        assert counted(layer, lambda layer=layer: layer(text, image, mask)) == closed  # type: ignore[misc]
    block, shallow = TransformerLayer(h, 4), ShallowFusion(h)
    assert counted(block, lambda: block(image)) == counts.transformer_layer(h, 9)
    assert counted(shallow, lambda: shallow(image[:, 0], image[:, 1])) == counts.shallow_fusion(h)


def test_the_closed_forms_give_the_published_sizes() -> None:
    assert counts.transformer_layer(256, 1).parameters == 789_760
    assert counts.cross_layer(256, 1).parameters == 1_843_200
    electra = {key: value for key, value in ELECTRA_SMALL.items() if key in counts.bert_encoder.__annotations__}
    assert counts.bert_encoder(1, **electra).parameters == 13_483_008
    bert = counts.bert_encoder(1, hidden_size=768, num_hidden_layers=12).parameters
    assert bert == 109_482_240 - (768**2 + 768)  # without the pooler


def test_the_released_model_has_the_backbone_of_its_closed_form() -> None:
    parts = counts.count_model(ModelConfig.model_validate("essen-released"), 30522, PIECES)
    assert parts["vision"].parameters == 7_700_994 + 2 * 1408  # the norm behind the pool
    assert parts["text"].parameters == 13_483_008
    assert parts["fusion"].parameters == 11_059_200 + 4 * 256  # the last norms
    joint_space = counts.linear(1408, 256) + counts.linear(256, 256) + Cost(1)
    matching = counts.linear(512, 1)
    rest = parts["projections"].parameters - joint_space.parameters + parts["heads"].parameters - matching.parameters
    assert rest == 558_592
    assert 7_700_994 + 13_483_008 + 11_059_200 + rest == 32_801_794
    assert parts["words"].parameters == 7_910_458


def test_the_presets_grow_and_are_listed_as_a_table() -> None:
    entries = overview()
    assert [entry.name for entry in entries] == list(PRESETS)
    sizes = [entry.parameters for entry in entries]
    flops = [entry.towers_flops + entry.match_flops for entry in entries]
    assert sizes == sorted(sizes) and flops == sorted(flops)
    lines = markdown(entries)
    assert len(lines) == len(PRESETS) + 2
    assert {line.count("|") for line in lines} == {lines[0].count("|")} and "ms" not in lines[0]


def test_latency_is_measured_when_asked_for() -> None:
    (entry,) = overview(["essen-nano"], latency=True, rounds=3)
    assert entry.latency is not None
    assert min(entry.latency.picture, entry.latency.caption, entry.latency.match) > 0
    assert "match, ms" in markdown([entry])[0]
