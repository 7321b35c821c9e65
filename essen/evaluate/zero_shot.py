"""Pictures with class labels: classified by the names of the classes, and by a linear probe.

A class's vector is the mean of the unit vectors of its prompts, scaled to unit length (Radford et al. 2021, section
3.1.4). The fusion module orders the first classes of each picture anew, by its logit for the first prompt: all of them
would cost as many times more. A tie counts against the model. ``mean_per_class`` weighs classes alike, however many
pictures they have.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from essen.config import ScoreConfig
from essen.evaluate.controls import (
    FUSION,
    MODEL,
    NO_PICTURE,
    SHUFFLED_CAPTIONS,
    SHUFFLED_PICTURES,
    TOWERS,
    halves,
)
from essen.evaluate.encoders import Encoder, Features
from essen.evaluate.measures import Measure
from essen.evaluate.probe import choose_probe
from essen.evaluate.retrieval import Bools, Floats, Ints, rerank_scores, retrieval_ranks, top_items
from essen.evaluate.sets import LabelledPictures

PROBE = "probe"


def prompts(classes: Sequence[str], templates: Sequence[str]) -> list[str]:
    """Return the prompts of all classes, those of a class one after the other."""
    return [template.replace("{c}", name) for name in classes for template in templates]


def class_scores(
    encoder: Encoder, texts: Features, images: Features, classes: int, rerank_top: int
) -> dict[str, Floats]:
    """Return the scores (I, C) of all classes for every picture, by scorer.

    Args:
        encoder: the model.
        texts: features of the prompts of C classes, equally many for each.
        images: features of I pictures.
        classes: C.
        rerank_top: how many classes the fusion module orders anew; 0: none.
    """
    towers = (images.embedding.float() @ _class_vectors(texts.embedding, classes).T).numpy()
    if not (encoder.fuses and rerank_top):
        return {TOWERS: towers}
    candidates = top_items(towers, rerank_top)
    first_prompts = candidates.ravel() * (len(texts.embedding) // classes)
    pictures = np.repeat(np.arange(len(towers)), candidates.shape[1])
    logits = encoder.match(texts, images, first_prompts, pictures).reshape(candidates.shape)
    return {TOWERS: towers, FUSION: rerank_scores(towers, candidates, logits)}


def zero_shot_measures(scores: dict[str, Floats], labelled: LabelledPictures, seed: Sequence[int]) -> list[Measure]:
    """Return top-1, top-5 and mean-per-class accuracy of the tested pictures.

    Args:
        scores: by scorer, (I + 1, C) for all pictures and the grey one.
        labelled: the I pictures.
        seed: of the shuffling.
    """
    rows = labelled.tested
    rng = np.random.default_rng(list(seed))
    pictures, names = rng.permutation(rows), rng.permutation(len(labelled.classes))
    found = []
    for scorer, matrix in scores.items():
        conditions = {
            MODEL: matrix[rows],
            NO_PICTURE: matrix[np.full_like(rows, len(matrix) - 1)],
            SHUFFLED_PICTURES: matrix[pictures],
            SHUFFLED_CAPTIONS: matrix[rows][:, names],
        }
        found += label_measures(conditions, labelled, rows, scorer, 1 / len(labelled.classes))
    return found


def probe_measures(
    images: Features, labelled: LabelledPictures, config: ScoreConfig, seed: Sequence[int]
) -> list[Measure]:
    """Return the same measures of a linear probe; without a training part each half of the groups answers the other.

    Args:
        images: features of all I pictures and the grey one.
        labelled: the I pictures.
        config: the strengths to choose from.
        seed: of halves, held-out shares and shuffling.
    """
    vectors = images.embedding.numpy().astype(np.float64)
    grey, classes = vectors[-1:], len(labelled.classes)
    rng = np.random.default_rng(list(seed))
    side, tested = _sides(labelled, rng)
    rows = np.flatnonzero(np.isin(side, tested))
    scores = {name: np.zeros((len(side), classes)) for name in (MODEL, NO_PICTURE, SHUFFLED_PICTURES)}
    commoner = 0
    for half in tested:
        judged, learnt = np.flatnonzero(side == half), np.flatnonzero(side != half)
        labels, groups = labelled.labels[learnt], [labelled.groups[row] for row in learnt]
        probe = choose_probe(vectors[learnt], labels, groups, classes, config.probe_strengths, rng)
        scores[MODEL][judged] = probe.logits(vectors[judged])
        scores[NO_PICTURE][judged] = probe.logits(grey)
        scores[SHUFFLED_PICTURES][judged] = probe.logits(vectors[rng.permutation(judged)])
        commoner += int((labelled.labels[judged] == np.bincount(labels, minlength=classes).argmax()).sum())
    conditions = {name: matrix[rows] for name, matrix in scores.items()}
    return label_measures(conditions, labelled, rows, PROBE, commoner / len(rows))


def label_measures(
    conditions: Mapping[str, Floats], labelled: LabelledPictures, rows: Ints, scorer: str, chance: float
) -> list[Measure]:
    """Return the measures of scores (n, C) for some pictures, by condition; chance is that of top 1."""
    classes = len(labelled.classes)
    labels, groups = labelled.labels[rows], [labelled.groups[row] for row in rows]
    relevant: Bools = np.arange(classes) == labels[:, None]
    ranks = {name: retrieval_ranks(matrix, relevant) for name, matrix in conditions.items()}
    counts = np.bincount(labels, minlength=classes)
    # The mean of these over the pictures is the mean over the classes that occur.
    weight = len(labels) / (np.count_nonzero(counts) * counts[labels])
    tables: dict[str, tuple[dict[str, Floats], float | None]] = {
        "top1": ({name: (rank <= 1).astype(np.float64) for name, rank in ranks.items()}, chance)
    }
    if classes > 5:
        guess = 5 / classes if scorer != PROBE else None
        tables["top5"] = ({name: (rank <= 5).astype(np.float64) for name, rank in ranks.items()}, guess)
    tables["mean_per_class"] = ({name: weight * (rank <= 1) for name, rank in ranks.items()}, 1 / classes)
    return [
        Measure(name=name, scorer=scorer, values=values, groups=groups, chance=guess, gallery=classes)
        for name, (values, guess) in tables.items()
    ]


def _class_vectors(embedding: Tensor, classes: int) -> Tensor:
    return F.normalize(embedding.float().view(classes, -1, embedding.shape[1]).mean(dim=1), dim=-1)


def _sides(labelled: LabelledPictures, rng: np.random.Generator) -> tuple[Ints, tuple[int, ...]]:
    if labelled.train is not None:
        return 1 - labelled.train.astype(np.int64), (1,)
    return halves(labelled.groups, rng), (0, 1)
