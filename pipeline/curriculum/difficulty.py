"""How hard a sample is: a weighted mean of rank-normalised signals.

Ranks make signals of different units comparable and keep a few extreme values from deciding. Equal values share one
rank, so nothing depends on the order in which samples come in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

MISSING = 0.5  # the middle rank: a sample is neither easier nor harder for what is not known about it


@dataclass(frozen=True, kw_only=True)
class Difficulty:
    """Difficulty of samples and where it comes from.

    Attributes:
        value: (N,) in [0, 1].
        components: (N,) in [0, 1] for each column, 1 is hardest.
        missing: how many samples had no value, by column.
    """

    value: "np.ndarray"
    components: dict[str, "np.ndarray"]
    missing: dict[str, int]


def composite(signals: Mapping[str, "np.ndarray"], weights: Mapping[str, float]) -> Difficulty:
    """Return ``Σ |w| r / Σ |w|``, with r the normalised rank of a signal, or of its negative where w < 0.

    Args:
        signals: (N,) float64 by column; NaN where there is no value, which counts as the middle rank.
        weights: by column; a single column gives its plain rank.

    Raises:
        DataError: a column has no value at all.
    """
    import numpy as np

    components = {}
    missing = {}
    for column, weight in weights.items():
        values = signals[column]
        missing[column] = int(np.isnan(values).sum())
        if missing[column] == len(values):
            raise DataError(
                f"signal {column} has no value for any training sample; take it out of curriculum.difficulty"
            )
        components[column] = normalised_rank(values if weight > 0 else -values)
    total = sum(abs(weight) for weight in weights.values())
    value = sum(abs(weight) * components[column] for column, weight in weights.items()) / total
    # Sums of floats in another order differ in the last bits; ties must stay ties.
    return Difficulty(value=np.round(value, 9), components=components, missing=missing)


def normalised_rank(values: "np.ndarray") -> "np.ndarray":
    """Return each value's mid-rank in (0, 1): ``(r - ½) / n`` with equal values sharing the mean of their ranks.

    The mean is symmetric: the ranks of the negated values are one minus these. NaN takes `MISSING`.
    """
    import numpy as np
    from scipy.stats import rankdata

    ranks = np.full(len(values), MISSING)
    known = ~np.isnan(values)
    if known.any():
        ranks[known] = (rankdata(values[known], method="average") - 0.5) / known.sum()
    return ranks


def read_signals(run: Path, uids: "pa.Array", columns: set[str]) -> dict[str, "np.ndarray"]:
    """Read numeric signals of the given samples, in their order; NaN where there is none.

    Args:
        run: the run directory, for its ``signals/*.parquet``.
        uids: (N,) strings.
        columns: ``<file>.<column>``.

    Raises:
        ConfigError: there is no such file or column, or it is not a number.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    found: dict[str, np.ndarray] = {}
    for family in sorted({column.partition(".")[0] for column in columns}):
        names = sorted(column.partition(".")[2] for column in columns if column.startswith(f"{family}."))
        table = read_aligned(run / f"signals/{family}.parquet", uids, names)
        for name in names:
            kind = table.schema.field(name).type
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
                raise ConfigError(f"signal {family}.{name} holds no numbers; an order needs numbers")
            values = pc.cast(table.column(name), pa.float64())
            found[f"{family}.{name}"] = values.to_numpy(zero_copy_only=False)
    return found


def read_aligned(path: Path, uids: "pa.Array", columns: list[str]) -> "pa.Table":
    """Read columns of a signals file in the order of the uids; null where the file has no such uid.

    Raises:
        ConfigError: the file or a column is missing, with the nearest name.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from pipeline.tables import read_table

    if not path.is_file():
        raise ConfigError(f"{path} is missing; run measure first")
    known = pq.read_schema(path).names
    for column in columns:
        if column not in known:
            near = get_close_matches(column, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}"
            raise ConfigError(f"signals have no column {path.stem}.{column}; {hint}")
    table = read_table(path, ["uid", *columns])
    return table.take(pc.index_in(uids, value_set=table.column("uid")))
