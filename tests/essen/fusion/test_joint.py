"""Joint adaptive fusion: its equations, its gates, its cost, and words that read it."""

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from trainings import logged

from essen import counts
from essen.config import FusionConfig, JointConfig, ModelConfig, TrainConfig
from essen.fusion.joint import GATE, JointFusion, TokenLearner
from essen.fusion.merged import MergedFusion
from essen.model import Essen, build_model
from essen.overview import PIECES, markdown, overview
from essen.presets import PRESETS
from essen.train import train

pytestmark = pytest.mark.usefixtures("one_thread")
REDUCERS = ("latent", "token_learner")
CELLS, WORDS, H = 196, 16, 128  # 14 × 14 cells and a sentence


def joint(**values: Any) -> JointConfig:
    return JointConfig.model_validate({"kind": "joint", "latents": 5, "width": 32, **values})


def build(**values: Any) -> JointFusion:
    torch.manual_seed(0)
    return JointFusion(joint(**values)).eval()


def streams(batch: int = 3, cells: int = 7, words: int = 5, h: int = 32) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(batch, words, h), torch.randn(batch, cells, h), torch.ones(batch, words, dtype=torch.bool)


def macs(module: torch.nn.Module, *inputs: Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    return counter.get_total_flops() // 2


@torch.inference_mode()
def test_a_layer_is_the_equation() -> None:
    fusion = build(heads=1)
    layer, (text, image) = fusion.layers[0], (torch.randn(2, 5, 32), torch.randn(2, 5, 32))
    gated: Any = layer.fusion
    norm, attention = gated.attention.norm, gated.attention
    key, value = attention.key_value(norm(image)).chunk(2, dim=-1)
    shares = (attention.query(norm(text)) @ key.transpose(1, 2) / 32**0.5).softmax(-1)
    seen = norm(text) + torch.tanh(torch.tensor(GATE)) * attention.out(shares @ value)
    expected = seen + torch.tanh(torch.tensor(GATE)) * gated.mlp(seen)
    torch.testing.assert_close(gated(text, image), expected)
    torch.testing.assert_close(layer(text, image), layer.block(text + expected))


@pytest.mark.parametrize("reducer", REDUCERS)
@given(padding=st.integers(1, 9), words=st.integers(1, 6), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=20)
@torch.inference_mode()
def test_padding_changes_nothing(reducer: str, padding: int, words: int, seed: int) -> None:
    fusion = build(reducer=reducer, layers=2)
    torch.manual_seed(seed)
    text, image, mask = streams(words=words)
    long = torch.cat([text, 100 * torch.randn(3, padding, 32)], 1)
    long_mask = torch.cat([mask, torch.zeros(3, padding, dtype=torch.bool)], 1)
    short, padded = fusion(text, image, mask), fusion(long, image, long_mask)
    torch.testing.assert_close(padded, short, atol=1e-4, rtol=0)
    torch.testing.assert_close(fusion.read(long, padded)[:, :words], fusion.read(text, short), atol=1e-4, rtol=0)


@pytest.mark.parametrize("reducer", REDUCERS)
@torch.inference_mode()
def test_the_joint_tokens_hear_of_both_and_words_of_the_picture(reducer: str) -> None:
    fusion = build(reducer=reducer)
    text, image, mask = streams()
    tokens = fusion(text, image, mask)
    assert tokens.shape == (3, 5, 32)
    assert (fusion(text, image.flip(0), mask) - tokens).abs().max() > 1e-3
    assert (fusion(text.flip(0), image, mask) - tokens).abs().max() > 1e-3
    read = fusion.read(text, tokens)
    assert read.shape == text.shape
    assert (fusion.read(text, fusion(text, image.flip(0), mask)) - read).abs().max() > 1e-4


@torch.inference_mode()
def test_tokens_that_are_learnt_are_weighted_means() -> None:
    torch.manual_seed(0)
    low, high = (bound(torch.randn(4, 9, 16)) for bound in (lambda x: x - 5, lambda x: x + 5))
    tokens = torch.cat([low, high], dim=1)
    reduced = TokenLearner(3, 16)(tokens, None)
    assert reduced.shape == (4, 3, 16)
    assert (reduced >= tokens.amin(1, keepdim=True)).all() and (reduced <= tokens.amax(1, keepdim=True)).all()
    torch.testing.assert_close(TokenLearner(3, 16)(torch.ones(2, 6, 16), None), torch.ones(2, 3, 16))


def test_the_gates_move_and_everything_learns_from_the_first_step() -> None:
    fusion, head = build(layers=2).train(), torch.nn.Linear(32, 1)
    gates = {name: parameter for name, parameter in fusion.named_parameters() if name.endswith(("alpha", "beta"))}
    assert len(gates) == 4 and all(gate.item() == pytest.approx(0.1) for gate in gates.values())
    optimiser = torch.optim.AdamW([*fusion.parameters(), *head.parameters()], lr=1e-2)
    text, image, mask = streams(8)
    for _ in range(5):
        optimiser.zero_grad()
        tokens = fusion(text, image, mask)
        loss = (head(tokens.mean(1)) ** 2).mean() + (fusion.read(text, tokens) ** 2).mean()
        loss.backward()
        for name, parameter in fusion.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
        optimiser.step()
    assert all(abs(gate.item() - GATE) > 1e-3 for gate in gates.values())


@torch.inference_mode()
def test_many_layers_keep_a_size() -> None:
    text, image, mask = streams()
    for layers in (1, 16):
        size = build(layers=layers)(text, image, mask).square().mean().sqrt()
        assert size == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("reducer", REDUCERS)
@pytest.mark.parametrize("latents", [4, 16, 64])
def test_the_cost_is_the_closed_form(reducer: str, latents: int) -> None:
    config = joint(latents=latents, reducer=reducer, width=H, layers=4)
    fusion, cost = JointFusion(config), counts.fusion(config, CELLS + WORDS)
    text, image, mask = streams(1, CELLS, WORDS, H)
    assert macs(fusion, text, image, mask) == cost.macs
    read = sum(parameter.numel() for parameter in fusion.words.parameters())
    assert read == 4 * H**2 + 6 * H
    assert sum(parameter.numel() for parameter in fusion.parameters()) == cost.parameters + read


def test_64_tokens_cost_less_than_two_thirds_of_the_merged_sequence() -> None:
    merged = FusionConfig(kind="concat", width=H, layers=4)
    concat = counts.fusion(merged, CELLS + WORDS).macs
    assert concat == macs(MergedFusion(merged).layers[0], torch.zeros(1, CELLS + WORDS, H)) * 4
    found = [counts.fusion(joint(latents=n, width=H, layers=4), CELLS + WORDS).macs for n in (4, 8, 16, 32, 64)]
    assert found == sorted(found)
    assert [round(each / 1e6, 1) for each in found[2:]] == [34.6, 63.2, 123.7] and round(concat / 1e6, 1) == 212.7
    assert found[-1] <= 0.67 * concat


def model_with(tiny_model: ModelConfig, **values: Any) -> Essen:
    fusion = joint(width=16, latents=4, heads=2, **values)
    return build_model(tiny_model.model_copy(update={"fusion": fusion}), vocab_size=300, seed=0).eval()


@torch.inference_mode()
def test_hidden_words_are_told_from_the_picture(tiny_model: ModelConfig) -> None:
    model = model_with(tiny_model)
    ids, mask = torch.randint(3, 300, (4, 5)), torch.ones(4, 5, dtype=torch.bool)
    images, texts = model.encode_images(torch.rand(4, 3, 32, 32)), model.encode_texts(ids, mask)
    logits = model.predict_words(images, texts)
    assert logits.shape == (4, 5, 300)
    other = model.predict_words(images.take(torch.tensor([1, 2, 3, 0])), texts)
    assert (logits - other).abs().max() > 1e-5
    streams = model.fuse(images, texts)
    assert streams.text.shape == (4, 5, 16) and streams.image.shape == (4, 4, 16)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"width": 30}, r"fusion\.heads"),
        ({"latents": 0}, "latents"),
        ({"reducer": "mean"}, "token_learner"),
        ({"norm": "post"}, "norm"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ModelConfig.model_validate({"fusion": {"kind": "joint", **values}})


@pytest.mark.parametrize("reducer", REDUCERS)
def test_a_model_trains_with_all_objectives(
    tiny_model: ModelConfig, tiny_training: TrainConfig, small_stages: Path, tmp_path: Path, reducer: str
) -> None:
    fusion = joint(width=16, latents=4, heads=2, reducer=reducer)
    config = tiny_model.model_copy(update={"fusion": fusion})
    train(config, tiny_training, small_stages, tmp_path)
    lines = logged(tmp_path)
    assert lines[-1]["loss"] < lines[0]["loss"] and lines[-1]["masked"] < lines[0]["masked"]


def test_the_table_of_models_says_how_many_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    fusion = {"kind": "joint", "latents": 8, "layers": 2, "width": 64}
    monkeypatch.setitem(cast(dict[str, Any], PRESETS), "mine", {"fusion": fusion})
    (entry,) = overview(["mine"])
    assert "| joint 2×64 of 8 tokens |" in markdown([entry])[-1]
    heads = 2 * (counts.linear(64, 64).macs + counts.linear(64, 1).macs)
    assert entry.match_flops == 2 * counts.fusion(joint(**fusion), 4 + PIECES).macs + heads
