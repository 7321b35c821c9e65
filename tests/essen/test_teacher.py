"""Training with a teacher: what it lowers, what it writes, that it goes on where it was, and who is no fit teacher."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
from trainings import Killed, checkpoints, killer, logged, outcome, train_in_two

from essen.budget import spent
from essen.config import (
    FusionConfig,
    ModelConfig,
    MutualConfig,
    ObjectiveConfig,
    PatchConfig,
    SamplingConfig,
    ShallowConfig,
    TeacherConfig,
    TextConfig,
    TrainConfig,
)
from essen.counts import count_model
from essen.errors import EssenError
from essen.export import load_model, save_model
from essen.model import build_model
from essen.train import train
from pipeline import files

TEXT = TextConfig(vocab_size=300, max_length=8, width=16, layers=1, heads=2)
PATCHES = PatchConfig(kind="patch", patch=8, width=16, layers=1, heads=2)


@pytest.fixture(scope="module")
def teacher(small_stages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that fuses tokens, trained a little."""
    out = tmp_path_factory.mktemp("teacher")
    model = ModelConfig(
        name="teacher",
        image_size=32,
        embedding_size=32,
        vision=PATCHES,
        text=TEXT,
        fusion=FusionConfig(width=32, layers=2, heads=2),
    )
    training = TrainConfig(
        steps=30, batch_size=16, warmup_steps=3, threads=1, objectives=ObjectiveConfig(fusion_every=1)
    )
    train(model, training, small_stages, out)
    return out / "models/teacher"


@pytest.fixture(scope="module")
def student() -> ModelConfig:
    """A dual encoder of patches and words with a shallow fusion."""
    return ModelConfig(
        name="tiny",
        image_size=32,
        embedding_size=32,
        dropout=0.1,
        vision=PATCHES,
        text=TEXT,
        fusion=ShallowConfig(kind="mlp", width=16),
    )


@pytest.fixture(scope="module")
def convolutional(tiny_model: ModelConfig) -> ModelConfig:
    """A dual encoder whose vision tower has no attention, with as many cells as the teacher."""
    vision = tiny_model.vision.model_copy(update={"layers": 0, "stem": 2, "widths": (16, 16), "blocks": (1, 1)})
    return tiny_model.model_copy(
        update={"vision": vision.model_copy(update={"stem": 2}), "fusion": ShallowConfig(kind="mlp", width=16)}
    )


@pytest.fixture(scope="module")
def training(teacher: Path) -> TrainConfig:
    return TrainConfig(
        steps=12,
        batch_size=16,
        warmup_steps=2,
        threads=1,
        checkpoint_every=3,
        log_every=1,
        objectives=ObjectiveConfig(masked=0, fusion_batch=12),
        distillation=TeacherConfig(teacher=str(teacher)),
        sampling=SamplingConfig(uniform_from=0.5),
    )


def changed(training: TrainConfig, **update: Any) -> TrainConfig:
    """Return a training with other values of distillation."""
    assert training.distillation is not None
    return training.model_copy(update={"distillation": training.distillation.model_copy(update=update)})


@pytest.fixture(scope="module", params=["patches", "convolutional"])
def straight(
    request: pytest.FixtureRequest,
    student: ModelConfig,
    convolutional: ModelConfig,
    training: TrainConfig,
    small_stages: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[ModelConfig, Path]:
    """A student, and its training that nothing interrupted."""
    config = student if request.param == "patches" else convolutional
    out = tmp_path_factory.mktemp("straight")
    train(config, training, small_stages, out)
    return config, out


def test_both_terms_are_logged_at_the_steps_of_the_fusion(straight: tuple[ModelConfig, Path]) -> None:
    found = logged(straight[1])
    assert all("attention" not in line and "soft_labels" not in line for line in found[::2])
    assert all(line["attention"] > 0 and line["soft_labels"] > 0 for line in found[1::2])


def test_the_model_has_no_more_than_without_a_teacher(
    straight: tuple[ModelConfig, Path], training: TrainConfig, small_stages: Path, tmp_path: Path
) -> None:
    config, out = straight
    plain = training.model_copy(update={"distillation": None, "steps": 1})
    train(config, plain, small_stages, tmp_path)
    taught, alone = (
        safetensors.torch.load_file(folder / "models/tiny/model.safetensors") for folder in (out, tmp_path)
    )
    assert {name: tensor.shape for name, tensor in taught.items()} == {
        name: tensor.shape for name, tensor in alone.items()
    }
    load_model(out / "models/tiny")


def test_killed_twice_it_ends_in_the_same_bytes(
    straight: tuple[ModelConfig, Path], training: TrainConfig, small_stages: Path, tmp_path: Path
) -> None:
    config, out = straight
    for step in (4, 10):
        with pytest.raises(Killed):
            train(config, training, small_stages, tmp_path, report=killer(step))
    train(config, training, small_stages, tmp_path)
    assert outcome(tmp_path) == outcome(out) and checkpoints(tmp_path) == checkpoints(out)


def test_it_goes_on_with_a_teacher_elsewhere_and_not_with_another(
    straight: tuple[ModelConfig, Path], training: TrainConfig, teacher: Path, small_stages: Path, tmp_path: Path
) -> None:
    config, out = straight
    with pytest.raises(Killed):
        train(config, training, small_stages, tmp_path, report=killer(7))
    moved = tmp_path / "teacher"
    shutil.copytree(teacher, moved)
    here = changed(training, teacher=str(moved))
    model, tokenizer = load_model(moved)
    other = build_model(model.config, tokenizer.vocab_size, seed=5)
    save_model(other, tokenizer, model.config, tmp_path / "other")
    with pytest.raises(EssenError, match="written with teacher"):
        train(config, changed(training, teacher=str(tmp_path / "other")), small_stages, tmp_path)
    train(config, here, small_stages, tmp_path)
    assert outcome(tmp_path) == outcome(out)


def test_the_attention_comes_nearer_to_the_teachers(
    student: ModelConfig, training: TrainConfig, teacher: Path, small_stages: Path, tmp_path: Path
) -> None:
    before = files.sha256_file(teacher / "model.safetensors")
    only = ObjectiveConfig(contrastive=0, image_contrast=0, matching=0, masked=0, fusion_every=1)
    longer = changed(training, soft_labels=0).model_copy(
        update={"steps": 80, "objectives": only, "checkpoint_every": 80}
    )
    train(student, longer, small_stages, tmp_path)
    found = [line["attention"] for line in logged(tmp_path)]
    assert sum(found[-5:]) < 0.7 * sum(found[:5])
    assert files.sha256_file(teacher / "model.safetensors") == before


@pytest.mark.parametrize("labels", ["matching", "list", "contrast"])
def test_soft_labels_alone_need_neither_heads_nor_word_pieces_nor_cells_alike(
    labels: str, training: TrainConfig, small_stages: Path, tmp_path: Path
) -> None:
    other = ModelConfig(
        name="tiny",
        image_size=48,
        embedding_size=16,
        vision=PatchConfig(kind="patch", patch=16, width=24, layers=1, heads=3),
        text=TextConfig(vocab_size=270, max_length=6, width=12, layers=1, heads=1),
        fusion={"kind": "none"} if labels != "matching" else ShallowConfig(kind="mlp", width=16),
    )
    config = changed(training, attention=0, labels=labels).model_copy(update={"steps": 2})
    objectives = ObjectiveConfig(masked=0, matching=0)
    train(other, config.model_copy(update={"objectives": objectives, "precision": "bf16"}), small_stages, tmp_path)
    assert logged(tmp_path)[-1]["soft_labels"] > 0


def test_a_model_may_learn_from_its_own_fusion(
    tiny_model: ModelConfig, training: TrainConfig, small_stages: Path, tmp_path: Path
) -> None:
    mutual = training.model_copy(update={"distillation": MutualConfig(kind="mutual"), "micro_batch": 5})
    with pytest.raises(Killed):
        train(tiny_model, mutual, small_stages, tmp_path / "a", report=killer(5))
    for out in ("a", "b"):
        train(tiny_model, mutual, small_stages, tmp_path / out)
    assert outcome(tmp_path / "a") == outcome(tmp_path / "b")
    assert "attention" not in logged(tmp_path / "a")[-1] and logged(tmp_path / "a")[-1]["soft_labels"] > 0


def test_what_a_teacher_computes_is_part_of_the_budget(
    tiny_model: ModelConfig, training: TrainConfig, teacher: Path
) -> None:
    counts = {"steps": 12, "samples": 72, "seen": 12 * 16}

    def taught(config: TrainConfig) -> int:
        return int(spent(tiny_model, config, counts, vocab_size=300, pieces=4)["flops"]["teacher"])

    model, tokenizer = load_model(teacher)
    of_teacher, own = (count_model(config, tokenizer.vocab_size, 4) for config in (model.config, tiny_model))
    towers = sum(of_teacher[name].macs for name in ("vision", "text", "projections"))
    fused, fused_here = (parts["fusion"].macs + parts["heads"].macs for parts in (of_teacher, own))
    # Six of twelve steps use the fusion, with twelve pairs; of the last six steps it is three.
    assert taught(training) == 2 * 6 * (16 * towers + 12 * (3 + 1) * fused)
    listed = changed(training, labels="list", attention=0, start=0.5)
    assert taught(listed) == 2 * 3 * (16 * towers + 12 * 5 * fused)
    mutual = training.model_copy(update={"distillation": MutualConfig(kind="mutual", candidates=2, start=0)})
    assert taught(mutual) == 2 * 6 * 12 * 3 * fused_here


def test_it_begins_where_it_is_said_to(
    student: ModelConfig, training: TrainConfig, small_stages: Path, tmp_path: Path
) -> None:
    train(student, changed(training, start=0.5), small_stages, tmp_path)
    assert [line["step"] for line in logged(tmp_path) if "attention" in line] == [8, 10, 12]


@pytest.mark.slow
def test_two_processes_learn_what_one_does(
    student: ModelConfig, training: TrainConfig, small_stages: Path, tmp_path: Path
) -> None:
    exact = training.model_copy(update={"precision": "fp32", "steps": 4})
    train(student, exact, small_stages, tmp_path / "one")
    train_in_two(student, exact, small_stages, tmp_path / "two")
    for one, two in zip(logged(tmp_path / "one"), logged(tmp_path / "two"), strict=True):
        assert two == pytest.approx(one, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    ("model", "distillation", "told"),
    [
        (
            {"text": TEXT.model_copy(update={"heads": 4})},
            {},
            "2 heads, the last block of the student's model.text has 4",
        ),
        ({"text": TEXT.model_copy(update={"width": 32})}, {}, "8 wide in vision and 16 in text"),
        ({"text": TEXT.model_copy(update={"vocab_size": 280})}, {}, "different word pieces"),
        ({"text": TEXT.model_copy(update={"max_length": 9})}, {}, "different word pieces"),
        ({"vision": PATCHES.model_copy(update={"patch": 16})}, {}, "16 cells of a picture, the student 4"),
        ({}, {"teacher": "nowhere"}, "nowhere/config.json is missing"),
        ({"fusion": ShallowConfig(kind="mlp")}, {"kind": "mutual"}, "of kind mlp fuses no tokens"),
        ({"fusion": {"kind": "none"}}, {"kind": "mutual"}, "of kind none fuses no tokens"),
    ],
)
def test_what_cannot_be_learnt_is_told_before_the_first_step(
    model: dict[str, Any],
    distillation: dict[str, Any],
    told: str,
    student: ModelConfig,
    training: TrainConfig,
    small_stages: Path,
    tmp_path: Path,
) -> None:
    values = {**student.model_dump(), **{k: v if isinstance(v, dict) else v.model_dump() for k, v in model.items()}}
    config = (
        training.model_copy(update={"distillation": MutualConfig(kind="mutual")})
        if "kind" in distillation
        else changed(training, **distillation)
    )
    with pytest.raises(EssenError, match=told):
        train(ModelConfig.model_validate(values), config, small_stages, tmp_path)
    assert not (tmp_path / "training/metrics.jsonl").exists()


def test_a_teacher_that_fuses_no_tokens_teaches_no_attention(
    straight: tuple[ModelConfig, Path], student: ModelConfig, training: TrainConfig, small_stages: Path, tmp_path: Path
) -> None:
    shallow = changed(training, teacher=str(straight[1] / "models/tiny"))
    with pytest.raises(EssenError, match="kind mlp has no attention between words and cells"):
        train(student, shallow, small_stages, tmp_path)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"compile": True, "distillation": {"teacher": "there"}}, "set compile to false"),
        ({"augment": "none", "cache": {"towers": "both"}, "distillation": {"teacher": "there"}}, "needs pictures"),
        ({"objectives": {"matching": 0}, "distillation": {"kind": "mutual"}}, "give objectives.matching a weight"),
        ({"distillation": {"kind": "mutual", "attention": 1}}, "attention"),
        ({"distillation": {"kind": "teacher"}}, "teacher"),
        ({"distillation": {"teacher": "there", "soft_labels": 0, "attention": 0}}, "leave the teacher out"),
    ],
)
def test_what_contradicts_itself_is_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TrainConfig.model_validate(values)


def test_a_training_without_a_teacher_says_nothing_of_one() -> None:
    assert "distillation" not in TrainConfig().model_dump(mode="json")
    assert TrainConfig().at(Path("/there")) == TrainConfig() and TrainConfig().teacher == ""


def test_a_teachers_path_starts_where_the_recipe_lies() -> None:
    config = TrainConfig.model_validate({"distillation": {"teacher": "runs/a/models/b"}}).at(Path("/there"))
    assert config.teacher == "/there/runs/a/models/b"
