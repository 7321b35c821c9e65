"""What ends a training before its last step, or sends it back: held-out retrieval, and losses that are no numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from trainings import Killed, checkpoints, killer, logged, outcome, poison

from essen.config import ModelConfig, StoppingConfig, TrainConfig
from essen.errors import DivergedError, StagesError
from essen.export import load_model
from essen.stopping import Examination
from essen.train import train


@pytest.fixture(scope="module")
def stopping(tiny_training: TrainConfig) -> TrainConfig:
    """Examined every other step on what the small stages hold out, and too hasty to learn anything."""
    examined = StoppingConfig(patience=2, every=2, split="test")
    return tiny_training.model_copy(update={"stopping": examined, "learning_rate": 0.05, "checkpoint_every": 2})


@pytest.fixture(scope="module")
def stopped(
    small_stages: Path, tiny_model: ModelConfig, stopping: TrainConfig, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A training that stopped early."""
    out = tmp_path_factory.mktemp("stopped")
    counts = train(tiny_model, stopping, small_stages, out)
    assert counts["steps"] < 24 and counts["best_step"] == counts["steps"] - 2 * 2
    return out


def examined(out: Path) -> dict[int, float]:
    return {line["step"]: line["held_out_recall"] for line in logged(out) if "held_out_recall" in line}


def test_the_best_averaged_weights_are_kept_and_score_what_the_log_says(
    stopped: Path, small_stages: Path, stopping: TrainConfig
) -> None:
    scores = examined(stopped)
    best = max(scores, key=lambda step: (scores[step], -step))
    assert list(scores)[-1] == best + 2 * 2
    model, tokenizer = load_model(stopped / "models/tiny")
    assert Examination(small_stages, "test", model, tokenizer).score(model, bf16=False) == pytest.approx(
        scores[best], abs=0.03
    )


def test_killed_twice_it_stops_at_the_same_step_with_the_same_bytes(
    stopped: Path,
    small_stages: Path,
    tiny_model: ModelConfig,
    stopping: TrainConfig,
    tmp_path: Path,
) -> None:
    for step in (3, 5):
        with pytest.raises(Killed):
            train(tiny_model, stopping, small_stages, tmp_path, report=killer(step))
    train(tiny_model, stopping, small_stages, tmp_path)
    assert outcome(tmp_path) == outcome(stopped)
    steps: list[int] = []
    train(tiny_model, stopping, small_stages, tmp_path, report=lambda step, _: steps.append(step))
    assert steps == [] and outcome(tmp_path) == outcome(stopped)


def test_an_examination_changes_nothing_but_the_log(
    small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    last = {}
    for patience in (0, 99):
        change = {"steps": 6, "stopping": StoppingConfig(patience=patience, every=2, split="test")}
        train(tiny_model, tiny_training.model_copy(update=change), small_stages, tmp_path / str(patience))
        last[patience] = [line for line in logged(tmp_path / str(patience)) if "held_out_recall" not in line]
    assert last[0] == last[99]


def test_a_set_that_is_not_there_is_one_line(
    small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    training = tiny_training.model_copy(update={"stopping": StoppingConfig(patience=1)})
    with pytest.raises(StagesError, match="no set validation, but: test"):
        train(tiny_model, training, small_stages, tmp_path)


def test_the_average_is_what_is_exported(
    small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    models = {}
    for decay in (0.9, 0.0):
        out = tmp_path / str(decay)
        change = {"ema_decay": decay, "steps": 6, "checkpoint_every": 1}
        train(tiny_model, tiny_training.model_copy(update=change), small_stages, out)
        models[decay] = load_model(out / "models/tiny")[0].state_dict()
    newest = load_file(tmp_path / "0.9/training" / checkpoints(tmp_path / "0.9")[-1])
    for name, value in models[0.9].items():
        assert value.equal(newest[f"average.{name}"]) and models[0.0][name].equal(newest[f"model.{name}"])
    name = "image_projection.weight"
    assert not models[0.9][name].equal(models[0.0][name])


def test_after_too_many_failures_the_weights_go_back_and_training_goes_on(
    small_stages: Path,
    tiny_model: ModelConfig,
    tiny_training: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        poison(patch, range(7, 13))
        counts = train(tiny_model, tiny_training, small_stages, tmp_path / "straight")
    assert counts["skipped"] == 6 and counts["rollbacks"] == 1 and counts["steps"] == 24
    model, _ = load_model(tmp_path / "straight/models/tiny")
    assert all(value.isfinite().all() for value in model.state_dict().values())
    # Stopped by a kill in the middle of the failures: steps 6 and 7 are done again before the same calls fail.
    with monkeypatch.context() as patch:
        poison(patch, range(7, 13))
        with pytest.raises(Killed):
            train(tiny_model, tiny_training, small_stages, tmp_path / "killed", report=killer(10))
    with monkeypatch.context() as patch:
        poison(patch, range(2, 8))
        train(tiny_model, tiny_training, small_stages, tmp_path / "killed")
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "straight")


def test_a_roll_back_gives_the_weights_of_the_checkpoint(
    small_stages: Path,
    tiny_model: ModelConfig,
    tiny_training: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poison(monkeypatch, range(7, 13))
    training = tiny_training.model_copy(update={"steps": 13})
    train(tiny_model, training, small_stages, tmp_path)
    by_step = {name[:8]: load_file(tmp_path / "training" / name) for name in checkpoints(tmp_path)}
    then, now = by_step["00000005"], by_step["00000013"]
    assert all(now[name].equal(value) for name, value in then.items())


@pytest.mark.parametrize(("bad", "limit"), [(range(99), 3), (range(6, 99), 0)])
def test_without_a_way_back_it_ends_with_code_5(
    bad: range,
    limit: int,
    small_stages: Path,
    tiny_model: ModelConfig,
    tiny_training: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poison(monkeypatch, bad)
    with pytest.raises(DivergedError) as error:
        train(tiny_model, tiny_training.model_copy(update={"max_rollbacks": limit}), small_stages, tmp_path)
    assert error.value.exit_code == 5
    listed = json.loads((tmp_path / "diverged.json").read_text())
    assert [entry["step"] for entry in listed] == (list(range(1, 13)) if limit else list(range(7, 13)))


def test_tensorboard_s_events_are_written_beside_the_result(
    small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    short = tiny_training.model_copy(update={"steps": 4})
    train(tiny_model, short, small_stages, tmp_path / "without")
    train(tiny_model, short.model_copy(update={"tensorboard": True}), small_stages, tmp_path / "with")
    assert outcome(tmp_path / "with") == outcome(tmp_path / "without")
    events = accumulator.EventAccumulator(str(tmp_path / "with/training/tensorboard")).Reload()
    assert {"loss", "contrastive", "matching", "samples_per_second"} <= set(events.Tags()["scalars"])
    shown = [event.value for event in events.Scalars("loss")]
    np.testing.assert_allclose(shown, [line["loss"] for line in logged(tmp_path / "with")], rtol=1e-6)


def test_deterministic_mode_gives_the_same_bytes_and_is_left_again(
    small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    short = tiny_training.model_copy(update={"steps": 4})
    for deterministic in (False, True):
        change = {"deterministic": deterministic}
        train(tiny_model, short.model_copy(update=change), small_stages, tmp_path / str(deterministic))
    assert outcome(tmp_path / "True") == outcome(tmp_path / "False")
    assert not torch.are_deterministic_algorithms_enabled()
