"""What models answer: they are asked without being changed."""

from pathlib import Path

import numpy as np
import torch

from essen.batches import answer, open_training_data
from essen.config import ModelConfig, SamplingConfig, TrainConfig
from essen.data import Pictures
from essen.export import load_model, save_model
from essen.model import build_model
from essen.sampling.feedback import read_reference
from essen.sampling.sampler import Question
from pipeline.shards.read import open_stages


def test_the_learner_answers_in_evaluation_mode_and_is_left_as_it_was(
    small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig
) -> None:
    data = open_training_data(tiny_model, tiny_training, small_stages)
    model = build_model(tiny_model, data.tokenizer.vocab_size, 0).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    question = Question(np.array([3, 70, 20, 41, 5]))
    first, second = (answer(data, model, question, bf16=False) for _ in range(2))
    assert first.shape == (5, 5) and first.dtype == np.float32 and first.tolist() == second.tolist()
    assert model.training and all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    other = answer(data, model, Question(question.rows[::-1].copy()), bf16=False)
    np.testing.assert_allclose(other[::-1, ::-1], first, atol=1e-4)


def test_the_reference_answers_with_its_own_tokenizer_and_scale(
    small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    data = open_training_data(tiny_model, tiny_training, small_stages)
    with torch.no_grad():
        model = build_model(tiny_model, data.tokenizer.vocab_size, 1)
        model.logit_scale.fill_(3.0)
    save_model(model, data.tokenizer, tiny_model, tmp_path / "reference")
    pictures = Pictures(open_stages(small_stages).stages, tiny_model.image_size)
    reference = read_reference(tmp_path / "reference", data.pairs, pictures, bf16=False)
    rows = np.array([50, 0, 1, 33])
    trained, tokenizer = load_model(tmp_path / "reference")
    ids, mask = tokenizer.encode([data.pairs.captions[row] for row in rows], tiny_model.text.max_length)
    with torch.inference_mode():
        images = trained.encode_images(pictures.load(rows)).embedding
        expected = torch.tensor(3.0).exp() * images @ trained.encode_texts(ids, mask).embedding.T
    np.testing.assert_allclose(reference.logits(data.pairs, rows), expected.numpy(), atol=1e-3)


def test_pictures_may_be_held_out_of_any_kind_so_that_arms_of_a_study_train_on_the_same(
    small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig
) -> None:
    configs = (SamplingConfig(kind="random", held_out=0.25), SamplingConfig(kind="adaptive", held_out=0.25))
    rows = []
    for sampling in configs:
        training = tiny_training.model_copy(update={"sampling": sampling})
        data = open_training_data(tiny_model, training, small_stages)
        assert data.trained == 54
        rows.append({row for step in range(300) for row in data.sampler.batch(step).tolist()})
    assert rows[0] == rows[1] and len(rows[0]) == 54
