"""What a training has cost, three ways: optimiser steps; examples, and how many of them are different; FLOPs.

FLOPs are two a multiply-accumulate, from the closed forms of `essen.counts`, for captions of their mean length. A part
that learns costs three forward passes a step (one forward, two backward), one whose weights are held around something
that learns two, one that stands still one, and one whose output is kept costs one pass over the pairs, once. Beside the
training itself are counted the passes of the model for its sampler (``scoring``), of the reference of learnability
(``reference``), and of a teacher (``teacher``). Examinations on held-out sets belong to the study, not to the method,
and are not counted; nor are optimiser and augmentation.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from essen.config import AnyDistillation, FusionConfig, JointConfig, ModelConfig, TrainConfig
from essen.counts import Cost, count_model
from essen.data import read_pairs
from essen.export.folder import load_model
from essen.tokenizer import load_tokenizer
from pipeline.shards.read import open_stages

TOWERS = ("vision", "text", "projections")
KEPT = {"none": (), "vision": ("vision",), "text": ("text",), "both": ("vision", "text")}


def spent(
    model: ModelConfig, train: TrainConfig, counts: Mapping[str, Any], *, vocab_size: int, pieces: int
) -> dict[str, Any]:
    """Return the budget of a finished training.

    Args:
        model, train: its configuration.
        counts: what `essen.train.train` returned.
        vocab_size: word pieces of the model's tokenizer.
        pieces: of a caption, on average.

    Returns:
        ``steps``, ``seen``, ``unique`` (None where not known), ``forward_flops`` of one pair through both towers and
        the fusion, and ``flops`` by purpose with their ``total``.

    Raises:
        EssenError: a backbone, the reference or the teacher cannot be read.
    """
    parts = count_model(model, vocab_size, pieces)
    reference = train.sampling.learnability.reference
    flops = {
        "training": 2 * _training_macs(model, train, parts, counts, vocab_size, pieces),
        "scoring": 2 * counts.get("scored", 0) * _towers(parts),
    }
    if train.sampling.kind == "learnability":
        flops["reference"] = 2 * counts["samples"] * _towers(_parts_of(Path(reference), pieces))
    if train.distillation is not None:
        teacher = _parts_of(Path(train.teacher), pieces) if train.teacher else parts
        flops["teacher"] = 2 * _teacher_macs(train, train.distillation, counts, teacher)
    return {
        "steps": counts["steps"],
        "seen": counts["seen"],
        "unique": counts.get("unique"),
        "forward_flops": 2 * sum(cost.macs for cost in parts.values()),
        "flops": {**flops, "total": sum(flops.values())},
    }


def _training_macs(
    model: ModelConfig,
    train: TrainConfig,
    parts: Mapping[str, Cost],
    counts: Mapping[str, Any],
    vocab_size: int,
    pieces: int,
) -> int:
    """Return the multiply-accumulates of all steps."""
    seen, objectives = counts["seen"], train.objectives
    twice = 0 < train.micro_batch < train.batch_size  # the first of two passes has no gradient
    kept = KEPT[train.cache.towers]
    total = sum((_passes(model, name) + twice) * parts[name].macs for name in TOWERS if name not in kept) * seen
    total += sum(parts[name].macs for name in kept) * counts["samples"]
    with_fusion = counts["steps"] // objectives.fusion_every
    pairs = min(train.batch_size, objectives.fusion_batch) * with_fusion
    if objectives.matching:
        # Each pair comes with two that do not belong together.
        total += 3 * 3 * pairs * (parts["fusion"].macs + parts["heads"].macs)
    if objectives.masked and isinstance(model.fusion, FusionConfig | JointConfig):
        h = model.fusion.width
        words = pieces * (h**2 + h * vocab_size)
        total += pairs * (_passes(model, "text") * parts["text"].macs + 3 * (parts["fusion"].macs + words))
    return total


def _passes(model: ModelConfig, part: str) -> int:
    """Return how many forward passes a step of a part is worth."""
    if part == "projections":
        return 3
    kind = model.adapt.kind
    frozen = model.vision.freeze if part == "vision" else model.text.freeze
    if frozen or kind in ("projections", "deep") or (kind, part) == ("locked", "vision"):
        return 1
    return 3 if kind in ("full", "locked") else 2


def _towers(parts: Mapping[str, Cost]) -> int:
    return sum(parts[name].macs for name in TOWERS)


def _parts_of(folder: Path, pieces: int) -> dict[str, Cost]:
    model, tokenizer = load_model(folder)
    return count_model(model.config, tokenizer.vocab_size, pieces)


def _teacher_macs(
    train: TrainConfig, lesson: AnyDistillation, counts: Mapping[str, Any], parts: Mapping[str, Cost]
) -> int:
    """Return the multiply-accumulates of a teacher: the batch once, and the pairs that it fuses, in every such step.

    The model's own fusion has the batch before it already.
    """
    every = train.objectives.fusion_every
    steps = max(0, counts["steps"] // every - round(lesson.start * train.steps) // every)
    pairs = min(train.batch_size, train.objectives.fusion_batch) * steps
    judged = {"matching": 3, "list": lesson.candidates + 1, "contrast": 0}[lesson.labels] if lesson.soft_labels else 0
    fused = (judged + bool(lesson.attention)) * pairs * (parts["fusion"].macs + parts["heads"].macs)
    return fused + (steps * train.batch_size * _towers(parts) if train.teacher else 0)


def spent_by(
    model: ModelConfig, train: TrainConfig, counts: Mapping[str, Any], folder: Path, stages: Path
) -> dict[str, Any]:
    """Return the budget of a finished training, as `spent`, with vocabulary and captions as they are in its files.

    Args:
        model, train, counts: as for `spent`.
        folder: of the trained model.
        stages: that it was trained on.
    """
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    captions = read_pairs(open_stages(stages).stages).captions
    _, mask = tokenizer.encode(captions, model.text.max_length)
    pieces = max(1, round(float(mask.sum(1).float().mean())))
    return spent(model, train, counts, vocab_size=tokenizer.vocab_size, pieces=pieces)
