"""The selection on the real model: counts in closed form, and what is frozen stands still."""

import copy

import pytest
import torch

from essen.adapt.select import Variant, freeze, select_parameters
from essen.config import ModelConfig
from essen.model import Essen, build_model

VOCABULARY = 50


@pytest.fixture
def model(tiny_model: ModelConfig) -> Essen:
    return build_model(tiny_model, VOCABULARY, seed=0)


def test_projections_are_two_linear_maps_and_the_temperature(model: Essen) -> None:
    selection = select_parameters(model, "projections", projections(model))
    size = model.config.embedding_size
    assert selection.num_trainable == selection.num_projection
    assert selection.num_trainable == (model.vision.width + 1) * size + (model.text.width + 1) * size + 1
    assert selection.num_total == sum(parameter.numel() for parameter in model.parameters())


def test_text_tower_in_closed_form(model: Essen) -> None:
    h, layers = model.config.text.width, model.config.text.layers
    assert select_parameters(model.text, "normalisation").num_trainable == layers * 4 * h + 2 * h
    assert select_parameters(model.text, "biases").num_trainable == layers * 11 * h + h


def test_fusion_layers_in_closed_form(model: Essen) -> None:
    h, layers = model.config.fusion.width, model.config.fusion.layers
    assert select_parameters(model.fusion.layers, "normalisation").num_trainable == layers * 10 * h
    assert select_parameters(model.fusion.layers, "biases").num_trainable == layers * 27 * h
    assert select_parameters(model.fusion.layers, "full").num_trainable == layers * (28 * h * h + 32 * h)


def test_vision_stages_in_closed_form(model: Essen) -> None:
    # one block of 8 → 8 channels, one of 8 → 16 whose shortcut has a batch norm of its own
    assert select_parameters(model.vision.stages, "normalisation").num_trainable == 2 * (8 + 8) + 2 * (16 + 16 + 16)
    assert select_parameters(model.vision.stages, "biases").num_trainable == (8 + 8) + (16 + 16 + 16)


@pytest.mark.parametrize("variant", ["projections", "normalisation", "biases", "full"])
def test_five_steps_move_what_learns_and_nothing_else(model: Essen, variant: Variant) -> None:
    selection = select_parameters(model, variant, projections(model))
    freeze(model, selection)
    before = copy.deepcopy(model.state_dict())
    optimiser = torch.optim.AdamW(selection.trainable, lr=1e-2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        model.train()
        optimiser.zero_grad()
        loss(model, generator).backward()
        optimiser.step()
    learns = {id(parameter) for parameter in selection.trainable}
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    frozen = {name for name, parameter in model.named_parameters() if id(parameter) not in learns}
    assert not moved & frozen
    assert moved
    statistics = {name for name, _ in model.named_buffers()}
    assert bool(moved & statistics) == (variant != "projections")


def projections(model: Essen) -> list[torch.nn.Module | torch.nn.Parameter]:
    return [model.image_projection, model.text_projection, model.logit_scale]


def loss(model: Essen, generator: torch.Generator) -> torch.Tensor:
    side = model.config.image_size
    images = model.encode_images(torch.rand(6, 3, side, side, generator=generator))
    ids = torch.randint(3, VOCABULARY, (6, 4), generator=generator)
    texts = model.encode_texts(ids, torch.ones_like(ids, dtype=torch.bool))
    logits = images.embedding @ texts.embedding.T * model.logit_scale.exp()
    return torch.nn.functional.cross_entropy(logits, torch.arange(6)) - model.match(images, texts).mean()
