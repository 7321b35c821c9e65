"""What a vision tower knows by itself: the accuracy of a linear probe of its pooled vectors, before and after training.

A tower that learns to meet captions may lose what its pretraining taught it; how much it keeps is asked apart from
retrieval, without texts, projections or fusion (LilT, arXiv 2303.11866). The pictures are divided into two halves by
their groups, each of which is answered by a probe of the other, so that one held-out set is enough. The halves are the
same before and after: a tower that has not changed has the same accuracy.

All probes have one strength. To choose it would take most of the time, and between 0.0001 and 0.1 it moves what is
found of an EfficientNet-Lite0, pretrained or trained on, by less than two points (the categories of 1,460 drawings).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from essen.computing import uses_bf16
from essen.config import ScoringConfig
from essen.errors import TrialsError
from essen.evaluate.controls import halves
from essen.evaluate.encoders import autocast
from essen.evaluate.held_out import read_held_out
from essen.evaluate.probe import fit_probe
from essen.evaluate.retrieval import Floats, Ints
from essen.export import load_model
from essen.model import Essen, build_model
from pipeline.shards.read import StagedSet

STRENGTH = 0.1  # weight of a probe's squared norm


def tower_skill(
    config: ScoringConfig, part: StagedSet, labels: Mapping[str, str], model: Path, initial_seed: int
) -> dict[str, Any]:
    """Return how well a linear probe of a model's vision tower tells classes, before its training and after it.

    Args:
        config: batch size, precision, and the seed of the halves.
        part: an evaluation set.
        labels: class by uid; pictures without one are left out.
        model: folder of a trained model with two towers.
        initial_seed: of its training: what was not loaded was drawn with it.

    Returns:
        ``pictures``, ``classes`` (numbers), ``commonest`` (the share of the largest class), and the accuracies
        ``before`` and ``after``, 0..1.

    Raises:
        EssenError: the model, or the weights it began with, cannot be had.
        TrialsError: it has one tower alone, or the pictures are all of one class or of one group.
    """
    trained, tokenizer = load_model(model)
    if trained.config.towers == "one":
        raise TrialsError(f"{model}: pictures have no tower of their own here, so no probe can be asked what it knows")
    held_out = read_held_out(part, trained.config.image_size)
    rows = held_out.galleries.images
    known = np.array([place for place, row in enumerate(rows) if labels.get(held_out.uids[row])], np.int64)
    names, classes = np.unique([labels[held_out.uids[row]] for row in rows[known]], return_inverse=True)
    groups = [held_out.groups[row] for row in rows[known]]
    if len(names) < 2 or len(set(groups)) < 2:
        raise TrialsError(
            f"{part.name}: its pictures are of {len(names)} classes and {len(set(groups))} groups; a probe of the "
            "tower needs two of both"
        )
    pixels, bf16 = held_out.pixels[torch.from_numpy(known)], uses_bf16(config.precision)
    initial = build_model(trained.config, tokenizer.vocab_size, initial_seed).eval()
    accuracy = {
        name: probe_accuracy(pooled_vectors(own, pixels, config.batch_size, bf16), classes, groups, config.seed)
        for name, own in (("before", initial), ("after", trained))
    }
    commonest = float(np.bincount(classes).max() / len(classes))
    return {"pictures": len(known), "classes": len(names), "commonest": commonest, **accuracy}


@torch.inference_mode()
def pooled_vectors(model: Essen, pixels: Tensor, batch_size: int, bf16: bool) -> Floats:
    """Return (N, width) what a model's vision tower makes of pictures, (N, 3, S, S) uint8, before any projection."""
    with autocast(bf16):
        parts = [model.vision(model.see(batch)).pooled.float() for batch in pixels.split(batch_size)]
    vectors: Floats = torch.cat(parts).numpy().astype(np.float64)
    return vectors


def probe_accuracy(vectors: Floats, labels: Ints, groups: list[str], seed: int) -> float:
    """Return the share of (N, F) vectors whose class, 0..C-1, a probe of the other half of the groups tells rightly."""
    side = halves(groups, np.random.default_rng(seed))
    right = np.zeros(len(labels), np.bool_)
    for half in (0, 1):
        asked, learnt = np.flatnonzero(side == half), np.flatnonzero(side != half)
        probe = fit_probe(vectors[learnt], labels[learnt], int(labels.max()) + 1, STRENGTH)
        right[asked] = probe.logits(vectors[asked]).argmax(axis=1) == labels[asked]
    return float(right.mean())
