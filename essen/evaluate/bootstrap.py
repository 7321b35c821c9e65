"""Percentile bootstrap intervals (Efron 1979), over items or over clusters of items that belong together.

Pages of one story are not independent: drawing whole stories instead of pages keeps the interval honest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Intervals:
    """Means of M measurements with their intervals.

    Attributes:
        mean, low, high: (M,) each; `low` and `high` are None where there is only one unit to draw.
        units: number of things that were resampled.
        clustered: whether a unit holds more than one item.
    """

    mean: NDArray[np.float64]
    low: NDArray[np.float64] | None
    high: NDArray[np.float64] | None
    units: int
    clustered: bool


def bootstrap_means(
    values: NDArray[Any],
    groups: Sequence[str],
    rng: np.random.Generator,
    *,
    resamples: int = 2_000,
    level: float = 0.95,
) -> Intervals:
    """Return the means of the columns with percentile intervals from resampling whole groups.

    A resample draws as many groups as there are, with replacement; its mean is over all items of the drawn groups.
    With one item in every group this is the ordinary bootstrap over items.

    Args:
        values: (N, M) a measurement of every item in each column, for instance hits as 0 and 1.
        groups: the unit of every item, length N.
        rng: draws the resamples.
        resamples: number of resamples.
        level: probability that the interval is to cover, in (0, 1).

    Raises:
        ValueError: the lengths differ, there is no item, or the level is out of range.
    """
    if values.ndim != 2 or len(values) != len(groups) or not len(values):
        raise ValueError(f"need (N, M) values and N groups with N > 0, got {values.shape} and {len(groups)}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be in (0, 1), got {level}")
    names, unit = np.unique(np.asarray(groups), return_inverse=True)
    units = len(names)
    counts = np.bincount(unit, minlength=units).astype(np.float64)
    sums = np.zeros((units, values.shape[1]))
    np.add.at(sums, unit, values.astype(np.float64))
    mean = sums.sum(axis=0) / counts.sum()
    clustered = units < len(values)
    if units == 1:
        return Intervals(mean, None, None, units, clustered)
    drawn = rng.multinomial(units, np.full(units, 1.0 / units), size=resamples).astype(np.float64)
    means = (drawn @ sums) / (drawn @ counts)[:, None]
    low, high = np.quantile(means, [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0)
    return Intervals(mean, low, high, units, clustered)
