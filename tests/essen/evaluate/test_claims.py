"""Verdicts by rule: each kind of claim holds, is refuted, and stays open where it should."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from essen.config import ClaimConfig
from essen.evaluate.claims import HOLDS, REFUTED, UNDECIDED, judge
from essen.evaluate.paired import Reached

NOISE = np.array([0.002, -0.001, 0.0, 0.001, -0.002])


def runs(mean: float, spread: float = 1.0, censored: tuple[int, ...] = ()) -> list[Reached]:
    values = mean + spread * NOISE
    return [Reached(float(value), row in censored) for row, value in enumerate(values)]


def verdict(arm: list[Reached], against: list[Reached], **declared: Any) -> str:
    claim = ClaimConfig(id="c", arm="a", against="b", **declared)
    return str(judge([claim], {"c": {"a": arm, "b": against}})[0]["verdict"])


BASE = [Reached(value) for value in (0.30, 0.31, 0.29, 0.30, 0.30)]


@pytest.mark.parametrize(
    ("kind", "mean", "spread", "declared", "expected"),
    [
        ("superior", 0.40, 1, {}, HOLDS),
        ("superior", 0.40, 1, {"margin": 0.2}, REFUTED),
        ("superior", 0.20, 1, {}, REFUTED),
        ("superior", 0.30, 1, {}, REFUTED),  # no difference, shown to be below two points
        ("superior", 0.32, 50, {}, UNDECIDED),
        ("superior", 0.20, 1, {"direction": "lower"}, HOLDS),
        ("not_worse", 0.30, 1, {}, HOLDS),
        ("not_worse", 0.20, 1, {}, REFUTED),
        ("not_worse", 0.30, 50, {}, UNDECIDED),
        ("equivalent", 0.30, 1, {}, HOLDS),
        ("equivalent", 0.40, 1, {}, REFUTED),
        ("equivalent", 0.30, 50, {}, UNDECIDED),
        ("ratio", 0.40, 1, {}, HOLDS),
        ("ratio", 0.29, 1, {"margin": 0.75}, HOLDS),
        ("ratio", 0.29, 1, {"margin": 1.1}, REFUTED),
        ("ratio", 0.20, 1, {"direction": "lower", "aim": 0.7}, HOLDS),
        ("ratio", 0.25, 1, {"direction": "lower", "aim": 0.7}, REFUTED),
    ],
)
def test_verdicts(kind: str, mean: float, spread: float, declared: dict[str, Any], expected: str) -> None:
    assert verdict(runs(mean, spread), BASE, kind=kind, **declared) == expected


def test_after_one_seed_everything_is_open() -> None:
    for kind in ("superior", "not_worse", "equivalent", "ratio"):
        assert verdict([Reached(0.9)], [Reached(0.1)], kind=kind) == UNDECIDED


def test_no_claim_rests_on_runs_that_never_arrived() -> None:
    arm = [Reached(100.0), Reached(110.0), Reached(90.0), Reached(105.0), Reached(400.0, censored=True)]
    base = [Reached(1000.0)] * 5
    assert verdict([*arm[:4], Reached(95.0)], base, kind="ratio", direction="lower") == HOLDS
    assert verdict(arm, base, kind="ratio", direction="lower") == UNDECIDED


def test_one_seed_that_fails_refutes_what_is_claimed_of_every_seed() -> None:
    arm = [Reached(value) for value in (0.1, 0.12, 0.11, 0.1, 0.26)]
    claim = {"id": "c", "arm": "a", "against": 0.25, "direction": "lower"}
    for every, expected in ((False, HOLDS), (True, REFUTED)):
        found = judge([ClaimConfig(**claim, every_seed=every)], {"c": {"a": arm}})[0]  # type: ignore[arg-type]
        assert found["verdict"] == expected and found["in_favour"] == 4


def test_holm_goes_over_all_claims_of_a_study() -> None:
    arm = [Reached(value) for value in (0.34, 0.33, 0.33, 0.36, 0.32)]
    one = ClaimConfig(id="c0", arm="a", against="b")
    alone = judge([one], {"c0": {"a": arm, "b": BASE}})[0]
    many = [one.model_copy(update={"id": f"c{number}"}) for number in range(20)]
    among = judge(many, {claim.id: {"a": arm, "b": BASE} for claim in many})[0]
    assert alone["p"] == among["p"] and among["p_holm"] == pytest.approx(min(1.0, 20 * alone["p"]))
    assert (alone["verdict"], among["verdict"]) == (HOLDS, UNDECIDED)


def test_arms_that_are_alike_and_one_that_is_not() -> None:
    claim = ClaimConfig(id="c", kind="alike", arms=("a", "b", "c"))
    same = {"a": runs(0.30, 3), "b": runs(0.301, 3)[::-1], "c": runs(0.302, 3)}
    assert judge([claim], {"c": same})[0]["verdict"] == HOLDS
    found = judge([claim], {"c": {**same, "c": runs(0.4, 3)}})[0]
    assert found["verdict"] == REFUTED and found["estimate"] == pytest.approx(0.1, abs=0.01)


def test_alike_asks_for_a_range_below_two_deviations_too() -> None:
    claim = ClaimConfig(id="c", kind="alike", arms=("a", "b"))
    assert judge([claim], {"c": {"a": runs(0.30, 0.1), "b": runs(0.31, 0.1)}})[0]["verdict"] == REFUTED


def test_a_trend_over_ordered_arms() -> None:
    claim = ClaimConfig(id="c", kind="rising", arms=("a", "b", "c", "d"))
    rising = {name: runs(0.1 * place) for place, name in enumerate("abcd")}
    assert judge([claim], {"c": rising})[0]["verdict"] == HOLDS
    falling = {name: runs(-0.1 * place) for place, name in enumerate("abcd")}
    assert judge([claim], {"c": falling})[0]["verdict"] == REFUTED
    lower = claim.model_copy(update={"direction": "lower"})
    assert judge([lower], {"c": falling})[0]["verdict"] == HOLDS


@pytest.mark.parametrize(
    "values",
    [
        {"id": "c", "arm": "a"},
        {"id": "c", "kind": "alike", "arms": ("a",)},
        {"id": "c", "kind": "rising", "arms": ("a", "b")},
        {"id": "c", "arm": "a", "against": "b", "aim": 0.8},
        {"id": "c", "kind": "ratio", "arm": "a", "against": "b", "margin": 0},
        {"id": "c", "kind": "ratio", "arm": "a", "against": "b", "every_seed": True},
    ],
)
def test_claims_that_say_nothing_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="claim c"):
        ClaimConfig.model_validate(values)
