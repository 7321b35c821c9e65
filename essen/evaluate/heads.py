"""Small classifiers on frozen features of pairs: entailment, answers from a closed set, two pictures and a sentence.

The head is Linear → LayerNorm → GELU → Linear, as in Renaissance and METER (arXiv 2411.06657, 2111.02387). Features of
F numbers a pass stay F wide; two pictures are two passes, 2F in and F wide. Entailment and truth are learnt by
cross-entropy, answers by binary cross-entropy summed over all of them, since several may be right in part.

A head may learn from another model's head what that one answers to the same trials (the soft labels of DiDE,
arXiv 2112.08723). Features are frozen, so where a tower looks has nothing to learn here; that is for training
(`essen.config.TeacherConfig`).
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from essen.computing import threads
from essen.config import HeadConfig
from essen.evaluate.controls import (
    MODEL,
    NO_PICTURE,
    NO_TEXT,
    SHUFFLED_CAPTIONS,
    SHUFFLED_PICTURES,
    halves,
    held_out_groups,
)
from essen.evaluate.measures import Measure
from essen.evaluate.retrieval import Floats, Ints

HEAD = "head"
PairFeatures = Callable[[Ints, Ints], Tensor]


@dataclass(frozen=True, kw_only=True)
class HeadTask:
    """N trials of a text, one or two pictures, and scores of C answers.

    Attributes:
        texts: (N,) rows of the captions.
        images: (N, passes) rows of the pictures.
        targets: (N, C) score of every answer, 0 to 1.
        groups: the unit of every trial.
        side: (N,) half of every trial, 0 or 1.
        tested: the halves that are answered by a head trained on the other: (1,) where a split is given, else (0, 1).
        several: whether an answer may be right beside another one; else one is, and cross-entropy is used.
        empty, grey: rows of the empty caption and of the plain grey picture.
    """

    texts: Ints
    images: Ints
    targets: Floats
    groups: list[str]
    side: Ints
    tested: tuple[int, ...]
    several: bool
    empty: int
    grey: int


def task_sides(groups: list[str], splits: Sequence[str | None], seed: Sequence[int]) -> tuple[Ints, tuple[int, ...]]:
    """Return the half of every trial and the halves to be tested: as split, or dealt out by groups."""
    if splits[0] is not None:
        return np.array([int(split == "test") for split in splits]), (1,)
    return halves(groups, np.random.default_rng(list(seed))), (0, 1)


def head_measure(
    task: HeadTask,
    pair_features: PairFeatures,
    config: HeadConfig,
    seed: Sequence[int],
    teacher_features: PairFeatures | None = None,
) -> Measure:
    """Return the mean score of a head's answers, with its controls.

    Args:
        task: the trials.
        pair_features: features (P, F) of pairs of rows, captions first.
        config: how the head is trained.
        seed: of weights, order, held-out share and shuffling.
        teacher_features: those of a teacher, whose heads are trained on the same trials and see the same sides of them;
            None without one.
    """
    rng = np.random.default_rng([*seed, 0])
    one = np.ones_like
    contents = {
        MODEL: (task.texts, task.images),
        NO_PICTURE: (task.texts, task.grey * one(task.images)),
        NO_TEXT: (task.empty * one(task.texts), task.images),
        SHUFFLED_PICTURES: (task.texts, rng.permutation(task.images.ravel()).reshape(task.images.shape)),
        SHUFFLED_CAPTIONS: (rng.permutation(task.texts), task.images),
    }
    features = {name: _features(*rows, pair_features) for name, rows in contents.items()}
    taught = {name: _features(*contents[name], teacher_features) for name in _training_groups() if teacher_features}
    values = {name: np.zeros(len(task.texts)) for name in contents}
    chance = np.zeros(len(task.texts))
    for half in task.tested:
        judged, learnt = np.flatnonzero(task.side == half), np.flatnonzero(task.side != half)
        chance[judged] = task.targets[judged, task.targets[learnt].sum(axis=0).argmax()]
        for name, shown in _training_groups().items():
            labels = torch.from_numpy(task.targets[learnt]).float()
            if name in taught:
                teacher = _fit(task, taught[name][learnt], learnt, labels, config, [*seed, 1, half])
                labels = soften(labels, teacher(taught[name][learnt]), config.soft_labels, several=task.several)
            head = _fit(task, features[name][learnt], learnt, labels, config, [*seed, 1, half])
            for condition in shown:
                values[condition][judged] = earned(head(features[condition][judged]), task.targets[judged])
    judged = np.flatnonzero(np.isin(task.side, task.tested))
    return Measure(
        name="accuracy",
        scorer=HEAD,
        values={name: column[judged] for name, column in values.items()},
        groups=[task.groups[row] for row in judged],
        chance=float(chance[judged].mean()),
        gallery=task.targets.shape[1],
    )


def soften(labels: Tensor, logits: NDArray[np.float32], share: float, *, several: bool) -> Tensor:
    """Return labels (N, C) of which a share is a teacher's answer, given as logits (N, C).

    Their cross-entropy is the divergence from them and what no student can change, so the gradient is the same.
    """
    answers = torch.from_numpy(logits)
    return torch.lerp(labels, answers.sigmoid() if several else answers.softmax(dim=1), share)


def earned(logits: NDArray[np.float32], targets: Floats) -> Floats:
    """Return (N,) the score of each trial's first answer, the smallest of those that tie."""
    first = logits == logits.max(axis=1, keepdims=True)
    return np.where(first, targets, np.inf).min(axis=1)


def _training_groups() -> dict[str, tuple[str, ...]]:
    """Return the conditions under which a head is trained, each with those under which it answers."""
    return {MODEL: (MODEL, SHUFFLED_PICTURES, SHUFFLED_CAPTIONS), NO_PICTURE: (NO_PICTURE,), NO_TEXT: (NO_TEXT,)}


def _features(texts: Ints, images: Ints, pair_features: PairFeatures) -> Tensor:
    rows, place = np.unique(np.stack([np.repeat(texts, images.shape[1]), images.ravel()]), axis=1, return_inverse=True)
    each = pair_features(rows[0], rows[1])[torch.from_numpy(place.ravel())]
    return each.reshape(len(texts), -1)


def _fit(
    task: HeadTask, features: Tensor, learnt: Ints, labels: Tensor, config: HeadConfig, seed: list[int]
) -> Callable[[Tensor], NDArray[np.float32]]:
    """Return the answers (N, C) of a head as a function of features.

    It was trained on some trials with labels (N, C); the true ones of a held-out share decide when it ended.
    """
    targets = torch.from_numpy(task.targets[learnt]).float()
    groups = [task.groups[row] for row in learnt]
    watched = torch.from_numpy(held_out_groups(groups, config.held_out, np.random.default_rng(seed)).astype(np.bool_))
    mean = features[~watched].mean(dim=0)
    deviation = features[~watched].std(dim=0, correction=0).clamp_min(1e-6)
    scaled = (features - mean) / deviation
    with threads(1), torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        head = build_head(features.shape[1], task.images.shape[1], targets.shape[1], config.dropout)
        train_head(
            head,
            (scaled[~watched], labels[~watched]),
            (scaled[watched], targets[watched]) if watched.any() else None,
            config,
            several=task.several,
        )

    @torch.inference_mode()
    def answer(shown: Tensor) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = head((shown - mean) / deviation).numpy()
        return logits

    return answer


def build_head(size: int, passes: int, answers: int, dropout: float) -> nn.Sequential:
    """Return a head: `size` numbers in, as many as one of its passes wide, `answers` out."""
    width = size // passes
    return nn.Sequential(
        nn.Linear(size, width), nn.LayerNorm(width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, answers)
    )


def train_head(
    head: nn.Sequential,
    train: tuple[Tensor, Tensor],
    watched: tuple[Tensor, Tensor] | None,
    config: HeadConfig,
    *,
    several: bool,
) -> None:
    """Train a head in place and leave it in evaluation mode with the weights of its lowest held-out loss.

    Draws from torch's present random state: give it one of its own.

    Args:
        head: as built by `build_head`.
        train: (N, F) features and (N, C) targets.
        watched: the held-out share, of the same form; None: all epochs are done.
        config, several: how long and how fast; as in `HeadTask`.
    """
    loss = _several_loss if several else F.cross_entropy
    optimiser = torch.optim.AdamW(head.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    best, best_loss, since = copy.deepcopy(head.state_dict()), float("inf"), 0
    for _ in range(config.epochs):
        head.train()
        for rows in torch.randperm(len(train[0])).split(config.batch_size):
            optimiser.zero_grad()
            loss(head(train[0][rows]), train[1][rows]).backward()
            optimiser.step()
        head.eval()
        if watched is None:
            continue
        with torch.inference_mode():
            present = loss(head(watched[0]), watched[1]).item()
        since += 1
        if present < best_loss:
            best, best_loss, since = copy.deepcopy(head.state_dict()), present, 0
        if since == config.patience:
            break
    if watched is not None:
        head.load_state_dict(best)
    head.eval()


def _several_loss(logits: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, targets) * targets.shape[1]
