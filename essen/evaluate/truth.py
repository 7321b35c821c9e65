"""True or false: whether a sentence holds of a picture (NLVR's form), by a threshold on the model's score.

The threshold that is right most often on one half of the groups decides on the other half, both ways, so no trial is
judged by a threshold that has seen it. Each control has thresholds of its own. Chance is what the commoner label of one
half earns on the other.
"""

from collections.abc import Sequence

import numpy as np

from essen.evaluate.controls import CONDITIONS, Slots, halves
from essen.evaluate.measures import Measure
from essen.evaluate.retrieval import Bools, Floats, Ints
from essen.evaluate.trials import TruthTrial


def truth_slots(trials: Sequence[TruthTrial], text_row: dict[str, int], image_row: dict[str, int], grey: int) -> Slots:
    """Return the slots of trials: a text slot for each, a picture slot and a pair for each of its pictures."""
    per_trial = np.array([len(trial.images) for trial in trials])
    images = np.array([image_row[image] for trial in trials for image in trial.images], np.int64)
    return Slots(
        texts=np.array([text_row[trial.text] for trial in trials], np.int64),
        images=images,
        text=np.repeat(np.arange(len(trials)), per_trial),
        image=np.arange(len(images)),
        grey=grey,
    )


def truth_measures(
    trials: Sequence[TruthTrial], scores: dict[str, dict[str, Floats]], seed: Sequence[int]
) -> list[Measure]:
    """Return the accuracy over all pairs of a sentence and a picture.

    Args:
        trials: in the order of their slots.
        scores: by scorer and condition, (P,) scores of all pairs; see `truth_slots`.
        seed: of the halves.
    """
    labels, groups = truth_items(trials)
    side = halves(groups, np.random.default_rng(list(seed)))
    return [
        Measure(
            name="accuracy",
            scorer=scorer,
            values={name: crossed_hits(by_condition[name], labels, side) for name in CONDITIONS},
            groups=groups,
            chance=majority(labels, side),
            gallery=2,
        )
        for scorer, by_condition in scores.items()
    ]


def truth_items(trials: Sequence[TruthTrial]) -> tuple[Bools, list[str]]:
    """Return label (P,) and unit of every pair of a sentence and a picture."""
    labels = np.array([trial.label for trial in trials for _ in trial.images])
    return labels, [trial.unit for trial in trials for _ in trial.images]


def crossed_hits(scores: Floats, labels: Bools, side: Ints) -> Bools:
    """Return (P,) whether each item is judged rightly by the threshold of the other half.

    Args:
        scores: (P,), higher for true.
        labels: (P,).
        side: (P,) 0 or 1; see `essen.evaluate.controls.halves`.
    """
    hits = np.zeros(len(scores), np.bool_)
    for half in (0, 1):
        judged = side == half
        hits[judged] = (scores[judged] > best_threshold(scores[~judged], labels[~judged])) == labels[judged]
    return hits


def best_threshold(scores: Floats, labels: Bools) -> float:
    """Return the threshold above which "true" is right most often; of equal ones the lowest.

    Thresholds lie half-way between neighbouring scores, below all or above all of them; with no score it is −∞.
    """
    order = np.argsort(scores, kind="stable")
    values = np.asarray(scores, np.float64)[order]
    # right[k]: the k lowest are called false, the others true.
    right = (
        np.concatenate([[0], np.cumsum(~labels[order])]) + np.concatenate([[0], np.cumsum(labels[order][::-1])])[::-1]
    )
    cuts = np.concatenate([[-np.inf], (values[:-1] + values[1:]) / 2, [np.inf]]) if len(values) else np.array([-np.inf])
    possible = np.ones(len(cuts), np.bool_)
    possible[1:-1] = values[:-1] < values[1:]
    return float(cuts[np.argmax(np.where(possible, right, -1))])


def majority(labels: Bools, side: Ints) -> float:
    """Return how often the commoner label of one half is right on the other, both ways; a draw says "true"."""
    right = sum(
        int((labels[side == half] == (2 * labels[side != half].sum() >= (side != half).sum())).sum()) for half in (0, 1)
    )
    return right / len(labels)
