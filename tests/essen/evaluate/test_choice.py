"""Forced choice from scores that are written down here, and checked by hand."""

from typing import Any

import numpy as np
import pytest

from essen.evaluate.choice import choice_measures, choice_slots
from essen.evaluate.controls import CONDITIONS
from essen.evaluate.measures import Measure
from essen.evaluate.trials import ChoiceTrial


def trial(number: int, images: int, texts: int, target: Any = 0, **more: Any) -> ChoiceTrial:
    names = tuple(f"{number}-{k}.png" for k in range(images))
    return ChoiceTrial(id=str(number), images=names, texts=tuple("abcd"[:texts]), target=target, **more)


def measured(trials: list[ChoiceTrial], *scores: list[float]) -> dict[str, Measure]:
    flat = np.array([score for row in scores for score in row])
    found = choice_measures(trials, {"towers": dict.fromkeys(CONDITIONS, flat)}, [0])
    return {measure.name: measure for measure in found}


def test_the_target_must_be_above_all_others() -> None:
    trials = [trial(1, 3, 1, 1), trial(2, 3, 1, 1), trial(3, 3, 1, 1)]
    found = measured(trials, [0.1, 0.3, 0.2], [0.4, 0.3, 0.2], [0.3, 0.3, 0.2])["choose_image"]
    assert found.values["model"].tolist() == [True, False, False]  # a tie is no choice
    assert (found.chance, found.gallery) == (pytest.approx(1 / 3), 3)


def test_choosing_a_text_and_a_picture_are_two_measures() -> None:
    found = measured([trial(1, 1, 4, 2), trial(2, 2, 1, 0), trial(3, 3, 1, 0)], [0, 0, 1, 0], [1, 0], [0, 1, 0])
    assert found["choose_text"].values["model"].tolist() == [True]
    assert found["choose_image"].values["model"].tolist() == [True, False]
    assert found["choose_image"].chance == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert found["choose_image"].gallery is None


def test_winoground_is_text_image_and_group() -> None:
    # rows: scores of text 0 with pictures 0, 1, then of text 1
    both, only_text, only_image, tie = [2, 0, 0, 2], [2, 3, 0, 4], [2, 0, 3, 4], [1, 1, 1, 1]
    trials = [trial(k, 2, 2, (0, 1)) for k in range(4)]
    found = measured(trials, both, only_text, only_image, tie)
    text = [s[0] > s[2] and s[3] > s[1] for s in (both, only_text, only_image, tie)]
    image = [s[0] > s[1] and s[3] > s[2] for s in (both, only_text, only_image, tie)]
    assert text == [True, True, False, False] and image == [True, False, True, False]
    assert found["winoground_text"].values["model"].tolist() == text
    assert found["winoground_image"].values["model"].tolist() == image
    assert found["winoground_group"].values["model"].tolist() == [True, False, False, False]
    assert [found[f"winoground_{name}"].chance for name in ("text", "image", "group")] == [1 / 4, 1 / 4, 1 / 6]


def test_crossed_targets_are_the_mirror_image() -> None:
    assert measured([trial(1, 2, 2, (1, 0))], [0, 2, 2, 0])["winoground_group"].values["model"].tolist() == [True]


def test_the_chances_of_winoground_are_those_of_random_scores() -> None:
    rng = np.random.default_rng(0)
    trials = [trial(k, 2, 2, (0, 1)) for k in range(6000)]
    found = measured(trials, rng.random(24_000).tolist())
    for measure in found.values():
        assert measure.values["model"].mean() == pytest.approx(measure.chance, abs=0.015)


def test_agreement_with_people() -> None:
    shares = [(0.7, 0.3), (0.2, 0.8), (0.5, 0.5), (1.0, 0.0)]
    trials = [trial(k, 2, 1, 0, shares=share) for k, share in enumerate(shares)]
    found = measured(trials, [1, 0], [1, 0], [0, 0], [1, 0])
    assert found["choose_image_human_share"].values["model"].tolist() == [0.7, 0.2, 0.5, 1.0]
    even = found["choose_image_human_divergence"]
    expected = np.mean([sum(h * np.log(2 * h) for h in share if h) for share in shares])
    assert even.chance == pytest.approx(expected) and even.lower_is_better


def test_a_model_whose_scores_are_the_log_shares_agrees_whatever_its_scale() -> None:
    rng = np.random.default_rng(1)
    shares = rng.dirichlet([2, 2, 2], 60)
    trials = [trial(k, 3, 1, 0, shares=tuple(row)) for k, row in enumerate(shares.tolist())]
    for scale in (0.01, 1.0, 7.0):
        found = measured(trials, *(scale * np.log(shares)).tolist())["choose_image_human_divergence"]
        assert found.values["model"].max() < 1e-3
    against = measured(trials, *(-np.log(shares)).tolist())["choose_image_human_divergence"]
    assert against.values["model"].mean() == pytest.approx(against.chance)  # the best scale of it is none


def test_slots_join_every_picture_with_every_text_of_its_trial() -> None:
    trials = [trial(1, 2, 1), trial(2, 2, 2, (0, 1))]
    rows = {name: row for row, name in enumerate(["1-0.png", "1-1.png", "2-0.png", "2-1.png"])}
    slots = choice_slots(trials, {"a": 0, "b": 1}, rows, grey=4)
    assert slots.texts[slots.text].tolist() == [0, 0, 0, 0, 1, 1]
    assert slots.images[slots.image].tolist() == [0, 1, 2, 3, 2, 3]
