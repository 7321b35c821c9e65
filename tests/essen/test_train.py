"""The trainer: what it writes, and that it writes the same whatever happens on the way."""

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from trainings import Killed, checkpoints, killer, logged, outcome, poison, train_with_sigkills

from essen.config import (
    AugmentConfig,
    ModelConfig,
    NoFusionConfig,
    ObjectiveConfig,
    PatchConfig,
    SamplingConfig,
    TextConfig,
    TrainConfig,
    VisionConfig,
)
from essen.errors import DivergedError, EssenError, StopRequested
from essen.export import load_model
from essen.model import build_model
from essen.schedule import learning_rate
from essen.step import build_optimiser
from essen.train import train
from pipeline.errors import DataError


@pytest.fixture(scope="module")
def straight(
    small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A training that nothing interrupted."""
    out = tmp_path_factory.mktemp("straight")
    counts = train(tiny_model, tiny_training, small_stages, out)
    assert counts["steps"] == 24 and counts["samples"] == 72 and counts["seen"] == 24 * 16 and counts["skipped"] == 0
    return out


def test_metrics_log_every_objective_by_itself_and_no_clock(straight: Path) -> None:
    lines = logged(straight)
    assert [line["step"] for line in lines] == list(range(2, 25, 2))
    assert [line["stage"] for line in lines] == [1, 1, 2, 2, 3, 3] + [0] * 6
    assert {"loss", "contrastive", "image_contrast", "learning_rate", "temperature"} <= lines[0].keys()
    assert {"matching", "matching_skipped", "matching_accuracy", "masked", "masked_pieces"} <= lines[1].keys()
    assert not any("second" in key or "time" in key for line in lines for key in line)


def test_the_same_again_gives_the_same_bytes(
    straight: Path, small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    torch.manual_seed(12345)
    train(tiny_model, tiny_training, small_stages, tmp_path)
    assert outcome(tmp_path) == outcome(straight)


def test_two_threads_give_the_same_bytes_each_time(small_stages: Path, tmp_path: Path) -> None:
    # Large enough for torch to share the work out, and for sums whose order it leaves open to show.
    model = ModelConfig(name="tiny", image_size=32)
    training = TrainConfig(
        steps=4, batch_size=72, warmup_steps=0, threads=2, objectives=ObjectiveConfig(fusion_every=1, fusion_batch=72)
    )
    for attempt in ("a", "b", "c"):
        train(model, training, small_stages, tmp_path / attempt)
    assert outcome(tmp_path / "a") == outcome(tmp_path / "b") == outcome(tmp_path / "c")


def test_another_seed_gives_another_model(
    straight: Path, small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    train(tiny_model, tiny_training.model_copy(update={"seed": 1}), small_stages, tmp_path)
    assert outcome(tmp_path)["model.safetensors"] != outcome(straight)["model.safetensors"]


@pytest.mark.parametrize(("first", "second"), [(1, 2), (4, 5), (5, 6), (7, 12), (9, 24), (13, 14), (16, 23), (24, 24)])
def test_killed_twice_it_ends_in_the_same_bytes(
    first: int,
    second: int,
    straight: Path,
    small_stages: Path,
    tiny_model: ModelConfig,
    tiny_training: TrainConfig,
    tmp_path: Path,
) -> None:
    for step in (first, second):
        with pytest.raises(Killed):
            train(tiny_model, tiny_training, small_stages, tmp_path, report=killer(step))
    train(tiny_model, tiny_training, small_stages, tmp_path)
    assert outcome(tmp_path) == outcome(straight)


def test_a_model_that_was_published_before_the_kill_is_written_again(
    straight: Path, small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    train(tiny_model, tiny_training, small_stages, tmp_path)
    shutil.rmtree(tmp_path / "models")
    train(tiny_model, tiny_training, small_stages, tmp_path, report=killer(1))
    assert outcome(tmp_path) == outcome(straight)


def test_sigkill_at_any_moment_twice_in_a_row(
    straight: Path, small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    train_with_sigkills(tiny_model, tiny_training, small_stages, tmp_path, seed=7)
    assert outcome(tmp_path) == outcome(straight)


def test_the_newest_two_checkpoints_are_kept(straight: Path) -> None:
    assert [name[:8] for name in checkpoints(straight)] == ["00000020", "00000024"]


def test_a_changed_byte_is_refused_and_the_checkpoint_before_is_used(
    straight: Path, small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        train(tiny_model, tiny_training, small_stages, tmp_path, report=killer(17))
    newest = tmp_path / "training" / checkpoints(tmp_path)[-1]
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    steps: list[int] = []
    with pytest.warns(UserWarning, match="is damaged"):
        train(tiny_model, tiny_training, small_stages, tmp_path, report=lambda step, _: steps.append(step))
    assert steps[0] == 11
    assert outcome(tmp_path) == outcome(straight)


@pytest.mark.parametrize(("change", "word"), [({"threads": 2}, "threads"), ({"learning_rate": 0.1}, "configuration")])
def test_a_resume_that_could_not_give_the_same_bytes_is_refused(
    change: dict[str, float],
    word: str,
    small_stages: Path,
    tiny_model: ModelConfig,
    tiny_training: TrainConfig,
    tmp_path: Path,
) -> None:
    with pytest.raises(Killed):
        train(tiny_model, tiny_training, small_stages, tmp_path, report=killer(6))
    with pytest.raises(EssenError, match=word) as error:
        train(tiny_model, tiny_training.model_copy(update=change), small_stages, tmp_path)
    assert "\n" not in str(error.value) and "to start again" in str(error.value)


def test_other_shards_or_another_torch_are_refused(
    small_stages: Path,
    new_stages: Callable[..., Path],
    drawing: Callable[[str], bytes],
    tiny_model: ModelConfig,
    tiny_training: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(Killed):
        train(tiny_model, tiny_training, small_stages, tmp_path / "out", report=killer(6))
    pairs = [(f"{colour} dog", drawing(colour)) for colour in ("red", "green", "blue")]
    other = new_stages(tmp_path / "other", [pairs], pairs[:1])
    with pytest.raises(EssenError, match="stages"):
        train(tiny_model, tiny_training, other, tmp_path / "out")
    monkeypatch.setattr(torch, "__version__", "0.1")
    with pytest.raises(EssenError, match="torch"):
        train(tiny_model, tiny_training, small_stages, tmp_path / "out")


def test_asked_to_stop_it_saves_and_goes_on_later(
    straight: Path, small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    done: list[int] = []
    with pytest.raises(StopRequested, match="step 8"):
        train(
            tiny_model,
            tiny_training,
            small_stages,
            tmp_path,
            should_stop=lambda: len(done) == 8,
            report=lambda step, _: done.append(step),
        )
    assert checkpoints(tmp_path)[-1].startswith("00000008")
    train(tiny_model, tiny_training, small_stages, tmp_path)
    assert outcome(tmp_path) == outcome(straight)


def test_a_loss_that_is_no_number_is_skipped_and_leaves_no_trace(
    small_stages: Path,
    tiny_model: ModelConfig,
    tiny_training: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poison(monkeypatch, range(6, 9))
    counts = train(tiny_model, tiny_training, small_stages, tmp_path)
    assert counts["skipped"] == 3 and counts["steps"] == 24
    model, _ = load_model(tmp_path / "models/tiny")
    assert all(value.isfinite().all() for value in model.state_dict().values())
    text = (tmp_path / "models/tiny/metrics.jsonl").read_text()
    assert "NaN" not in text and json.loads(text.splitlines()[-1])["skipped"] == 3


def test_a_loss_that_stays_no_number_ends_with_code_5_and_the_samples(
    small_stages: Path,
    tiny_model: ModelConfig,
    tiny_training: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poison(monkeypatch, range(6, 99))
    with pytest.raises(DivergedError, match="12 steps in a row, up to step 18, after 1 roll-back") as error:
        train(tiny_model, tiny_training, small_stages, tmp_path)
    assert error.value.exit_code == 5
    listed = json.loads((tmp_path / "diverged.json").read_text())
    assert [entry["step"] for entry in listed] == list(range(7, 19))
    assert all(len(entry["uids"]) == 16 and len(entry["uids"][0]) == 32 for entry in listed)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("kind", ["random", "staged"])
def test_both_precisions_and_both_samplers_train(
    precision: str, kind: str, small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    change = {"precision": precision, "sampling": SamplingConfig(kind=kind), "steps": 5, "ema_decay": 0.0}
    counts = train(tiny_model, tiny_training.model_copy(update=change), small_stages, tmp_path)
    assert counts["precision"] == precision
    model, _ = load_model(tmp_path / "models/tiny")
    fresh = build_model(tiny_model, model.vocab_size, tiny_training.seed)
    assert not torch.equal(model.image_projection.weight, fresh.image_projection.weight)


@pytest.mark.parametrize("batch_size", [1, 100])
def test_a_batch_of_one_and_a_corpus_smaller_than_the_batch(
    batch_size: int, small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    change = {"batch_size": batch_size, "steps": 4, "log_every": 1}
    train(tiny_model, tiny_training.model_copy(update=change), small_stages, tmp_path)
    lines = logged(tmp_path)
    assert len(lines) == 4 and all(line["skipped"] == 0 for line in lines)


def test_one_caption_for_everything_is_a_defined_loss(
    new_stages: Callable[..., Path],
    drawing: Callable[[str], bytes],
    tiny_model: ModelConfig,
    tiny_training: TrainConfig,
    tmp_path: Path,
) -> None:
    pairs = [("thing", drawing(colour)) for colour in ("red", "green", "blue", "black")]
    stages = new_stages(tmp_path / "stages", [pairs], pairs[:1])
    counts = train(tiny_model, tiny_training.model_copy(update={"steps": 4}), stages, tmp_path / "out")
    assert counts["skipped"] == 0


def test_the_sigmoid_contrast_trains_its_bias_and_logs_it(
    small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    change = {"objectives": ObjectiveConfig(contrast="sigmoid"), "steps": 12}
    train(tiny_model, tiny_training.model_copy(update=change), small_stages, tmp_path)
    lines = logged(tmp_path)
    assert lines[0]["bias"] != lines[-1]["bias"] and lines[-1]["contrastive"] < lines[0]["contrastive"]
    assert "bias" not in "".join(load_model(tmp_path / "models/tiny")[0].state_dict()).replace(".bias", "")


CONTRAST_ALONE = ObjectiveConfig(matching=0, masked=0, image_contrast=0)


@pytest.mark.slow
def test_a_compiled_model_trains_as_the_plain_one(
    small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    pytest.importorskip("torch._inductor")
    smallest = tiny_model.model_copy(
        update={
            "vision": PatchConfig(kind="patch", patch=16, width=16, layers=0),
            "text": TextConfig(vocab_size=300, max_length=8, width=16, layers=0),
            "fusion": NoFusionConfig(kind="none"),
        }
    )
    change = {"steps": 2, "log_every": 1, "objectives": CONTRAST_ALONE, "precision": "fp32", "ema_decay": 0.0}
    losses = []
    for compiled in (False, True):
        out = tmp_path / str(compiled)
        train(smallest, tiny_training.model_copy(update={**change, "compile": compiled}), small_stages, out)
        losses.append([line["loss"] for line in logged(out)])
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)


def test_without_a_compiler_it_trains_uncompiled_and_says_so(
    straight: Path,
    small_stages: Path,
    tiny_model: ModelConfig,
    tiny_training: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("no-such-compiler",))
    with pytest.warns(UserWarning, match=r"no C\+\+ compiler"):
        train(tiny_model, tiny_training.model_copy(update={"compile": True}), small_stages, tmp_path)
    assert outcome(tmp_path) == outcome(straight)


def test_no_stages_are_one_line(tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"manifest\.json"):
        train(tiny_model, tiny_training, tmp_path / "nowhere", tmp_path)


def test_the_learning_rate_is_a_function_of_the_step() -> None:
    config = TrainConfig(steps=100, warmup_steps=10, learning_rate=1.0, final_rate=0.1)
    rates = [learning_rate(config, step) for step in range(101)]
    assert rates[0] == 0.1 and rates[9] == rates[10] == 1.0
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
    assert abs(rates[100] - 0.1) < 1e-12


def test_wsd_warms_up_stays_and_decays() -> None:
    config = TrainConfig(steps=100, warmup_steps=10, learning_rate=1.0, final_rate=0.1, schedule="wsd", decay_share=0.2)
    rates = [learning_rate(config, step) for step in range(101)]
    assert rates[0] == 0.1 and rates[9:81] == [1.0] * 72
    assert all(a > b for a, b in itertools.pairwise(rates[80:]))
    assert rates[85] == pytest.approx(0.1 + 0.9 * 0.5) and rates[100] == pytest.approx(0.1)


def test_only_matrices_and_convolutions_decay(tiny_model: ModelConfig) -> None:
    model = build_model(tiny_model, 300, 0)
    decayed, free = build_optimiser(model, TrainConfig(weight_decay=0.3)).param_groups
    assert decayed["weight_decay"] == 0.3 and free["weight_decay"] == 0.0
    assert all(p.ndim > 1 for p in decayed["params"]) and all(p.ndim <= 1 for p in free["params"])
    ids = {id(p) for p in decayed["params"]} | {id(p) for p in free["params"]}
    assert ids == {id(p) for p in model.parameters()}
    assert id(model.logit_scale) in {id(p) for p in free["params"]}


def test_on_100_real_pictures_the_loss_falls_below_chance(book_stages: Path, tmp_path: Path) -> None:
    vision = VisionConfig(widths=(16, 32), blocks=(1, 1))
    model = ModelConfig(name="small", image_size=32, vision=vision, text=TextConfig(vocab_size=600, width=64))
    training = TrainConfig(
        steps=50,
        batch_size=32,
        warmup_steps=5,
        threads=1,
        log_every=10,
        sampling=SamplingConfig(kind="random"),
        objectives=ObjectiveConfig(image_contrast=0),
        augment=AugmentConfig(scale=0.1, rotate=5, translate=0.05, shear=0, grey=0),
    )
    train(model, training, book_stages, tmp_path)
    lines = logged(tmp_path, "small")
    # A model that knows nothing gives each of 32 captions the same share: ln 32.
    assert lines[-1]["contrastive"] < 0.6 * torch.tensor(32.0).log().item()
