"""Whether the claims of a study hold: one test each, corrected together, and a verdict by rule.

Every claim has one p, and Holm's correction goes over all claims of a study. d is ``arm - against``, turned round where
lower scores are better; "interval" is the 95 % interval of `essen.evaluate.paired`.

superior
    p of ``d ≤ margin``, two-sided. Refuted where the interval ends at or below the margin, where d is shown to lie
    within ±negligible (TOST), or where a single seed fails and every seed is asked.
not_worse
    p of ``d ≤ -margin``, one-sided. Refuted where the interval ends below -margin.
equivalent
    TOST within ±margin. Refuted where the interval lies outside of it.
ratio
    p of ``arm / against`` not beyond the margin, two-sided, on logarithms; the estimate, too, must be as good as is
    asked. Refuted where the interval lies on the other side of either. A side that censored runs leave open is no side
    on which a claim can rest.
alike
    The worst TOST of all pairs of arms, which needs no correction among them; and the means must differ by less than 2
    pooled deviations over seeds. Refuted where a pair's interval lies outside ±margin, or by these deviations.
rising
    p of no rise over the arms (Page's test). Refuted where a fall is shown.

*holds*: the corrected p is below 0.05, and what is asked besides is so. *does not hold here*: it is refuted. Everything
else is *undecided*, and so is every claim after one seed. "Here" is the study's data, models and budgets.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from essen.config import ClaimConfig
from essen.evaluate.paired import (
    Differences,
    Ratios,
    Reached,
    holm,
    p_equivalent,
    p_rising,
    paired,
    paired_ratios,
    pooled_deviation,
)

ALPHA = 0.05
HOLDS, REFUTED, UNDECIDED = "holds", "does not hold here", "undecided"
Values = Mapping[str, Sequence[Reached]]


def judge(claims: Sequence[ClaimConfig], values: Mapping[str, Values]) -> list[dict[str, Any]]:
    """Return the verdict on every claim.

    Args:
        claims: of one study; Holm's correction is over all of them.
        values: by the claim's id: the scores of each arm that it names, in the order of the seeds.

    Returns:
        For each claim its declaration, ``n`` seeds, ``estimate`` (a difference or a ratio), ``interval``, ``p``,
        ``p_holm``, ``verdict``, for differences ``in_favour`` (seeds), and for ratios ``censored`` (runs of the arm, of
        the other).
    """
    found = {claim.id: _tested(claim, values[claim.id]) for claim in claims}
    adjusted = holm({name: entry["p"] for name, entry in found.items() if entry["p"] is not None})
    return [
        {
            **claim.model_dump(mode="json", exclude_defaults=True),
            "kind": claim.kind,
            "margin": claim.limit,
            **{key: value for key, value in found[claim.id].items() if key not in ("asked", "refuted")},
            "p_holm": adjusted.get(claim.id),
            "verdict": _verdict(found[claim.id], adjusted.get(claim.id)),
        }
        for claim in claims
    ]


def _verdict(entry: Mapping[str, Any], p: float | None) -> str:
    if p is None:
        return UNDECIDED
    if p < ALPHA and entry["asked"]:
        return HOLDS
    return REFUTED if entry["refuted"] else UNDECIDED


def _tested(claim: ClaimConfig, values: Values) -> dict[str, Any]:
    if claim.kind == "alike":
        return _alike(claim, values)
    if claim.kind == "rising":
        return _rising(claim, values)
    arm = values[claim.arm]
    against = values[claim.against] if isinstance(claim.against, str) else [Reached(claim.against)] * len(arm)
    if claim.kind == "ratio":
        return _ratio(claim, paired_ratios(arm, against))
    return _difference(claim, [run.value for run in arm], [run.value for run in against])


def _difference(claim: ClaimConfig, arm: Sequence[float], against: Sequence[float]) -> dict[str, Any]:
    found = paired(arm, against)
    better = found if claim.direction == "higher" else paired(against, arm)
    interval, margin = better.interval(), claim.limit
    entry: dict[str, Any] = {
        "n": found.n,
        "estimate": found.mean,
        "interval": found.interval(),
        "in_favour": better.positive,
        "asked": True,
        "refuted": False,
        "p": None,
    }
    if interval is None:
        return entry
    low, high = interval
    if claim.kind == "superior":
        p = better.p_above(margin)
        assert p is not None, "as there is an interval"
        tiny = p_equivalent(better, claim.negligible)
        failed = claim.every_seed and better.positive < found.n
        refuted = high <= margin or (tiny is not None and tiny < ALPHA) or failed
        return entry | {"p": min(1.0, 2 * p), "asked": not failed, "refuted": refuted}
    if claim.kind == "not_worse":
        return entry | {"p": better.p_above(-margin), "refuted": high < -margin}
    return entry | {"p": p_equivalent(better, margin), "refuted": low > margin or high < -margin}


def _ratio(claim: ClaimConfig, found: Ratios) -> dict[str, Any]:
    lower = claim.direction == "lower"
    logs, margin = found.differences, math.log(claim.limit)
    entry: dict[str, Any] = {
        "n": logs.n,
        "estimate": found.estimate,
        "interval": found.interval(),
        "censored": found.censored,
        "asked": True,
        "refuted": False,
        "p": None,
    }
    if entry["interval"] is None:
        return entry
    p = logs.p_below(margin) if lower else logs.p_above(margin)
    assert p is not None, "as there is an interval"
    low, high = entry["interval"]
    unsure = found.open_above if lower else found.open_below
    limits = [claim.limit, *([] if claim.aim is None else [claim.aim])]
    contrary = low if lower else high
    beyond = (lambda limit: contrary >= limit) if lower else (lambda limit: contrary <= limit)
    refuted = contrary is not None and any(beyond(limit) for limit in limits)
    asked = claim.aim is None or (found.estimate <= claim.aim if lower else found.estimate >= claim.aim)
    return entry | {"p": 1.0 if unsure else min(1.0, 2 * p), "asked": asked, "refuted": refuted}


def _alike(claim: ClaimConfig, values: Values) -> dict[str, Any]:
    scores = {arm: [run.value for run in values[arm]] for arm in claim.arms}
    pairs = [paired(scores[a], scores[b]) for a, b in itertools.combinations(claim.arms, 2)]
    widest = max(pairs, key=lambda pair: abs(pair.mean))
    spread = abs(widest.mean)
    deviation = pooled_deviation(list(scores.values()))
    p_values = [p for pair in pairs if (p := p_equivalent(pair, claim.limit)) is not None]
    entry: dict[str, Any] = {
        "n": pairs[0].n,
        "estimate": spread,
        "interval": None,
        "pooled_deviation": deviation,
        "asked": deviation is not None and spread < 2 * deviation,
        "refuted": False,
        "p": max(p_values, default=None),
    }
    if deviation is None or not p_values:
        return entry
    entry["interval"] = _turned(widest)
    outside = any(
        interval is not None and (interval[0] > claim.limit or interval[1] < -claim.limit)
        for interval in (pair.interval() for pair in pairs)
    )
    return entry | {"refuted": outside or (max(p_values) < ALPHA and not entry["asked"])}


def _turned(found: Differences) -> tuple[float, float] | None:
    """Return the interval of a difference as that of its absolute mean."""
    interval = found.interval()
    return interval if interval is None or found.mean >= 0 else (-interval[1], -interval[0])


def _rising(claim: ClaimConfig, values: Values) -> dict[str, Any]:
    order = claim.arms if claim.direction == "higher" else claim.arms[::-1]
    rows = list(zip(*([run.value for run in values[arm]] for arm in order), strict=True))
    ends = paired([row[-1] for row in rows], [row[0] for row in rows])
    entry: dict[str, Any] = {"n": len(rows), "estimate": ends.mean, "interval": ends.interval(), "asked": True}
    if len(rows) < 2:
        return entry | {"p": None, "refuted": False}
    falling = p_rising([row[::-1] for row in rows])
    return entry | {"p": p_rising(rows), "refuted": falling < ALPHA}
