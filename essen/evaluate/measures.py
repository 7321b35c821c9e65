"""A score as it is recorded: a mean over items with its interval, beside the same mean under every control."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from essen.config import ScoringConfig
from essen.evaluate.bootstrap import bootstrap_means
from essen.evaluate.controls import CHANCE, MODEL


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure of N items.

    Attributes:
        name: of the measure, such as ``accuracy``.
        scorer: what gave the scores: ``towers``, ``fusion``, ``head``, ``probe``.
        values: by condition, (N,) the contribution of every item; ``model`` is among them.
        groups: the unit of every item.
        chance: what a guess is expected to reach; None where that is not known.
        gallery: number of things to choose from, where it is one number.
        lower_is_better: as it says.
        note: what a reader must know.
    """

    name: str
    scorer: str
    values: Mapping[str, NDArray[Any]]
    groups: Sequence[str]
    chance: float | None
    gallery: int | None = None
    lower_is_better: bool = False
    note: str = ""


def summarise(measure: Measure, config: ScoringConfig, seed: Sequence[int]) -> dict[str, Any]:
    """Return a measure as it is recorded; all conditions are resampled by the same draws, so they can be compared."""
    names = list(measure.values)
    columns = np.stack([np.asarray(measure.values[name], np.float64) for name in names], axis=1)
    rng = np.random.default_rng(list(seed))
    found = bootstrap_means(columns, measure.groups, rng, resamples=config.resamples, level=config.level)
    scores: dict[str, Any] = {}
    for place, name in enumerate(names):
        known = found.low is not None and found.high is not None
        interval = [float(found.low[place]), float(found.high[place])] if known else None  # type: ignore[index]
        scores[name] = {"value": float(found.mean[place]), "interval": interval}
    if measure.chance is not None:
        scores[CHANCE] = {"value": measure.chance, "interval": None}
    return {
        "measure": measure.name,
        "scorer": measure.scorer,
        "n": len(columns),
        "gallery": measure.gallery,
        "unit": "group" if found.clustered else "item",
        "units": found.units,
        **scores.pop(MODEL),
        "controls": scores,
        **({"lower_is_better": True} if measure.lower_is_better else {}),
        **({"note": measure.note} if measure.note else {}),
    }
