"""Forced choice: which of some pictures fits a text, which of some texts fits a picture, and Winoground's items.

A tie counts against the model. With the grey picture all pictures of a trial tie, so choosing among them earns nothing.

For an item with texts 0, 1 and pictures 0, 1 and scores s (Thrush et al. 2022, eq. 1–3): *text* is right if each
picture prefers its own text, *image* if each text prefers its own picture, *group* if both hold; chance is 1/4, 1/4
and 1/6.

Agreement with people, who chose option j in a share h_j of the cases:

- ``human_share``: the share of people who chose what the model chooses, the smallest among options that tie;
- ``human_divergence``: Σ_j h_j ln(h_j / p_j) in nats with p = softmax(β s). β ≥ 0 is fitted on one half of the groups
  and used for the other, both ways, so that models with other scales of scores can be compared; β = 0 gives chance.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from essen.evaluate.controls import CONDITIONS, Slots, halves
from essen.evaluate.measures import Measure
from essen.evaluate.retrieval import Bools, Floats, Ints
from essen.evaluate.trials import ChoiceTrial

LARGEST_SCALE = 12.0  # of ln(1 + β): scores that differ by a thousandth can still be told apart


def choice_slots(
    trials: Sequence[ChoiceTrial], text_row: dict[str, int], image_row: dict[str, int], grey: int
) -> Slots:
    """Return the slots of trials, every picture with every text of its trial, texts first.

    Args:
        trials: the trials.
        text_row, image_row: row of the unique captions and pictures.
        grey: row of the plain grey picture.
    """
    texts = [text_row[text] for trial in trials for text in trial.texts]
    images = [image_row[image] for trial in trials for image in trial.images]
    text: list[int] = []
    image: list[int] = []
    text_start = image_start = 0
    for trial in trials:
        for own in range(len(trial.texts)):
            text += [text_start + own] * len(trial.images)
            image += range(image_start, image_start + len(trial.images))
        text_start += len(trial.texts)
        image_start += len(trial.images)
    columns = [np.array(column, np.int64) for column in (texts, images, text, image)]
    return Slots(columns[0], columns[1], columns[2], columns[3], grey)


def choice_measures(
    trials: Sequence[ChoiceTrial], scores: dict[str, dict[str, Floats]], seed: Sequence[int]
) -> list[Measure]:
    """Return the measures of choice trials.

    Args:
        trials: (N,) in the order of their slots.
        scores: by scorer and condition, the scores of all pairs; see `choice_slots`.
        seed: of the halves for agreement.
    """
    sizes = np.cumsum([len(trial.texts) * len(trial.images) for trial in trials])[:-1]
    measures = []
    for scorer, by_condition in scores.items():
        own = {condition: np.split(by_condition[condition], sizes) for condition in CONDITIONS}
        for name, chosen in _forms(trials).items():
            if chosen and name == "winoground":
                measures += _winoground(scorer, [trials[row] for row in chosen], _rows(own, chosen))
            elif chosen:
                measures += _single(name, scorer, [trials[row] for row in chosen], _rows(own, chosen), seed)
    return measures


def _forms(trials: Sequence[ChoiceTrial]) -> dict[str, list[int]]:
    forms: dict[str, list[int]] = {"choose_image": [], "choose_text": [], "winoground": []}
    for row, trial in enumerate(trials):
        single = "choose_image" if len(trial.texts) == 1 else "choose_text"
        forms["winoground" if trial.square else single].append(row)
    return forms


def _rows(own: dict[str, list[Any]], rows: list[int]) -> dict[str, list[Floats]]:
    return {condition: [values[row] for row in rows] for condition, values in own.items()}


def _single(
    name: str, scorer: str, trials: list[ChoiceTrial], scores: dict[str, list[Floats]], seed: Sequence[int]
) -> list[Measure]:
    groups = [trial.unit for trial in trials]
    options = {trial.options for trial in trials}
    values = {
        condition: np.array([_is_right(row, trial.target) for row, trial in zip(rows, trials, strict=True)])
        for condition, rows in scores.items()
    }
    chance = float(np.mean([1 / trial.options for trial in trials]))
    gallery = options.pop() if len(options) == 1 else None
    found = [Measure(name=name, scorer=scorer, values=values, groups=groups, chance=chance, gallery=gallery)]
    judged = [row for row, trial in enumerate(trials) if trial.shares]
    if judged:
        found += _agreement(name, scorer, [trials[row] for row in judged], _rows(scores, judged), seed)
    return found


def _is_right(scores: Floats, target: Any) -> bool:
    return bool((scores[target] > np.delete(scores, target)).all())


def _winoground(scorer: str, trials: list[ChoiceTrial], scores: dict[str, list[Floats]]) -> list[Measure]:
    values: dict[str, dict[str, Bools]] = {"text": {}, "image": {}, "group": {}}
    swapped = np.array([trial.target == (1, 0) for trial in trials])
    for condition, rows in scores.items():
        square = np.stack(rows).reshape(-1, 2, 2)  # text, picture
        square[swapped] = square[swapped][:, :, ::-1]
        text = (square[:, 0, 0] > square[:, 1, 0]) & (square[:, 1, 1] > square[:, 0, 1])
        image = (square[:, 0, 0] > square[:, 0, 1]) & (square[:, 1, 1] > square[:, 1, 0])
        values["text"][condition], values["image"][condition], values["group"][condition] = text, image, text & image
    chance = {"text": 1 / 4, "image": 1 / 4, "group": 1 / 6}
    groups = [trial.unit for trial in trials]
    return [
        Measure(name=f"winoground_{name}", scorer=scorer, values=values[name], groups=groups, chance=chance[name])
        for name in values
    ]


def _agreement(
    name: str, scorer: str, trials: list[ChoiceTrial], scores: dict[str, list[Floats]], seed: Sequence[int]
) -> list[Measure]:
    shares = [np.array(trial.shares) / sum(trial.shares) for trial in trials]
    groups = [trial.unit for trial in trials]
    share = {
        condition: np.array([h[row == row.max()].min() for h, row in zip(shares, rows, strict=True)])
        for condition, rows in scores.items()
    }
    side = halves(groups, np.random.default_rng(list(seed)))
    divergence = {condition: _crossed_divergence(shares, rows, side) for condition, rows in scores.items()}
    by_chance = float(np.mean([1 / len(h) for h in shares]))
    even = float(np.mean([_divergence(h, np.zeros(len(h)), 0.0) for h in shares]))
    return [
        Measure(name=f"{name}_human_share", scorer=scorer, values=share, groups=groups, chance=by_chance),
        Measure(
            name=f"{name}_human_divergence",
            scorer=scorer,
            values=divergence,
            groups=groups,
            chance=even,
            lower_is_better=True,
        ),
    ]


def _crossed_divergence(shares: Sequence[Floats], scores: Sequence[Floats], side: Ints) -> Floats:
    """Return (N,) divergences, the scale of each half fitted on the other; a half without trials leaves it at 0."""
    result = np.zeros(len(shares))
    for half in (0, 1):
        fitting = np.flatnonzero(side != half).tolist()
        scale = _best_scale([shares[row] for row in fitting], [scores[row] for row in fitting]) if fitting else 0.0
        for row in np.flatnonzero(side == half).tolist():
            result[row] = _divergence(shares[row], scores[row], scale)
    return result


def _best_scale(shares: Sequence[Floats], scores: Sequence[Floats]) -> float:
    def loss(log_scale: float) -> float:
        scale = float(np.expm1(log_scale))
        return float(np.mean([_divergence(h, row, scale) for h, row in zip(shares, scores, strict=True)]))

    # The divergence is convex in β, hence has one valley along any rising function of it.
    found = minimize_scalar(loss, bounds=(0.0, LARGEST_SCALE), method="bounded")
    return float(np.expm1(found.x)) if found.fun < loss(0.0) else 0.0


def _divergence(shares: Floats, scores: Floats, scale: float) -> float:
    logits = scale * np.asarray(scores, np.float64)
    log_p = logits - logsumexp(logits)
    seen = shares > 0
    return float((shares[seen] * (np.log(shares[seen]) - log_p[seen])).sum())
