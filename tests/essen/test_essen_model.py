import math

import pytest
import torch
from pydantic import ValidationError

from essen.config import FusionConfig, ModelConfig, TextConfig, VisionConfig
from essen.model import Essen, build_model


def inputs(batch: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (batch, 3, 32, 32), generator=generator, dtype=torch.uint8)
    ids = torch.randint(3, 300, (batch, 5), generator=generator)
    return pixels, ids, torch.ones(batch, 5, dtype=torch.bool)


@pytest.fixture(scope="module")
def model(tiny_model: ModelConfig) -> Essen:
    return build_model(tiny_model, vocab_size=300, seed=0).eval()


def test_a_seed_decides_the_weights_and_leaves_the_global_state_alone(tiny_model: ModelConfig) -> None:
    before = torch.get_rng_state()
    one, same, other = (build_model(tiny_model, vocab_size=300, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    pairs = list(zip(one.parameters(), same.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(one.image_projection.weight, other.image_projection.weight)


def test_the_whole_model_has_the_parameters_of_its_closed_form(model: Essen, tiny_model: ModelConfig) -> None:
    h, v, t, e, vocabulary = tiny_model.fusion.width, 16, 16, 32, 300
    towers = sum(p.numel() for tower in (model.vision, model.text) for p in tower.parameters())
    joint = (v * e + e) + (t * e + e) + 1
    fusion = (v * h + h) + (t * h + h) + 2 * h + 28 * h**2 + 32 * h + 4 * h + 2 * (h**2 + h)
    heads = 2 * h + 1 + (h**2 + h) + 2 * h + (h * vocabulary + vocabulary)
    assert sum(p.numel() for p in model.parameters()) == towers + joint + fusion + heads


@torch.inference_mode()
def test_shapes_and_unit_length(model: Essen) -> None:
    pixels, ids, mask = inputs()
    images, texts = model.encode_images(pixels), model.encode_texts(ids, mask)
    assert images.embedding.shape == texts.embedding.shape == (4, 32)
    assert images.tokens.shape == (4, 16, 16) and texts.tokens.shape == (4, 5, 16)
    for embedding in (images.embedding, texts.embedding):
        torch.testing.assert_close(embedding.norm(dim=1), torch.ones(4))
    assert model.match(images, texts).shape == (4,)
    assert model.predict_words(images, texts).shape == (4, 5, 300)


@torch.inference_mode()
def test_bytes_and_shares_of_white_are_the_same_picture(model: Essen) -> None:
    pixels, _, _ = inputs()
    torch.testing.assert_close(
        model.encode_images(pixels).embedding, model.encode_images(pixels / 255).embedding, atol=1e-6, rtol=0
    )


@torch.inference_mode()
def test_another_size_is_scaled(model: Essen) -> None:
    picture = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    small = torch.linspace(0, 1, 32).expand(1, 3, 32, 32)
    cosine = (model.encode_images(picture).embedding * model.encode_images(small).embedding).sum()
    assert cosine > 0.999


@torch.inference_mode()
def test_padding_changes_neither_embedding_nor_match(model: Essen) -> None:
    pixels, ids, mask = inputs()
    images = model.encode_images(pixels)
    short = model.encode_texts(ids, mask)
    padding = torch.zeros(4, 3, dtype=torch.long)
    long = model.encode_texts(torch.cat([ids, padding], 1), torch.cat([mask, padding.bool()], 1))
    torch.testing.assert_close(long.embedding, short.embedding, atol=1e-5, rtol=0)
    torch.testing.assert_close(model.match(images, long), model.match(images, short), atol=1e-5, rtol=0)


@torch.inference_mode()
def test_taking_rows_takes_pairs(model: Essen) -> None:
    pixels, ids, mask = inputs()
    images, texts = model.encode_images(pixels), model.encode_texts(ids, mask)
    rows = torch.tensor([2, 0])
    torch.testing.assert_close(model.match(images.take(rows), texts.take(rows)), model.match(images, texts)[rows])


def test_the_temperature_starts_at_007_and_is_clamped(tiny_model: ModelConfig) -> None:
    model = build_model(tiny_model, vocab_size=300, seed=0)
    assert math.isclose(math.exp(-model.logit_scale.item()), 0.07, rel_tol=1e-6)
    for value, kept in ((9.0, math.log(100)), (-1.0, 0.0)):
        model.logit_scale.data.fill_(value)
        model.clamp_temperature()
        assert math.isclose(model.logit_scale.item(), kept, rel_tol=1e-6)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: ModelConfig(image_size=50), "image_size"),
        (lambda: VisionConfig(widths=(8,), blocks=(1, 1)), "vision.widths"),
        (lambda: TextConfig(width=30, heads=4), "text.heads"),
        (lambda: FusionConfig(width=30, heads=4), "fusion.heads"),
        (lambda: ModelConfig.model_validate({"widht": 3}), "widht"),
    ],
)
def test_a_configuration_that_cannot_work_is_named(make, word: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValidationError, match=word):
        make()
