"""Comparisons of two conditions that were run with the same seeds: everything is about the difference of each pair.

A pair shares its initial weights and its data order, so most of what a seed does to a score falls out of the
difference. Intervals and tests are Student's t on the n differences d: ``d̄ ± t·s/√n``. Where all differences are
equal, s is 0 and an interval is a point; with one pair there is no interval and no p.

Nothing here decides anything: see `essen.evaluate.claims`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True, slots=True)
class Differences:
    """n paired differences: their mean, their standard deviation (None for n = 1), and how many are above 0."""

    n: int
    mean: float
    deviation: float | None
    positive: int

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Return Student's interval of the mean that covers with probability `level`; None for one pair."""
        if self.deviation is None:
            return None
        half = float(stats.t.ppf((1 + level) / 2, self.n - 1)) * self.deviation / math.sqrt(self.n)
        return self.mean - half, self.mean + half

    def p_above(self, value: float) -> float | None:
        """Return the one-sided p of a mean of at most `value`: small where the mean is above it."""
        if self.deviation is None:
            return None
        if self.deviation == 0.0:
            return 0.0 if self.mean > value else 1.0
        return float(stats.t.sf((self.mean - value) / (self.deviation / math.sqrt(self.n)), self.n - 1))

    def p_below(self, value: float) -> float | None:
        """Return the one-sided p of a mean of at least `value`: small where the mean is below it."""
        return Differences(self.n, -self.mean, self.deviation, 0).p_above(-value)


def paired(arm: Sequence[float], against: Sequence[float]) -> Differences:
    """Return the differences ``arm - against``, paired by position.

    Raises:
        ValueError: the lengths differ, or there is no pair.
    """
    differences = [a - b for a, b in zip(arm, against, strict=True)]
    if not differences:
        raise ValueError("there is no pair to compare")
    n = len(differences)
    mean = math.fsum(differences) / n
    # A constant difference has no spread, whatever the last bit of its mean.
    spread = max(differences) - min(differences)
    deviation = None
    if n > 1:
        small = spread <= 1e-12 * max(1.0, abs(mean))
        deviation = 0.0 if small else math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / (n - 1))
    return Differences(n, mean, deviation, sum(d > 0 for d in differences))


def p_equivalent(found: Differences, margin: float) -> float | None:
    """Return the p of two one-sided tests (TOST; Schuirmann 1987): small where the mean lies within ±`margin`.

    It is below 0.05 just where the 90 % interval lies inside ±margin. A difference that is not significant is no
    equivalence.
    """
    below, above = found.p_below(margin), found.p_above(-margin)
    return None if below is None or above is None else max(below, above)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return the p of several comparisons adjusted by Holm (1979): the smallest times m, the next times m - 1, …"""
    adjusted: dict[str, float] = {}
    largest = 0.0
    for place, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}


@dataclass(frozen=True, slots=True)
class Reached:
    """When a run reached its target: `value`, or not by `value`, where it is `censored`."""

    value: float
    censored: bool = False


@dataclass(frozen=True, slots=True)
class Ratios:
    """Ratios of n pairs, on the scale of logarithms.

    Attributes:
        differences: of the logarithms, the censored at their limits.
        open_above: whether a run on top was censored, so the true ratio may be any larger one.
        open_below: whether one below was, so it may be any smaller one.
        censored: runs that never reached their target: above the line, below it.
    """

    differences: Differences
    open_above: bool
    open_below: bool
    censored: tuple[int, int]

    @property
    def estimate(self) -> float:
        """The geometric mean of the ratios; a bound where a side is open."""
        return math.exp(self.differences.mean)

    def interval(self, level: float = 0.95) -> tuple[float | None, float | None] | None:
        """Return the interval of the ratio, None for a side that is open; None as a whole for one pair."""
        found = self.differences.interval(level)
        if found is None:
            return None
        return (None if self.open_below else math.exp(found[0])), (None if self.open_above else math.exp(found[1]))


def paired_ratios(arm: Sequence[Reached], against: Sequence[Reached]) -> Ratios:
    """Return the ratios ``arm / against``, paired by position.

    A run that never reached its target is not dropped: its limit stands for it, and the side on which the truth may
    lie beyond is open, so no claim can rest on it.

    Raises:
        ValueError: the lengths differ, there is no pair, or a value is not above 0.
    """
    if min((run.value for run in (*arm, *against)), default=1.0) <= 0:
        raise ValueError("ratios need numbers above 0")
    differences = paired([math.log(run.value) for run in arm], [math.log(run.value) for run in against])
    counts = sum(run.censored for run in arm), sum(run.censored for run in against)
    return Ratios(differences, open_above=counts[0] > 0, open_below=counts[1] > 0, censored=counts)


def first_reach(curve: Sequence[tuple[float, float]], target: float) -> Reached:
    """Return the first of some (cost, score) points whose score is at least `target`, or the last cost, censored.

    Args:
        curve: rising in cost, at least one point.
        target: the score to reach.
    """
    for cost, score in curve:
        if score >= target:
            return Reached(cost)
    return Reached(curve[-1][0], censored=True)


def p_rising(rows: Sequence[Sequence[float]]) -> float:
    """Return the p of Page's test (1963) for a rise over ordered conditions: small where scores rise with them.

    Args:
        rows: (seeds, conditions), at least three conditions.

    Raises:
        ValueError: there are fewer than three conditions or two seeds.
    """
    if len(rows) < 2 or len(rows[0]) < 3:
        raise ValueError("a trend needs three conditions and two seeds at least")
    return float(stats.page_trend_test([list(row) for row in rows]).pvalue)


def pooled_deviation(conditions: Sequence[Sequence[float]]) -> float | None:
    """Return the pooled standard deviation of several conditions over their seeds; None where each has one seed."""
    freedom = sum(len(values) - 1 for values in conditions)
    if not freedom:
        return None
    means = [math.fsum(values) / len(values) for values in conditions]
    squares = math.fsum((v - m) ** 2 for values, m in zip(conditions, means, strict=True) for v in values)
    return math.sqrt(squares / freedom)
