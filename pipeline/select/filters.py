"""Rules over columns: the first rule that a sample breaks names the reason why it goes."""

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError, DataError
from pipeline.measure.absent import why_absent
from pipeline.measure.language import UNDECIDED
from pipeline.select.config import LANGUAGES, Rule
from pipeline.select.verdict import Drop
from pipeline.tables import read_table

if TYPE_CHECKING:
    import pyarrow as pa

Member = tuple[str, str, Any]  # uid, corpus, value


@dataclass(frozen=True, slots=True)
class Filtered:
    """What rules did.

    Attributes:
        drops: by uid.
        rules: for each rule, in order: what it says (``rule``), ``in`` (samples that it looked at), ``without_value``
            among them (a language that was not decided counts as none) and ``dropped``.
    """

    drops: dict[str, Drop]
    rules: list[dict[str, Any]]


def filter_samples(rules: Sequence[Rule], run: Path) -> Filtered:
    """Apply rules, in order, each to what the earlier ones have left of the samples of a run.

    A rule for all corpora does not apply to a corpus that has a rule of its own with the same reason.

    Args:
        run: the run directory, for its ``signals/*.parquet``.

    Raises:
        ConfigError: a rule names a signal that does not exist, or compares words with numbers.
    """
    samples = read_table(run / "signals/samples.parquet", ["uid", "corpus"])
    uids, corpora = samples.column("uid").to_pylist(), samples.column("corpus").to_pylist()
    drops: dict[str, Drop] = {}
    log = []
    for rule in rules:
        values = read_signal(run, rule.column, samples.column("uid"))
        own = set(rule.corpora) or set(corpora) - _elsewhere(rules, rule.reason)
        members = [
            (uid, corpus, None if _undecided(rule, value) else value)
            for uid, corpus, value in zip(uids, corpora, values, strict=True)
            if corpus in own and uid not in drops
        ]
        broken = _outside_share(rule, members) if _is_share(rule) else [m[0] for m in members if not passes(rule, m[2])]
        drops |= {uid: Drop("filter", rule.reason) for uid in broken}
        log.append(
            {
                "rule": rule.model_dump(mode="json", exclude_defaults=True),
                "in": len(members),
                "without_value": sum(_is_missing(value) for _, _, value in members),
                "dropped": len(broken),
            }
        )
    return Filtered(drops, log)


def check_rules(rules: Iterable[Rule], run: Path) -> None:
    """Raise where a rule asks for a signal that no tagger or word list has for any caption that it is for.

    Raises:
        ConfigError: naming the languages and the way out.
    """
    samples = read_table(run / "signals/samples.parquet", ["uid", "corpus", "lang"])
    corpora, langs = samples.column("corpus").to_pylist(), samples.column("lang").to_pylist()
    for rule in rules:
        values = read_signal(run, rule.column, samples.column("uid"))
        asked = [row for row, corpus in enumerate(corpora) if not rule.corpora or corpus in rule.corpora]
        if all(_is_missing(values[row]) for row in asked):
            reason = why_absent(rule.column, {langs[row] for row in asked})
            if reason:
                raise ConfigError(f"select.filters: the rule {rule.reason} asks for {rule.column}: {reason}")


def passes(rule: Rule, value: Any) -> bool:
    """Tell whether a value satisfies a rule of a range or a set; a missing one does as the rule says.

    Raises:
        ConfigError: a range is asked of a value that is no number.
    """
    if _is_missing(value):
        return rule.missing == "keep"
    if rule.min is not None or rule.max is not None:
        _check_number(rule, value)
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
    if not path.is_file():
        raise ConfigError(f"signals have no column {column}; this run has not measured {family}")
    known = pq.read_schema(path).names
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {family}.{near[0]}?" if near else f"it has {', '.join(known)}"
        raise ConfigError(f"signals have no column {column}; {hint}")
    table = read_table(path, ["uid", name] if name != "uid" else ["uid"])
    if not table.column("uid").equals(uids):
        raise DataError(f"{path} is of other samples than the catalogue; remove signals/ and run again")
    return table.column(name).to_pylist()


def _outside_share(rule: Rule, members: Iterable[Member]) -> list[str]:
    """Return who is not among the highest or lowest share; of equal values the smaller uid is the better one.

    So many stay as make up at least the share. Members without a value count for nothing, and go as the rule says.
    """
    groups: dict[str, list[tuple[float, str]]] = {}
    out = []
    for uid, corpus, value in members:
        if not _is_missing(value):
            _check_number(rule, value)
            rank = -value if rule.top is not None else value
            groups.setdefault(corpus if rule.per == "corpus" else "", []).append((rank, uid))
        elif rule.missing == "drop":
            out.append(uid)
    share = rule.top if rule.top is not None else rule.bottom
    assert share is not None
    for group in groups.values():
        stay = math.ceil(round(share * len(group), 9))  # 0.1 of 30 are 3, whatever floating point says
        out += [uid for _, uid in sorted(group)[stay:]]
    return out


def _elsewhere(rules: Iterable[Rule], reason: str) -> set[str]:
    """Return the corpora that have rules of their own with a reason."""
    return {corpus for rule in rules if rule.reason == reason for corpus in rule.corpora}


def _is_share(rule: Rule) -> bool:
    return rule.top is not None or rule.bottom is not None


def _undecided(rule: Rule, value: Any) -> bool:
    return rule.column in LANGUAGES and value == UNDECIDED


def _is_missing(value: Any) -> bool:
    return value is None or value != value


def _check_number(rule: Rule, value: Any) -> None:
    if not isinstance(value, int | float):
        raise ConfigError(f"the rule {rule.reason} gives a range for {rule.column}, which holds no numbers")
