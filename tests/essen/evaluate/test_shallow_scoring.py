"""A student with a shallow fusion scores pairs as the model itself does, from features that are kept, and fast."""

import time

import numpy as np
import pytest
import torch

from essen.config import FusionConfig, ModelConfig, ShallowConfig
from essen.evaluate.encoders import EssenEncoder
from essen.model import build_model
from essen.tokenizer import train_tokenizer

CAPTIONS = ["a", "a red dog", "the house and the tree", "a small green house"]


def encoder(fusion: FusionConfig | ShallowConfig, model: ModelConfig) -> EssenEncoder:
    tokenizer = train_tokenizer(CAPTIONS, 300)
    config = model.model_copy(update={"fusion": fusion})
    return EssenEncoder(build_model(config, tokenizer.vocab_size, seed=0), tokenizer, 64, bf16=False)


def pixels(number: int, size: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (number, 3, size, size), dtype=np.uint8))


def test_its_logits_are_those_of_the_model_on_all_tokens(tiny_model: ModelConfig, one_thread: None) -> None:
    student = encoder(ShallowConfig(kind="mlp", width=16), tiny_model)
    texts, images = student.encode_texts(CAPTIONS), student.encode_images(pixels(3, tiny_model.image_size))
    text_rows, image_rows = np.array([0, 3, 1, 2, 0]), np.array([2, 0, 1, 1, 0])
    with torch.inference_mode():
        expected = student._model.match(
            images.take(torch.from_numpy(image_rows)), texts.take(torch.from_numpy(text_rows))
        )
    assert student.match(texts, images, text_rows, image_rows) == pytest.approx(expected.numpy(), abs=1e-6)


def test_all_pairs_of_a_hundred_take_it_a_quarter_of_its_teachers_time_at_most(
    tiny_model: ModelConfig, one_thread: None
) -> None:
    rows = [axis.ravel() for axis in np.indices((100, 100))]
    seconds = []
    for fusion in (FusionConfig(width=16, layers=1, heads=2), ShallowConfig(kind="mlp", width=16)):
        scorer = encoder(fusion, tiny_model)
        texts, images = scorer.encode_texts(CAPTIONS * 25), scorer.encode_images(pixels(100, tiny_model.image_size))
        scorer.match(texts, images, *(axis[:64] for axis in rows))
        started = time.process_time()
        scorer.match(texts, images, *rows)
        seconds.append(time.process_time() - started)
    assert seconds[1] < seconds[0] / 4
