"""Captions in groups of like length give the features, and the gradients, of the whole batch at once."""

import pytest
import torch

from essen.config import ModelConfig
from essen.model import Essen, build_model
from essen.objectives.by_length import encode_by_length

CONFIG = ModelConfig.model_validate({"text": {"width": 32, "layers": 2, "vocab_size": 300}, "fusion": {"width": 32}})


def captions(number: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(number)
    lengths = torch.randint(1, length + 1, (number,), generator=generator)
    lengths[0] = length
    mask = torch.arange(length) < lengths[:, None]
    return torch.randint(4, 300, (number, length), generator=generator) * mask, mask


def gradients(model: Essen) -> list[torch.Tensor]:
    return [torch.zeros(()) if p.grad is None else p.grad.clone() for p in model.parameters()]


@pytest.mark.parametrize(("number", "length"), [(37, 32), (4, 16), (3, 32), (20, 8)])
def test_features_and_gradients_are_those_of_the_whole_batch(number: int, length: int) -> None:
    model = build_model(CONFIG, 300, seed=0)
    ids, mask = captions(number, length)
    found = []
    for encode in (model.encode_texts, lambda ids, mask: encode_by_length(model, ids, mask)):
        model.zero_grad()
        features = encode(ids, mask)
        assert features.tokens.shape[:2] == ids.shape and (features.mask == mask).all()
        (
            features.embedding.square().sum(1).cumsum(0).sum() + (features.tokens * mask[..., None]).square().sum()
        ).backward()
        found.append((features.embedding.detach(), features.tokens.detach()[mask], gradients(model)))
    torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=1e-3)


def test_an_empty_caption_is_no_trouble() -> None:
    model = build_model(CONFIG, 300, seed=0)
    ids, mask = captions(8, 20)
    ids[1:], mask[1:] = 0, False
    features = encode_by_length(model, ids, mask)
    assert features.embedding.isfinite().all() and features.tokens.isfinite().all()
