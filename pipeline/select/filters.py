"""Rules over columns: the first rule that a sample breaks names the reason why it goes."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError, DataError
from pipeline.select.config import Rule
from pipeline.select.verdict import Drop
from pipeline.tables import read_table

if TYPE_CHECKING:
    import pyarrow as pa


def filter_samples(rules: Sequence[Rule], run: Path) -> dict[str, Drop]:
    """Apply rules, in order, to all samples of a run.

    Args:
        run: the run directory, for its ``signals/*.parquet``.

    Returns:
        The drops by uid.

    Raises:
        ConfigError: a rule names a signal that does not exist, or compares words with numbers.
    """
    samples = read_table(run / "signals/samples.parquet", ["uid", "corpus"])
    uids, corpora = samples.column("uid").to_pylist(), samples.column("corpus").to_pylist()
    drops: dict[str, Drop] = {}
    for rule in rules:
        values = read_signal(run, rule.column, samples.column("uid"))
        for uid, corpus, value in zip(uids, corpora, values, strict=True):
            concerned = not rule.corpora or corpus in rule.corpora
            if concerned and uid not in drops and not passes(rule, value):
                drops[uid] = Drop("filter", rule.reason)
    return drops


def passes(rule: Rule, value: Any) -> bool:
    """Tell whether a value satisfies a rule; a missing one does as the rule says.

    Raises:
        ConfigError: a range is asked of a value that is no number.
    """
    if value is None or value != value:
        return rule.missing == "keep"
    ranged = rule.min is not None or rule.max is not None
    if ranged and not isinstance(value, int | float):
        raise ConfigError(f"the rule {rule.reason} gives a range for {rule.column}, which holds no numbers")
    return (
        (rule.min is None or value >= rule.min)
        and (rule.max is None or value <= rule.max)
        and (rule.allowed is None or str(value) in rule.allowed)
        and str(value) not in rule.refused
    )


def read_signal(run: Path, column: str, uids: "pa.ChunkedArray") -> list[Any]:
    """Return one signal of all samples, in the catalogue's order.

    Raises:
        ConfigError: there is no such column.
        DataError: the signals are of other samples.
    """
    import pyarrow.parquet as pq

    family, _, name = column.partition(".")
    path = run / f"signals/{family}.parquet"
    known = pq.read_schema(path).names
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {family}.{near[0]}?" if near else f"it has {', '.join(known)}"
        raise ConfigError(f"signals have no column {column}; {hint}")
    table = read_table(path, ["uid", name] if name != "uid" else ["uid"])
    if not table.column("uid").equals(uids):
        raise DataError(f"{path} is of other samples than the catalogue; remove signals/ and run again")
    return table.column(name).to_pylist()
