"""Samplers in the training loop: killed anywhere, a sampler that learns goes on as if nothing had been."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from toy_learner import add_control, add_tree
from trainings import Killed, killer, logged, outcome, train_with_sigkills

from essen.batches import open_training_data
from essen.config import ModelConfig, SamplingConfig, TrainConfig
from essen.data import read_pairs
from essen.errors import EssenError, StagesError
from essen.sampling.orders import hold_out, read_columns_of
from essen.train import train
from pipeline import files
from pipeline.shards.read import open_stages

KINDS = {
    "tonics": {
        "kind": "tonics",
        "held_out": 0.25,
        "tonics": {"every": 3, "pairs": 4, "threshold": 0.2, "smoothing": 0.3, "keep": 0.2, "patience": 9},
    },
    "adaptive": {"kind": "adaptive", "held_out": 0.25, "sources": "stage", "adaptive": {"every": 3, "pairs": 6}},
    "learnability": {"kind": "learnability", "learnability": {"filtered": 0.5, "chunks": 4}},
    "mixture": {
        "kind": "mixture",
        "sources": "stage",
        "mixture": [{"at": 0, "weights": {"stage1": 1}}, {"at": 1, "weights": {"stage1": 1, "stage3": 3}}],
    },
}


@pytest.fixture(scope="module")
def stages(small_stages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small stages with an ontology by shape, and two controls."""
    folder = tmp_path_factory.mktemp("samplers") / "stages"
    shutil.copytree(small_stages, folder)
    add_tree(folder, word=1)
    add_control(folder, "reversed", lambda places: places[::-1])
    add_control(folder, "random", lambda places: np.random.default_rng(0).permutation(places))
    return folder


@pytest.fixture(scope="module")
def training(
    stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, TrainConfig]:
    """The tiny training with each kind of sampler; the reference of learnability is a model of its own."""
    reference = tmp_path_factory.mktemp("reference")
    train(tiny_model, tiny_training.model_copy(update={"seed": 9, "steps": 30}), stages, reference)
    named = {"learnability": {**KINDS["learnability"]["learnability"], "reference": str(reference / "models/tiny")}}
    short = tiny_training.model_copy(update={"batch_size": 8, "steps": 12, "checkpoint_every": 3})
    samplings = {kind: SamplingConfig.model_validate({**config, **named}) for kind, config in KINDS.items()}
    return {kind: short.model_copy(update={"sampling": sampling}) for kind, sampling in samplings.items()}


@pytest.fixture(scope="module")
def straight(
    stages: Path, tiny_model: ModelConfig, training: dict[str, TrainConfig], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A training with each sampler that nothing interrupted, and its counts."""
    out = tmp_path_factory.mktemp("straight")
    for kind, config in training.items():
        files.write_json(out / kind / "counts.json", train(tiny_model, config, stages, out / kind))
    return out


@pytest.mark.parametrize(("kind", "first", "second"), [("tonics", 4, 8), ("adaptive", 7, 8), ("learnability", 5, 10)])
def test_killed_twice_it_ends_in_the_same_bytes(
    kind: str,
    first: int,
    second: int,
    straight: Path,
    stages: Path,
    tiny_model: ModelConfig,
    training: dict[str, TrainConfig],
    tmp_path: Path,
) -> None:
    for step in (first, second):
        with pytest.raises(Killed):
            train(tiny_model, training[kind], stages, tmp_path, report=killer(step))
    train(tiny_model, training[kind], stages, tmp_path)
    assert outcome(tmp_path) == outcome(straight / kind)


@pytest.mark.slow
def test_sigkill_at_any_moment_twice_in_a_row(
    stages: Path, tiny_model: ModelConfig, training: dict[str, TrainConfig], tmp_path: Path
) -> None:
    config = training["tonics"].model_copy(update={"steps": 30, "checkpoint_every": 3})
    train(tiny_model, config, stages, tmp_path / "straight")
    out = tmp_path / "killed"
    train_with_sigkills(tiny_model, config, stages, out, seed=5)
    assert outcome(out) == outcome(tmp_path / "straight")
    assert logged(out)[-1]["opened"]


def test_what_samplers_ask_is_counted_and_what_they_learn_is_logged(straight: Path) -> None:
    lines = {kind: logged(straight / kind) for kind in KINDS}
    counts = {kind: files.read_json(straight / kind / "counts.json") for kind in KINDS}
    assert [counts[kind]["samples"] for kind in KINDS] == [54, 54, 72, 72]
    for kind in ("tonics", "adaptive", "learnability"):
        last = lines[kind][-1]
        assert last["scored"] == counts[kind]["scored"]
        assert last["forward_units"] == 3 * 12 * 8 + last["scored"] + last["reference_scored"]
        assert last["reference_scored"] == (72 if kind == "learnability" else 0)
    assert counts["learnability"]["scored"] == 12 * 16 and counts["adaptive"]["scored"] == 4 * (5 + 5 + 4)
    assert "scored" not in counts["mixture"] and "scored" not in lines["mixture"][-1]
    assert lines["mixture"][0]["shares"]["stage3"] < lines["mixture"][-1]["shares"]["stage3"]
    assert "root" in lines["tonics"][-1]["opened"] and {line["node"] for line in lines["tonics"]} > {"root"}
    last = lines["adaptive"][-1]
    assert sum(last["shares"].values()) == pytest.approx(1, abs=1e-5) and last["held_out_loss"]["stage1"] > 0


def test_a_control_takes_the_place_of_the_order_by_one_key(
    stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    outcomes = {}
    for order in ("order", "reversed", "random"):
        sampling = tiny_training.sampling.model_copy(update={"order": order})
        training = tiny_training.model_copy(update={"sampling": sampling, "steps": 6, "log_every": 1})
        counts = train(tiny_model, training, stages, tmp_path / order)
        assert counts["samples"] == 72 and [line["stage"] for line in logged(tmp_path / order)] == [1, 2, 3, 0, 0, 0]
        outcomes[order] = outcome(tmp_path / order)["model.safetensors"]
    assert all(one != other for one, other in itertools.combinations(outcomes.values(), 2))
    sampling = tiny_training.sampling.model_copy(update={"order": "frequency"})
    with pytest.raises(StagesError, match=r"no orders/frequency\.parquet"):
        train(tiny_model, tiny_training.model_copy(update={"sampling": sampling}), stages, tmp_path / "missing")


def test_another_reference_or_none_is_refused(
    stages: Path, tiny_model: ModelConfig, training: dict[str, TrainConfig], tmp_path: Path
) -> None:
    config = training["learnability"]
    reference = Path(config.sampling.learnability.reference)
    moved = tmp_path / "reference"
    shutil.copytree(reference, moved)
    learnability = config.sampling.learnability.model_copy(update={"reference": str(moved)})
    config = config.model_copy(update={"sampling": config.sampling.model_copy(update={"learnability": learnability})})
    with pytest.raises(Killed):
        train(tiny_model, config, stages, tmp_path / "out", report=killer(6))
    train(tiny_model, config.model_copy(update={"seed": 3, "sampling": SamplingConfig()}), stages, tmp_path / "other")
    files.write_bytes(moved / "model.safetensors", (tmp_path / "other/models/tiny/model.safetensors").read_bytes())
    with pytest.raises(EssenError, match="written with reference"):
        train(tiny_model, config, stages, tmp_path / "out")
    shutil.rmtree(moved)
    with pytest.raises(EssenError, match=r"config\.json is missing; name the folder of a trained model"):
        train(tiny_model, config, stages, tmp_path / "out")


def test_held_out_pictures_never_come_into_a_batch(
    stages: Path, tiny_model: ModelConfig, training: dict[str, TrainConfig], tmp_path: Path
) -> None:
    data = open_training_data(tiny_model, training["tonics"], stages)
    opened = open_stages(stages)
    columns = read_columns_of(opened, read_pairs(opened.stages))
    _, held_out = hold_out(columns, 0.25, training["tonics"].seed)
    images = {*data.pairs.image_of[held_out].tolist()}
    for step in range(200):
        data.sampler.observe(step, [np.eye(4, dtype=np.float32) for _ in data.sampler.questions(step)])
        assert not images & {*data.pairs.image_of[data.sampler.batch(step)].tolist()}
