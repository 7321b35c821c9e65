import pytest
import torch
from pydantic import ValidationError

from essen.config import FusionConfig, ModelConfig
from essen.errors import EssenError
from essen.fusion.cross import CoLayer, CrossFusion, CrossLayer
from essen.fusion.merged import MergedFusion
from essen.fusion.shallow import ShallowFusion
from essen.model import Essen, build_model

pytestmark = pytest.mark.usefixtures("one_thread")
KINDS = ("lxmert", "meter", "concat", "joint", "mlp", "none")


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def build(config: FusionConfig) -> CrossFusion | MergedFusion:
    torch.manual_seed(0)
    return (MergedFusion(config) if config.kind == "concat" else CrossFusion(config)).eval()


def model_with(tiny_model: ModelConfig, kind: str) -> Essen:
    values = {**tiny_model.model_dump(), "fusion": {"kind": kind} if kind == "none" else {"kind": kind, "width": 16}}
    return build_model(ModelConfig.model_validate(values), vocab_size=300, seed=0).eval()


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("h", [32, 256])
def test_layers_have_the_parameters_of_their_closed_forms(h: int, norm: str) -> None:
    assert count(CrossLayer(h, 4, norm=norm)) == 28 * h**2 + 32 * h  # type: ignore[arg-type]
    assert count(CoLayer(h, 4, norm=norm)) == 32 * h**2 + 38 * h  # type: ignore[arg-type]
    assert count(MergedFusion(FusionConfig(kind="concat", width=h)).layers) == 12 * h**2 + 13 * h
    assert count(ShallowFusion(h)) == 6 * h**2 + 7 * h


def test_one_cross_layer_of_256_and_one_transformer_layer_of_256() -> None:
    assert count(CrossLayer(256, 4)) == 1_843_200
    assert count(MergedFusion(FusionConfig(kind="concat", width=256)).layers) == 789_760


@pytest.mark.parametrize("kind", ["lxmert", "meter", "concat"])
@pytest.mark.parametrize("norm", ["pre", "post"])
@torch.inference_mode()
def test_padding_changes_nothing_and_each_stream_hears_of_the_other(kind: str, norm: str) -> None:
    if (kind, norm) == ("concat", "post"):
        with pytest.raises(ValidationError, match=r"fusion\.norm"):
            FusionConfig(kind="concat", norm="post")
        return
    fusion = build(FusionConfig.model_validate({"kind": kind, "norm": norm, "width": 32, "layers": 2}))
    text, image, mask = torch.randn(3, 5, 32), torch.randn(3, 7, 32), torch.ones(3, 5, dtype=torch.bool)
    long = torch.cat([text, 100 * torch.randn(3, 4, 32)], 1)
    long_mask = torch.cat([mask, torch.zeros(3, 4, dtype=torch.bool)], 1)
    short, padded = fusion(text, image, mask), fusion(long, image, long_mask)
    torch.testing.assert_close(padded.image, short.image, atol=1e-4, rtol=0)
    torch.testing.assert_close(padded.text[:, :5], short.text, atol=1e-4, rtol=0)
    assert (fusion(text, image.flip(0), mask).text - short.text).abs().max() > 1e-3
    assert (fusion(text.flip(0), image, mask).image - short.image).abs().max() > 1e-3


@torch.inference_mode()
def test_which_tokens_are_text_and_which_image_matters(tiny_model: ModelConfig) -> None:
    model = model_with(tiny_model, "concat")
    ids, mask = torch.randint(3, 300, (2, 4)), torch.ones(2, 4, dtype=torch.bool)
    images, texts = model.encode_images(torch.rand(2, 3, 32, 32)), model.encode_texts(ids, mask)
    swapped = images._replace(tokens=texts.tokens), texts._replace(tokens=images.tokens[:, :4])
    same = images._replace(tokens=images.tokens[:, :4]), texts
    assert (model.match(*swapped) - model.match(*same)).abs().max() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_tells_pairs_apart_and_learns(tiny_model: ModelConfig, kind: str) -> None:
    model = model_with(tiny_model, kind)
    pixels, mask = torch.rand(4, 3, 32, 32), torch.ones(4, 5, dtype=torch.bool)
    images, texts = model.encode_images(pixels), model.encode_texts(torch.randint(3, 300, (4, 5)), mask)
    right, wrong = model.match(images, texts), model.match(images.take(torch.tensor([1, 2, 3, 0])), texts)
    assert right.shape == (4,) and (right - wrong).abs().max() > 1e-5
    right.sum().backward()
    assert model.vision.stem[0].weight.grad is not None  # type: ignore[index, union-attr]


@torch.inference_mode()
def test_without_fusion_the_match_is_the_cosine_over_the_temperature(tiny_model: ModelConfig) -> None:
    model = model_with(tiny_model, "none")
    assert not any(name.startswith(("fusion", "token_types", "matching")) for name in model.state_dict())
    ids, mask = torch.randint(3, 300, (4, 5)), torch.ones(4, 5, dtype=torch.bool)
    images, texts = model.encode_images(torch.rand(4, 3, 32, 32)), model.encode_texts(ids, mask)
    cosines = (images.embedding * texts.embedding).sum(1)
    torch.testing.assert_close(model.match(images, texts), cosines / 0.07)


@pytest.mark.parametrize("kind", ["mlp", "none"])
def test_masked_words_need_a_fusion_that_shows_them_the_picture(tiny_model: ModelConfig, kind: str) -> None:
    model = model_with(tiny_model, kind)
    texts = model.encode_texts(torch.ones(1, 2, dtype=torch.long), torch.ones(1, 2, dtype=torch.bool))
    with pytest.raises(EssenError, match=rf"{kind} shows no picture.*train\.objectives\.masked"):
        model.predict_words(model.encode_images(torch.rand(1, 3, 32, 32)), texts)
