"""Parameters are chosen by the type of their module, whatever its name."""

import torch
from torch import nn

from essen.adapt.select import biases_of, linear_maps_of, normalisation_of


class Toy(nn.Module):
    """Every kind of layer, under names that mislead: a linear layer called norm, a table called bias."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 8, 3, groups=2))
        self.norm = nn.Linear(8, 8)
        self.group = nn.GroupNorm(2, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.layer = nn.LayerNorm(8)
        self.bias = nn.Parameter(torch.zeros(5))
        self.root = nn.RMSNorm(8)
        self.drop = nn.Dropout(0.5)
        self.projection = nn.Linear(8, 6, bias=False)
        self.log_scale = nn.Parameter(torch.zeros(()))


def count(parameters: object) -> int:
    return sum(parameter.numel() for parameter in parameters)  # type: ignore[attr-defined]


def test_scales_and_shifts_of_every_norm() -> None:
    assert count(normalisation_of(Toy())) == 2 * 4 + 2 * 8 + 2 * 8 + 8  # batch, group, layer, and RMS without a shift


def test_biases_of_every_layer() -> None:
    # batch norm, grouped convolution, linear, group norm, layer norm, attention (queries, keys, values; output)
    assert count(biases_of(Toy())) == 4 + 8 + 8 + 8 + 8 + (24 + 8)


def test_linear_maps_and_convolutions_without_groups() -> None:
    assert list(linear_maps_of(Toy())) == ["stem.0", "norm", "attention.out_proj", "projection"]
