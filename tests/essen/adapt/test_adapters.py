"""One adapter: its size, what it computes, where it goes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from essen.adapt.adapters import INITIAL_GATE, Adapter, insert, zeroed
from essen.towers.tower import Place


def place(width: int, axis: int = -1) -> Place:
    return Place(nn.Sequential(nn.Identity()), "0", width, axis=axis)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("h", "reduction", "expected"), [(768, 4, 295_872), (384, 4, 74_208), (64, 8, 1_096)])
def test_it_has_2hm_m_h_parameters(h: int, reduction: int, expected: int) -> None:
    m = h // reduction
    assert count(Adapter(place(h), m)) == 2 * h * m + m + h == expected
    assert count(Adapter(place(h), m, gated=True)) == expected + 1


def test_what_two_adapters_share_belongs_to_neither() -> None:
    h, r, share = 64, 8, 16
    shared = nn.Linear(r, share)
    one, other = Adapter(place(h), r, shared=shared), Adapter(place(2 * h), r, shared=shared)
    assert count(one) == h * r + r + (r + 1) * (h - share)
    assert count(other) == 2 * h * r + r + (r + 1) * (2 * h - share)
    assert not {id(p) for p in shared.parameters()} & {id(p) for a in (one, other) for p in a.parameters()}
    one(torch.randn(2, 3, h)).sum().backward()
    first = shared.weight.grad.clone()
    other(torch.randn(2, 3, 2 * h)).sum().backward()
    assert first.abs().sum() > 0 and not torch.equal(first, shared.weight.grad)


@settings(deadline=None, max_examples=25)
@given(
    width=st.integers(1, 12),
    inside=st.integers(1, 6),
    side=st.integers(1, 4),
    gated=st.booleans(),
    shares=st.booleans(),
)
def test_it_starts_as_the_identity_on_tokens_and_on_maps(
    width: int, inside: int, side: int, gated: bool, shares: bool
) -> None:
    shared = zeroed(nn.Linear(inside, 1)) if shares else None
    cells = torch.randn(2, width, side, side)
    on_maps = Adapter(place(width, axis=1), inside, gated=gated, shared=shared)
    assert torch.equal(on_maps(cells), cells)
    if on_maps.up is not None:  # moved from zero: a map is what its cells are as tokens
        nn.init.normal_(on_maps.up.weight)
    on_tokens = Adapter(place(width), inside, gated=gated, shared=shared)
    on_tokens.load_state_dict(on_maps.state_dict())
    tokens = on_tokens(cells.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, (side, side))
    torch.testing.assert_close(on_maps(cells), tokens)


def test_the_gate_starts_nearly_shut_and_gets_a_gradient_once_something_comes_through() -> None:
    adapter = Adapter(place(8), 2, gated=True)
    assert adapter.gate is not None and adapter.gate.item() == INITIAL_GATE
    optimiser = torch.optim.SGD(adapter.parameters(), lr=1.0)
    x = torch.randn(4, 8)
    for _ in range(2):
        optimiser.zero_grad()
        adapter(x).square().sum().backward()
        optimiser.step()
    assert adapter.gate.grad.abs() > 0


@pytest.mark.parametrize("before", [True, False])
def test_it_goes_before_or_after_what_is_there(before: bool) -> None:
    block = nn.ModuleDict({"norm": nn.LayerNorm(4)})
    norm, adapter = block["norm"], Adapter(place(4), 2)
    insert(Place(block, "norm", 4, before=before), adapter)
    assert list(block["norm"]) == ([adapter, norm] if before else [norm, adapter])
