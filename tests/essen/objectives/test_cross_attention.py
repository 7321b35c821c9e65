"""Attention between words and cells that a dual encoder learns from a fusion: the loss, and what it reaches."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from essen.config import FusionConfig, ModelConfig, PatchConfig, ShallowConfig, TextConfig
from essen.model import Essen, build_model
from essen.objectives.attention import (
    CrossHeads,
    Heads,
    QueryKey,
    TowerAttention,
    attention_loss,
    fused_heads,
    last_attention,
    log_shares,
)

PAIRS, HEADS, WORDS, CELLS, WIDTH = 3, 2, 5, 4, 16


def heads(seed: int, *, words: int = WORDS, cells: int = CELLS, number: int = HEADS, size: int = 8) -> CrossHeads:
    generator = torch.Generator().manual_seed(seed)

    def draw(tokens: int) -> Heads:
        query, key = torch.randn(2, PAIRS, number, tokens, size, generator=generator)
        return Heads(query, key)

    return CrossHeads(text=draw(words), image=draw(cells))


def lengths(*real: int, words: int = WORDS) -> Tensor:
    return torch.arange(words) < torch.tensor(real)[:, None]


def model(fusion: FusionConfig | ShallowConfig, seed: int = 0) -> Essen:
    config = ModelConfig(
        name="patches",
        image_size=32,
        embedding_size=16,
        vision=PatchConfig(kind="patch", patch=16, width=WIDTH, layers=2, heads=HEADS),
        text=TextConfig(vocab_size=300, max_length=WORDS, width=WIDTH, layers=2, heads=HEADS),
        fusion=fusion,
    )
    return build_model(config, 300, seed=seed)


@pytest.fixture
def inputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    pixels = torch.rand(PAIRS, 3, 32, 32, generator=generator)
    return pixels, torch.randint(3, 300, (PAIRS, WORDS), generator=generator), lengths(5, 2, 3)


def watched(student: Essen, pixels: Tensor, ids: Tensor, mask: Tensor) -> CrossHeads:
    image = TowerAttention(last_attention(student.vision), None).watch(lambda: student.encode_images(pixels))[1]
    text = TowerAttention(last_attention(student.text), None).watch(lambda: student.encode_texts(ids, mask))[1]
    return CrossHeads(text, image)


def test_it_is_zero_where_both_look_at_the_same() -> None:
    same = heads(0)
    assert attention_loss(same, same, lengths(5, 2, 1)).abs().max() < 1e-6
    assert attention_loss(same, heads(1), lengths(5, 2, 1)).min() > 0.01


def test_it_is_the_divergence_over_the_other_modality_alone() -> None:
    student, teacher, mask = heads(0), heads(1), lengths(5, 2, 3)
    expected = torch.zeros(PAIRS)
    for pair, real in enumerate((5, 2, 3)):
        for own, other in ((student, teacher),):
            for head in range(HEADS):
                for asking, asked in (("text", "image"), ("image", "text")):
                    number = {"text": real, "image": CELLS}
                    for query in range(number[asking]):
                        p, q = (
                            torch.tensor(
                                [
                                    float(getattr(side, asking).query[pair, head, query] @ key)
                                    for key in getattr(side, asked).key[pair, head, : number[asked]]
                                ]
                            )
                            .div(8**0.5)
                            .softmax(0)
                            for side in (other, own)
                        )
                        expected[pair] += float((p * (p / q).log()).sum()) / HEADS / number[asking]
    torch.testing.assert_close(attention_loss(student, teacher, mask), expected, atol=1e-5, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    real=st.lists(st.integers(0, WORDS), min_size=PAIRS, max_size=PAIRS),
    scale=st.sampled_from([1e-3, 1.0, 30.0, 1e4]),
    seed=st.integers(0, 99),
)
def test_it_is_finite_with_any_padding_and_so_is_its_gradient(real: list[int], scale: float, seed: int) -> None:
    student, teacher = heads(seed), heads(seed + 1)
    leaves = [part.mul(scale).requires_grad_() for side in student for part in side]
    own = CrossHeads(Heads(*leaves[:2]), Heads(*leaves[2:]))
    other = CrossHeads(*(Heads(*(part * scale for part in side)) for side in teacher))
    loss = attention_loss(own, other, lengths(*real))
    assert loss.isfinite().all() and (loss > -1e-5).all()
    loss.sum().backward()
    assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in leaves)


@settings(max_examples=30, deadline=None)
@given(real=st.lists(st.integers(1, WORDS), min_size=PAIRS, max_size=PAIRS), more=st.integers(1, 6))
def test_more_padding_changes_nothing_whatever_it_holds(real: list[int], more: int) -> None:
    padded = []
    for side in (heads(3), heads(4)):
        junk = [torch.cat([part, torch.full((PAIRS, HEADS, more, 8), 77.0)], dim=2) for part in side.text]
        padded.append(CrossHeads(Heads(*junk), side.image))
    short = attention_loss(heads(3), heads(4), lengths(*real))
    long = attention_loss(padded[0], padded[1], lengths(*real, words=WORDS + more))
    torch.testing.assert_close(long, short, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"number": 4}, "student has 2 heads and 5 tokens, the teacher 4"),
        ({"cells": 9}, "4 tokens, the teacher 2 and 9"),
    ],
)
def test_other_numbers_of_heads_or_tokens_are_refused(other: dict[str, int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        attention_loss(heads(0), heads(1, **other), lengths(5, 5, 5))


def test_a_teacher_may_have_heads_of_another_size() -> None:
    assert attention_loss(heads(0), heads(1, size=24), lengths(5, 5, 5)).isfinite().all()


@pytest.mark.parametrize("kind", ["concat", "lxmert", "meter"])
def test_gradients_reach_queries_keys_and_all_below_and_nothing_else(
    kind: str, inputs: tuple[Tensor, Tensor, Tensor]
) -> None:
    student = model(ShallowConfig(kind="mlp", width=WIDTH))
    teacher = model(FusionConfig(kind=kind, width=24, layers=2, heads=HEADS), seed=1).eval()
    pixels, ids, mask = inputs
    taught = fused_heads(teacher, teacher.encode_images(pixels), teacher.encode_texts(ids, mask))
    attention_loss(watched(student, pixels, ids, mask), taught, mask).sum().backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    for tower in (student.vision, student.text):
        first, last = tower.layers[0], tower.layers[-1]
        gradient = last.qkv.weight.grad
        assert gradient[: 2 * WIDTH].abs().min(1).values.max() > 0 and not gradient[2 * WIDTH :].any()
        assert last.qkv.bias.grad is not None and not last.qkv.bias.grad[2 * WIDTH :].any()
        beyond = [last.out, last.feed_forward_norm, last.feed_forward, tower.norm]
        assert all(parameter.grad is None for part in beyond for parameter in part.parameters())
        assert all(parameter.grad.abs().sum() > 0 for parameter in first.parameters() if parameter.ndim > 1)
        assert tower.positions.grad.abs().sum() > 0
    heads_and_fusion = [student.image_projection, student.text_projection, student.fusion, student.matching_head]
    assert all(parameter.grad is None for part in heads_and_fusion for parameter in part.parameters())


def test_watching_a_tower_changes_nothing_that_it_returns(inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    student, (pixels, _, _) = model(ShallowConfig(kind="mlp", width=WIDTH)).eval(), inputs
    features, _ = TowerAttention(last_attention(student.vision), None).watch(lambda: student.encode_images(pixels))
    for own, plain in zip(features, student.encode_images(pixels), strict=True):
        assert torch.equal(own, plain)
    assert not any(module._forward_hooks for module in student.modules())


def test_a_tower_without_attention_gets_queries_and_keys_of_its_tokens(tiny_model: ModelConfig) -> None:
    plain = tiny_model.vision.model_copy(update={"layers": 0})
    frozen = tiny_model.text.model_copy(update={"freeze": True})
    student = build_model(tiny_model.model_copy(update={"vision": plain, "text": frozen}), 300, seed=0)
    assert last_attention(student.vision) is None and last_attention(student.text) is None
    projection = QueryKey(16, HEADS, 8)
    _, seen = TowerAttention(None, projection).watch(lambda: student.encode_images(torch.rand(2, 3, 32, 32)))
    assert seen.query.shape == seen.key.shape == (2, HEADS, student.vision.cells, 8)
    (seen.query.sum() + seen.key.sum()).backward()
    assert student.vision.stem[0].weight.grad.abs().sum() > 0


def _attending(model: Essen, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, Tensor]]:
    """Catch queries and keys of every attention of the fusion, as they are multiplied."""
    import essen.fusion.cross
    import essen.towers.transformer
    from essen.towers.transformer import attend

    seen: list[tuple[Tensor, Tensor]] = []

    def spy(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        seen.append((query, key))
        return attend(query, key, value, mask)

    for module in (essen.fusion.cross, essen.towers.transformer):
        monkeypatch.setattr(module, "attend", spy)
    return seen


@pytest.mark.parametrize(
    ("kind", "to_image", "to_text"), [("lxmert", 4, 5), ("meter", 6, 7), ("concat", 1, 1)]
)  # which attention of two layers it is that crosses in the last one
def test_a_teachers_queries_and_keys_are_those_of_its_last_layer(
    kind: str, to_image: int, to_text: int, inputs: tuple[Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = model(FusionConfig(kind=kind, width=24, layers=2, heads=HEADS)).eval()
    pixels, ids, mask = inputs
    images, texts = teacher.encode_images(pixels), teacher.encode_texts(ids, mask)
    seen = _attending(teacher, monkeypatch)
    found = fused_heads(teacher, images, texts)
    if kind == "concat":
        query, key = seen[1]
        assert torch.equal(torch.cat([found.text.query, found.image.query], 2), query)
        assert torch.equal(torch.cat([found.text.key, found.image.key], 2), key)
        joint = log_shares(query, key, torch.cat([mask, torch.ones(PAIRS, CELLS, dtype=torch.bool)], 1)).exp()
        across = joint[:, :, :WORDS, WORDS:]
        shares = log_shares(found.text.query, found.image.key, torch.ones(PAIRS, CELLS, dtype=torch.bool)).exp()
        torch.testing.assert_close(shares, across / across.sum(-1, keepdim=True))
        return
    for (query, key), asking, asked in ((seen[to_image], "text", "image"), (seen[to_text], "image", "text")):
        assert torch.equal(getattr(found, asking).query, query) and torch.equal(getattr(found, asked).key, key)


def test_a_fusion_without_attention_is_refused() -> None:
    shallow = model(ShallowConfig(kind="mlp", width=WIDTH))
    images = shallow.encode_images(torch.rand(1, 3, 32, 32))
    with pytest.raises(ValueError, match="kind mlp has no attention"):
        fused_heads(shallow, images, shallow.encode_texts(torch.ones(1, 3, dtype=torch.long), torch.ones(1, 3) > 0))
