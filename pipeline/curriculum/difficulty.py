"""How hard a pair is: a weighted mean of rank-normalised signals.

Ranks make signals of different units comparable and keep a few extreme values from deciding. Equal values share one
rank, so nothing depends on the order in which pairs come in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.families import FAMILIES, present_weights
from pipeline.curriculum.pairs import Pairs, numbers, require_values
from pipeline.errors import DataError

if TYPE_CHECKING:
    import numpy as np

# The rank of a pair without a value: neither easier nor harder for what is not known about it, or hardest of all.
MISSING = {"middle": 0.5, "hardest": 1.0}


@dataclass(frozen=True, kw_only=True)
class Difficulty:
    """Difficulty of pairs and where it comes from.

    Attributes:
        value: (N,) in [0, 1].
        components: (N,) in [0, 1] for each column, 1 is hardest.
        signals: (N,) for each column, the values as measured; NaN where there is none.
        weights: of each column, their absolute values adding up to 1.
        missing: how many pairs had no value, by column.
        absent: columns of the family that this run has not.
    """

    value: "np.ndarray"
    components: dict[str, "np.ndarray"]
    signals: dict[str, "np.ndarray"]
    weights: dict[str, float]
    missing: dict[str, int]
    absent: tuple[str, ...] = ()


def difficulty_of(config: CurriculumConfig, pairs: Pairs) -> Difficulty:
    """Return the difficulty of pairs by the configured family, column or weights.

    Raises:
        ConfigError: a column does not exist, or none of a family does.
        DataError: a column that the configuration names has no value at all.
    """
    import numpy as np

    weights = config.weights
    absent: list[str] = []
    named = isinstance(config.difficulty, str) and config.difficulty in FAMILIES
    signals = numbers(pairs, [column for column in weights if not named or pairs.has(column)])
    if named:
        available = {column for column, values in signals.items() if not np.isnan(values).all()}
        weights, absent = present_weights(str(config.difficulty), available)
    else:
        for column, values in signals.items():
            require_values(pairs, "curriculum.difficulty", column, values)
    found = composite({column: signals[column] for column in weights}, weights, missing=MISSING[config.missing])
    return Difficulty(**{**vars(found), "absent": tuple(absent)})


def composite(
    signals: Mapping[str, "np.ndarray"], weights: Mapping[str, float], *, missing: float = MISSING["middle"]
) -> Difficulty:
    """Return ``Σ |w| r / Σ |w|``, with r the normalised rank of a signal, or of its negative where w < 0.

    Args:
        signals: (N,) float64 by column; NaN where there is no value.
        weights: by column; a single column gives its plain rank.
        missing: the rank of a value that is not there.

    Raises:
        DataError: a column has no value at all.
    """
    import numpy as np

    total = sum(abs(weight) for weight in weights.values())
    shares = {column: weight / total for column, weight in weights.items()}
    components, lacking = {}, {}
    for column, share in shares.items():
        values = signals[column]
        lacking[column] = int(np.isnan(values).sum())
        if lacking[column] == len(values):
            raise DataError(
                f"signal {column} has no value for any training sample; take it out of curriculum.difficulty"
            )
        components[column] = normalised_rank(values if share > 0 else -values, missing=missing)
    value = sum(abs(share) * components[column] for column, share in shares.items())
    return Difficulty(
        value=np.round(value, 9),  # sums of floats in another order differ in the last bits; ties must stay ties
        components=components,
        signals={column: signals[column] for column in shares},
        weights=shares,
        missing=lacking,
    )


def normalised_rank(values: "np.ndarray", *, missing: float = MISSING["middle"]) -> "np.ndarray":
    """Return each value's mid-rank in (0, 1): ``(r - ½) / n`` with equal values sharing the mean of their ranks.

    The mean is symmetric: the ranks of the negated values are one minus these. NaN takes `missing`.
    """
    import numpy as np
    from scipy.stats import rankdata

    ranks = np.full(len(values), missing)
    known = ~np.isnan(values)
    if known.any():
        ranks[known] = (rankdata(values[known], method="average") - 0.5) / known.sum()
    return ranks
