import copy

import pytest
import torch
from torch import nn

from essen.adapt.select import Selection, Variant, freeze, select_parameters


class Toy(nn.Module):
    """Every kind of layer, under names that mislead: a linear layer called norm, a table called bias."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 8, 3, groups=2))
        self.norm = nn.Linear(8, 8)
        self.group = nn.GroupNorm(2, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.layer = nn.LayerNorm(8)
        self.bias = nn.Parameter(torch.randn(5, generator=generator))
        self.root = nn.RMSNorm(8)
        self.drop = nn.Dropout(0.5)
        self.projection = nn.Linear(8, 6, bias=False)
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).mean(dim=(2, 3))
        x = self.group(self.norm(x))[:, None]
        x = self.layer(x + self.attention(x, x, x)[0]) + self.bias.mean()
        return self.projection(self.drop(self.root(x))) * self.log_scale.exp()


CONVOLUTIONS, NORMALISATION = 3 * 4 * 9 + (2 * 8 * 9 + 8), 2 * 4 + 2 * 8 + 2 * 8 + 8
LINEAR, ATTENTION, PROJECTION = 8 * 8 + 8, (24 * 8 + 24) + (8 * 8 + 8), 8 * 6 + 1
TOTAL = CONVOLUTIONS + NORMALISATION + LINEAR + ATTENTION + 5 + PROJECTION
BIASES = 4 + 8 + 8 + 8 + 8 + (24 + 8)  # batch norm, convolution, linear, group norm, layer norm, attention


def select(model: Toy, variant: Variant) -> Selection:
    return select_parameters(model, variant, [model.projection, model.log_scale])


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("projections", PROJECTION),
        ("normalisation", NORMALISATION + PROJECTION),
        ("biases", BIASES + PROJECTION),
        ("full", TOTAL),
    ],
)
def test_counts_are_exact(variant: Variant, expected: int) -> None:
    selection = select(Toy(), variant)
    assert selection.num_trainable == expected
    assert sum(parameter.numel() for parameter in selection.trainable) == expected
    assert selection.num_projection == PROJECTION
    assert selection.num_total == TOTAL


def test_a_tied_parameter_counts_once() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].bias = model[0].bias
    assert select_parameters(model, "biases").num_trainable == 4


@pytest.mark.parametrize("variant", ["projections", "normalisation", "biases"])
def test_what_is_frozen_stands_still_to_the_bit(variant: Variant) -> None:
    torch.manual_seed(0)
    model = Toy()
    selection = select(model, variant)
    freeze(model, selection)
    before = copy.deepcopy(model.state_dict())
    optimiser = torch.optim.AdamW(selection.trainable, lr=0.1, weight_decay=0.1)
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        model.train()
        optimiser.zero_grad()
        model(torch.randn(16, 3, 8, 8, generator=generator)).pow(2).mean().backward()
        optimiser.step()
    learns = {id(parameter) for parameter in selection.trainable}
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) == (id(parameter) not in learns), name
    batch_norm_learns = variant != "projections"
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, before[name]) != batch_norm_learns, name


def test_frozen_modules_stay_in_evaluation_through_train() -> None:
    model = Toy()
    freeze(model, select(model, "projections"))
    model.train()
    assert model.training and model.drop.training
    assert not any(module.training for module in model.stem.modules())
    freeze(model, select(model, "full"))
    model.train()
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_copy_of_a_frozen_model_is_frozen_by_itself() -> None:
    model = Toy()
    freeze(model, select(model, "projections"))
    other = copy.deepcopy(model)
    freeze(model, select(model, "full"))
    model.train()
    other.train()
    assert model.stem[1].training
    assert not other.stem[1].training


def test_misuse_is_named() -> None:
    model = Toy()
    with pytest.raises(ValueError, match="nothing to learn"):
        select_parameters(model, "projections")
    with pytest.raises(ValueError, match="not a part of the model"):
        select_parameters(model, "projections", [nn.Linear(2, 2)])
    with pytest.raises(ValueError, match="unknown variant"):
        select_parameters(model, "norms", [model.projection])  # type: ignore[arg-type]
