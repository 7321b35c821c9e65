"""Distillation: soft labels, lists of candidates, and terms that add up whatever parts they are computed in."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from essen.config import (
    FusionConfig,
    ModelConfig,
    MutualConfig,
    ObjectiveConfig,
    PatchConfig,
    ShallowConfig,
    TeacherConfig,
)
from essen.data import Pictures, read_pairs
from essen.model import build_model
from essen.objectives.attention import QueryKey, TowerAttention, last_attention
from essen.objectives.cached import backward
from essen.objectives.combine import Batch, Learner
from essen.objectives.distillation import Distiller, candidate_lists, soft_label_loss, yes_or_no
from essen.rows import Passes
from essen.tokenizer import make_tokenizer
from pipeline.shards.read import open_stages

PAIRS = 18  # of 6 names
ALONE = ObjectiveConfig(contrastive=0, image_contrast=0, matching=0, masked=0, fusion_batch=7)


def test_soft_labels_are_the_divergence_from_the_teacher() -> None:
    student, teacher = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    student.requires_grad_()
    for temperature in (1.0, 3.0):
        loss = soft_label_loss(student, teacher, temperature)
        own, other = (student / temperature).log_softmax(1), (teacher / temperature).softmax(1)
        torch.testing.assert_close(loss, F.kl_div(own, other, reduction="none").sum(1))
    assert soft_label_loss(teacher, teacher).abs().max() < 1e-6


def test_of_two_answers_they_are_those_of_the_sigmoid() -> None:
    student, teacher = torch.randn(2, 9, generator=torch.Generator().manual_seed(0))
    p = teacher.sigmoid()
    entropy = F.binary_cross_entropy(p, p, reduction="none")
    expected = F.binary_cross_entropy_with_logits(student, p, reduction="none") - entropy
    torch.testing.assert_close(soft_label_loss(yes_or_no(student), yes_or_no(teacher)), expected)


@settings(max_examples=30, deadline=None)
@given(present=st.lists(st.booleans(), min_size=4, max_size=4), scale=st.sampled_from([1.0, 100.0, 1e5]))
def test_answers_that_are_not_there_weigh_nothing(present: list[bool], scale: float) -> None:
    student, teacher = scale * torch.randn(2, 1, 5, generator=torch.Generator().manual_seed(1))
    student.requires_grad_()
    allowed = torch.tensor([[True, *present]])
    loss = soft_label_loss(student, teacher, 1.0, allowed)
    torch.testing.assert_close(loss, soft_label_loss(student[allowed][None], teacher[allowed][None]))
    loss.sum().backward()
    assert student.grad is not None and student.grad.isfinite().all() and not student.grad[~allowed].any()


@settings(max_examples=60, deadline=None)
@given(
    images=st.lists(st.integers(0, 5), min_size=1, max_size=9),
    seed=st.integers(0, 99),
    candidates=st.integers(1, 12),
)
def test_a_list_has_the_true_caption_first_and_no_other_true_one(images: list[int], seed: int, candidates: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    pairs, image_of = len(images), torch.tensor(images)
    codes, caption = torch.randint(0, 4, (pairs,), generator=generator).unique(return_inverse=True)
    same = (image_of[:, None] == image_of[None]) | (caption[:, None] == caption[None])
    rows = torch.arange(pairs)
    similarity = torch.randn(pairs, len(codes), generator=generator)
    listed, allowed = candidate_lists(similarity, caption, same, rows, candidates)
    assert listed.shape == allowed.shape == (pairs, 1 + min(candidates, len(codes) - 1))
    assert torch.equal(listed[:, 0], caption) and allowed[:, 0].all()
    for row in range(pairs):
        true = set(caption[same[row]].tolist())
        wrong = [code for code in similarity[row].argsort(descending=True).tolist() if code not in true]
        assert listed[row, 1:][allowed[row, 1:]].tolist() == wrong[:candidates]


@pytest.fixture(scope="module")
def student_config(tiny_model: ModelConfig) -> ModelConfig:
    """Two towers without batch norm, with much dropout, that meet in a shallow fusion."""
    return tiny_model.model_copy(
        update={
            "dropout": 0.3,
            "vision": PatchConfig(kind="patch", patch=16, width=16, layers=1, heads=2),
            "fusion": ShallowConfig(kind="mlp", width=16),
        }
    )


@pytest.fixture(scope="module")
def lesson(small_stages: Path, student_config: ModelConfig) -> tuple[Learner, Batch]:
    """A student with a teacher that fuses tokens, and 18 pairs of the first stage."""
    opened = open_stages(small_stages)
    pairs = read_pairs(opened.stages)
    tokenizer = make_tokenizer(student_config.text, pairs.captions)
    pixels = Pictures(opened.stages, student_config.image_size).load(torch.arange(PAIRS).numpy()).float() / 255
    captions, caption = torch.from_numpy(pairs.caption_of[:PAIRS]).unique(return_inverse=True)
    texts = [pairs.captions[int((pairs.caption_of == code).argmax())] for code in captions.tolist()]
    ids, mask, words = tokenizer.encode_words(texts, student_config.text.max_length)
    batch = Batch(pixels, ids, mask, words, caption, captions[caption], torch.from_numpy(pairs.image_of[:PAIRS]))
    student = build_model(student_config, tokenizer.vocab_size, seed=0).train()
    fusing = student_config.model_copy(update={"fusion": FusionConfig(width=16, layers=1, heads=2)})
    teacher = build_model(fusing, tokenizer.vocab_size, seed=1).eval().requires_grad_(False)
    return Learner(student, tokenizer, None, Distiller(config=TeacherConfig(teacher="there"), teacher=teacher)), batch


def taught(learner: Learner, config: TeacherConfig | MutualConfig, *, projected: bool = False) -> Learner:
    """Return a copy of a learner that is taught as configured; with loss-only queries and keys for its pictures."""
    model = copy.deepcopy(learner.model)
    teacher = learner.distiller.teacher if learner.distiller and isinstance(config, TeacherConfig) else None
    towers: dict[str, Any] = {}
    if config.attention:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            projection = QueryKey(16, 2, 8) if projected else None
        towers["image"] = TowerAttention(None if projected else last_attention(model.vision), projection)
        towers["text"] = TowerAttention(last_attention(model.text), None)
    return Learner(model, learner.tokenizer, None, Distiller(config=config, teacher=teacher, **towers))


def losses_and_gradients(
    learner: Learner, batch: Batch, objectives: ObjectiveConfig, micro_batch: int = 0, seed: int = 0
) -> tuple[dict[str, float], dict[str, torch.Tensor | None]]:
    passes = Passes(seed=seed, step=1, bf16=False, micro_batch=micro_batch, by_row=True)
    values = backward(learner, batch, objectives, passes)
    named = dict(learner.model.named_parameters())
    projection = learner.distiller.image.projection if learner.distiller and learner.distiller.image else None
    named |= {} if projection is None else dict(projection.named_parameters())
    return values, {name: parameter.grad for name, parameter in named.items()}


KINDS: dict[str, TeacherConfig] = {
    "matching": TeacherConfig(teacher="there", labels="matching"),
    "list": TeacherConfig(teacher="there", labels="list", candidates=3, temperature=2),
    "contrast": TeacherConfig(teacher="there", labels="contrast"),
    "random": TeacherConfig(teacher="there", soft_labels=0, target="random"),
}


@pytest.mark.parametrize("micro_batch", [5, 18])
@pytest.mark.parametrize("kind", [*KINDS, "projected"])
def test_losses_and_gradients_in_parts_are_those_of_the_whole_batch(
    kind: str, micro_batch: int, lesson: tuple[Learner, Batch], one_thread: None
) -> None:
    learner, batch = lesson
    config = KINDS.get(kind, KINDS["matching"])
    objectives = ObjectiveConfig(masked=0, fusion_batch=7)
    whole, expected = losses_and_gradients(taught(learner, config, projected=kind == "projected"), batch, objectives)
    parts, found = losses_and_gradients(
        taught(learner, config, projected=kind == "projected"), batch, objectives, micro_batch
    )
    assert {"attention", "soft_labels"} & whole.keys() == {"attention"} | (
        {"soft_labels"} if kind != "random" else set()
    )
    assert parts == pytest.approx(whole, abs=1e-5) and whole["attention"] > 0
    for name, gradient in expected.items():
        assert (gradient is None) == (found[name] is None), name
        if gradient is not None:
            torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-5, msg=name)


def test_the_loss_is_the_weighted_sum_of_its_terms(lesson: tuple[Learner, Batch], one_thread: None) -> None:
    learner, batch = lesson
    objectives = ObjectiveConfig(masked=0, image_contrast=0, fusion_batch=7)
    config = TeacherConfig(teacher="there", soft_labels=3, attention=0.5)
    values, _ = losses_and_gradients(taught(learner, config), batch, objectives)
    terms = values["contrastive"] + 0.5 * values["matching"] + 3 * values["soft_labels"] + 0.5 * values["attention"]
    assert values["loss"] == pytest.approx(terms, rel=1e-5)


def test_it_may_be_all_there_is_and_is_not_there_between_the_fusions_steps(
    lesson: tuple[Learner, Batch], one_thread: None
) -> None:
    learner, batch = lesson
    for micro_batch in (0, 5):
        values, found = losses_and_gradients(taught(learner, KINDS["matching"]), batch, ALONE, micro_batch)
        assert values.keys() == {"loss", "attention", "soft_labels"}
        assert found["matching_head.weight"] is not None and found["text.layers.0.qkv.weight"] is not None
        rarely = ALONE.model_copy(update={"fusion_every": 3})
        assert losses_and_gradients(taught(learner, KINDS["matching"]), batch, rarely, micro_batch)[0] == {"loss": 0}


def test_a_teacher_left_in_training_mode_teaches_the_same(lesson: tuple[Learner, Batch], one_thread: None) -> None:
    learner, batch = lesson
    expected, _ = losses_and_gradients(taught(learner, KINDS["list"]), batch, ALONE)
    again = taught(learner, KINDS["list"])
    assert again.distiller is not None and again.distiller.teacher is not None
    again.distiller.teacher.train()
    found, _ = losses_and_gradients(again, batch, ALONE)
    assert found == expected and not again.distiller.teacher.training
    assert all(parameter.grad is None for parameter in again.distiller.teacher.parameters())


def test_a_student_equal_to_its_teacher_has_no_more_to_learn(
    lesson: tuple[Learner, Batch], student_config: ModelConfig, one_thread: None
) -> None:
    learner, batch = lesson
    student = build_model(student_config.model_copy(update={"dropout": 0.0}), learner.tokenizer.vocab_size, seed=3)
    same = Learner(
        student, learner.tokenizer, None, Distiller(config=KINDS["matching"], teacher=copy.deepcopy(student))
    )
    for labels in ("matching", "contrast"):
        config = TeacherConfig(teacher="there", labels=labels, attention=0)
        values, _ = losses_and_gradients(taught(same, config), batch, ALONE)
        assert values["soft_labels"] == pytest.approx(0, abs=1e-6)


def test_a_teacher_of_other_word_pieces_reads_the_captions_itself(
    lesson: tuple[Learner, Batch], one_thread: None
) -> None:
    learner, batch = lesson
    config = TeacherConfig(teacher="there", attention=0)
    expected, _ = losses_and_gradients(taught(learner, config), batch, ALONE)
    distiller = taught(learner, config).distiller
    assert distiller is not None
    # The same word pieces, by caption, and captions that are in no batch, with more padding.
    codes = batch.caption_of.unique()
    ids, mask = torch.zeros(40, 9, dtype=torch.long), torch.zeros(40, 9, dtype=torch.bool)
    ids[codes, : batch.ids.shape[1]], mask[codes, : batch.ids.shape[1]] = batch.ids, batch.mask
    reading = Distiller(config=config, teacher=distiller.teacher, captions=(ids, mask))
    found, _ = losses_and_gradients(taught(learner, config)._replace(distiller=reading), batch, ALONE)
    assert found == expected


@pytest.mark.parametrize("micro_batch", [0, 5])
def test_the_own_fusion_teaches_the_towers_and_learns_nothing_by_it(
    micro_batch: int, lesson: tuple[Learner, Batch], student_config: ModelConfig, one_thread: None
) -> None:
    learner, batch = lesson
    fusing = student_config.model_copy(update={"fusion": FusionConfig(width=16, layers=1, heads=2)})
    student = build_model(fusing, learner.tokenizer.vocab_size, seed=0).train()
    own = Learner(student, learner.tokenizer)
    mutual = MutualConfig(kind="mutual", candidates=30)
    values, found = losses_and_gradients(taught(own, mutual), batch, ALONE, micro_batch)
    assert values.keys() == {"loss", "soft_labels"} and values["soft_labels"] > 0
    crossing = (
        "fusion.",
        "text_pooler",
        "image_pooler",
        "matching_head",
        "word_head",
        "token_types",
        "image_to_fusion",
    )
    assert all(found[name] is None or not found[name].any() for name in found if name.startswith(crossing))
    assert all(found[name].any() for name in ("text.layers.0.qkv.weight", "vision.stem.weight", "logit_scale"))
    whole, _ = losses_and_gradients(taught(own, mutual), batch, ALONE, 0)
    assert values == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("config", [KINDS["matching"], KINDS["list"], KINDS["contrast"]])
def test_a_batch_of_one_pair_teaches_without_any_that_is_no_number(
    config: TeacherConfig, lesson: tuple[Learner, Batch], one_thread: None
) -> None:
    learner, batch = lesson
    row = torch.zeros(1, dtype=torch.long)
    first = batch.caption[:1]
    one = Batch(
        batch.pixels[:1], batch.ids[first], batch.mask[first], batch.words[first], row, batch.caption_of[:1], row
    )
    values, found = losses_and_gradients(taught(learner, config), one, ALONE)
    assert values["attention"] > 0 and values.get("soft_labels", 0) == pytest.approx(0, abs=1e-6)
    assert all(gradient.isfinite().all() for gradient in found.values() if gradient is not None)
