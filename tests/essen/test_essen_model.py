import math

import pytest
import torch
from pydantic import ValidationError

from essen.config import FusionConfig, ModelConfig, TextConfig, VisionConfig
from essen.model import Essen, build_model

pytestmark = pytest.mark.usefixtures("one_thread")


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


def test_the_default_model_begins_with_the_weights_that_it_always_had() -> None:
    model = build_model(ModelConfig(), vocab_size=4000, seed=0)
    assert sum(parameter.numel() for parameter in model.parameters()) == 3_321_906
    first = {
        "vision.stem.0.weight": -0.0014408393,
        "text.words.weight": -0.0179261435,
        "image_projection.weight": 0.0281975195,
        "token_types": 0.0050314330,
        "fusion.layers.0.cross.query.weight": -0.0278993808,
        "matching_head.weight": -0.0537301376,
        "word_head.3.weight": 0.0563026778,
    }
    values = model.state_dict()
    assert {name: values[name].flatten()[0].item() for name in first} == pytest.approx(first, rel=1e-5)


ONE_TOWER = {
    "image_size": 32,
    "embedding_size": 32,
    "towers": "one",
    "vision": {"kind": "patch", "patch": 8, "width": 16, "layers": 0},
    "text": {"max_length": 8, "width": 16, "layers": 0},
    "fusion": {"kind": "concat", "width": 16, "layers": 2},
}


@pytest.fixture(scope="module")
def one_tower() -> Essen:
    return build_model(ModelConfig.model_validate(ONE_TOWER), vocab_size=300, seed=0).eval()


def test_one_tower_is_embeddings_an_encoder_and_heads(one_tower: Essen) -> None:
    h, cells, patch, e, vocabulary = 16, 16, 8, 32, 300
    text = vocabulary * h + 8 * h + 2 * h
    image = 3 * patch**2 * h + h + cells * h + 2 * h
    encoder = 2 * (12 * h**2 + 13 * h) + 2 * h
    heads = 2 * (h**2 + h) + 2 * h + 1 + (h**2 + h) + 2 * h + (h * vocabulary + vocabulary)
    joint = 2 * (h * e + e) + 1
    assert sum(p.numel() for p in one_tower.parameters()) == text + image + 2 * h + encoder + heads + joint


@torch.inference_mode()
def test_one_tower_embeds_each_modality_alone_and_matches_both_together(one_tower: Essen) -> None:
    pixels, ids, mask = inputs()
    images, texts = one_tower.encode_images(pixels), one_tower.encode_texts(ids, mask)
    assert images.embedding.shape == texts.embedding.shape == (4, 32)
    assert one_tower.predict_words(images, texts).shape == (4, 5, 300)
    padding = torch.zeros(4, 3, dtype=torch.long)
    long = one_tower.encode_texts(torch.cat([ids, padding], 1), torch.cat([mask, padding.bool()], 1))
    torch.testing.assert_close(long.embedding, texts.embedding, atol=1e-5, rtol=0)
    torch.testing.assert_close(one_tower.match(images, long), one_tower.match(images, texts), atol=1e-5, rtol=0)
    others = one_tower.match(images.take(torch.tensor([1, 2, 3, 0])), texts)
    assert (one_tower.match(images, texts) - others).abs().max() > 1e-5


@pytest.mark.parametrize(
    "change",
    [
        {"vision": VisionConfig()},
        {"text": {"max_length": 8, "width": 16, "layers": 1}},
        {"fusion": {"kind": "lxmert", "width": 16}},
        {"fusion": {"kind": "concat", "width": 32}},
    ],
)
def test_one_tower_holds_nothing_beside_its_encoder(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="towers: one needs"):
        ModelConfig.model_validate({**ONE_TOWER, **change})


def test_a_frozen_own_tower_stands_still_to_the_bit(tiny_model: ModelConfig) -> None:
    values = tiny_model.model_dump()
    values["vision"]["freeze"] = values["text"]["freeze"] = True
    model = build_model(ModelConfig.model_validate(values), vocab_size=300, seed=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    pixels, ids, mask = inputs()
    for _ in range(3):
        model.train()
        model.match(model.encode_images(pixels), model.encode_texts(ids, mask)).sum().backward()
        optimiser.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert "matching_head.weight" in changed
    assert not {name for name in changed if name.startswith(("text.", "vision.stem", "vision.stages", "vision.layers"))}


def test_a_hidden_layer_bends_the_map_of_pictures_and_drops_in_training_alone(tiny_model: ModelConfig) -> None:
    config = ModelConfig.model_validate({**tiny_model.model_dump(), "image_map": {"hidden": 24, "dropout": 0.5}})
    model, pixels = build_model(config, vocab_size=300, seed=0), inputs()[0]
    plain = build_model(tiny_model, vocab_size=300, seed=0)
    added = sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in plain.parameters())
    assert added == (16 * 24 + 24) + (24 * 32 + 32) - (16 * 32 + 32)
    assert not torch.equal(model.encode_images(pixels).embedding, model.encode_images(pixels).embedding)
    model.eval()
    assert torch.equal(model.encode_images(pixels).embedding, model.encode_images(pixels).embedding)


def test_dropout_without_a_hidden_layer_is_refused_and_the_usual_map_is_not_written_down() -> None:
    with pytest.raises(ValidationError, match="give hidden a width"):
        ModelConfig.model_validate({"image_map": {"dropout": 0.1}})
    assert "image_map" not in ModelConfig().model_dump()
