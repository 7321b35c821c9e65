"""Micro-batches: the losses and gradients of the whole batch, with dropout on."""

import copy
from pathlib import Path

import pytest
import torch
from trainings import Killed, killer, logged, outcome

from essen.config import AugmentConfig, ModelConfig, ObjectiveConfig, PatchConfig, TrainConfig
from essen.data import Pictures, read_pairs
from essen.export import load_model
from essen.model import build_model
from essen.objectives.cached import backward
from essen.objectives.combine import Batch, Learner
from essen.objectives.contrastive import SigmoidBias
from essen.rows import IMAGES, Passes
from essen.tokenizer import make_tokenizer
from essen.train import train
from pipeline.shards.read import open_stages

PAIRS = 18  # of 6 names, so captions are shared between micro-batches


@pytest.fixture(scope="module")
def patches(tiny_model: ModelConfig) -> ModelConfig:
    """The tiny model with a tower that has no batch norm, and much dropout."""
    return tiny_model.model_copy(
        update={"dropout": 0.3, "vision": PatchConfig(kind="patch", patch=16, width=16, layers=1, heads=2)}
    )


@pytest.fixture(scope="module")
def batch(small_stages: Path, patches: ModelConfig) -> tuple[Learner, Batch]:
    """A learner and 18 pairs of the first stage."""
    opened = open_stages(small_stages)
    pairs = read_pairs(opened.stages)
    tokenizer = make_tokenizer(patches.text, pairs.captions)
    pixels = Pictures(opened.stages, patches.image_size).load(torch.arange(PAIRS).numpy()).float() / 255
    captions, caption = torch.from_numpy(pairs.caption_of[:PAIRS]).unique(return_inverse=True)
    texts = [pairs.captions[int((pairs.caption_of == code).argmax())] for code in captions.tolist()]
    ids, mask, words = tokenizer.encode_words(texts, patches.text.max_length)
    image_of = torch.from_numpy(pairs.image_of[:PAIRS])
    model = build_model(patches, tokenizer.vocab_size, seed=0).train()
    return Learner(model, tokenizer, SigmoidBias()), Batch(
        pixels, ids, mask, words, caption, captions[caption], image_of
    )


def losses_and_gradients(
    learner: Learner, batch: Batch, objectives: ObjectiveConfig, micro_batch: int, seed: int = 0
) -> tuple[dict[str, float], dict[str, torch.Tensor | None]]:
    learner = copy.deepcopy(learner._replace(tokenizer=None))._replace(tokenizer=learner.tokenizer)  # type: ignore[arg-type]
    passes = Passes(seed=seed, step=1, bf16=False, micro_batch=micro_batch, by_row=True)
    values = backward(learner, batch, objectives, passes)
    named = [*learner.model.named_parameters(), *(learner.bias.named_parameters() if learner.bias else ())]
    return values, {name: parameter.grad for name, parameter in named}


@pytest.mark.parametrize("micro_batch", [1, 5, 18])
@pytest.mark.parametrize("contrast", ["softmax", "sigmoid"])
def test_losses_and_gradients_are_those_of_the_whole_batch(
    contrast: str, micro_batch: int, batch: tuple[Learner, Batch], one_thread: None
) -> None:
    objectives = ObjectiveConfig(contrast=contrast, fusion_batch=7)
    whole, expected = losses_and_gradients(*batch, objectives, 0)
    parts, found = losses_and_gradients(*batch, objectives, micro_batch)
    assert {"contrastive", "image_contrast", "matching", "matching_accuracy", "masked"} <= whole.keys() == parts.keys()
    assert parts == pytest.approx(whole, abs=1e-5)
    for name, gradient in expected.items():
        assert (gradient is None) == (found[name] is None), name
        if gradient is not None:
            torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-5, msg=name)


def test_dropout_is_on_and_goes_by_seed(batch: tuple[Learner, Batch], one_thread: None) -> None:
    objectives = ObjectiveConfig()
    first, again, other = (losses_and_gradients(*batch, objectives, 5, seed)[0]["contrastive"] for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("off", ["contrastive", "image_contrast", "matching", "masked"])
def test_each_objective_can_be_switched_off(off: str, batch: tuple[Learner, Batch], one_thread: None) -> None:
    objectives = ObjectiveConfig.model_validate({off: 0})
    whole, expected = losses_and_gradients(*batch, objectives, 0)
    parts, found = losses_and_gradients(*batch, objectives, 4)
    assert off not in parts and parts == pytest.approx(whole, abs=1e-5)
    assert [name for name in expected if (expected[name] is None) != (found[name] is None)] == []


def test_random_numbers_of_other_libraries_are_replayed() -> None:
    passes = Passes(seed=3, step=7, bf16=False)
    draws = []
    for rows in (slice(0, 4), slice(4, 8), slice(0, 4)):
        with passes.forward(IMAGES, rows):
            draws.append(torch.rand(4))
    assert draws[0].equal(draws[2]) and not draws[0].equal(draws[1])


def test_a_batch_norm_counts_every_micro_batch_once(
    small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    change = {"micro_batch": 6, "steps": 2, "ema_decay": 0.0}
    train(tiny_model, tiny_training.model_copy(update=change), small_stages, tmp_path)
    model, _ = load_model(tmp_path / "models/tiny")
    counted = {value.item() for name, value in model.state_dict().items() if name.endswith("num_batches_tracked")}
    assert counted == {2 * 3}


def test_training_in_micro_batches_is_training_at_once(
    small_stages: Path, patches: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    short = tiny_training.model_copy(update={"steps": 8, "augment": AugmentConfig(), "precision": "fp32"})
    lines = []
    for micro_batch in (0, 5):
        out = tmp_path / str(micro_batch)
        train(patches, short.model_copy(update={"micro_batch": micro_batch}), small_stages, out)
        lines.append(logged(out))
    assert [line["loss"] for line in lines[1]] == pytest.approx([line["loss"] for line in lines[0]], abs=1e-4)


def test_killed_twice_it_ends_in_the_same_bytes(
    small_stages: Path,
    tiny_model: ModelConfig,
    tiny_training: TrainConfig,
    tmp_path: Path,
) -> None:
    objectives = ObjectiveConfig(contrast="sigmoid")
    cached = tiny_training.model_copy(
        update={"micro_batch": 6, "steps": 8, "objectives": objectives, "checkpoint_every": 2}
    )
    train(tiny_model, cached, small_stages, tmp_path / "straight")
    for step in (3, 7):
        with pytest.raises(Killed):
            train(tiny_model, cached, small_stages, tmp_path / "killed", report=killer(step))
    train(tiny_model, cached, small_stages, tmp_path / "killed")
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "straight")


def test_dropout_by_row_keeps_the_share_and_the_mean() -> None:
    x = torch.ones(64, 500)
    with Passes(seed=0, step=0, bf16=False, by_row=True).forward(IMAGES, slice(10, 74)):
        dropped = torch.nn.functional.dropout(x, 0.3)
        again = torch.nn.functional.dropout(x, 0.3)
    assert (dropped == 0).float().mean() == pytest.approx(0.3, abs=0.01)
    assert dropped.mean() == pytest.approx(1, abs=0.02) and not dropped.equal(again)
    with Passes(seed=0, step=0, bf16=False, by_row=True).forward(IMAGES, slice(12, 14)):
        assert torch.nn.functional.dropout(x[:2], 0.3).equal(dropped[2:4])
