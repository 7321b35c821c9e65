"""What came of every row of every source: acquired, or left out with a reason; opt-outs and what was taken down."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pipeline.acquire.raw import SUCCESS, raw_tables
from pipeline.acquire.tombstones import REASON as TAKEN_DOWN
from pipeline.report.sources import frequent_first
from pipeline.tables import read_table


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A corpus as it was acquired.

    Attributes:
        name: of its card.
        rows: of its source.
        acquired: with a picture.
        reasons: number of the other rows by reason, most frequent first, but for those that were taken down.
        opt_outs: number of rows by the signal with which somebody opted out, most frequent first.
        taken_down: rows that were taken down and stay out.
    """

    name: str
    rows: int
    acquired: int
    reasons: dict[str, int]
    opt_outs: dict[str, int]
    taken_down: int


def read_corpora(run: Path) -> list[Corpus]:
    """Return the corpora of a run by name; none where nothing has been acquired."""
    folders = sorted(path for path in (run / "raw").glob("*") if path.is_dir())
    return [_corpus(folder) for folder in folders if raw_tables(folder)]


def _corpus(folder: Path) -> Corpus:
    outcomes: Counter[str] = Counter()
    signals: Counter[str] = Counter()
    for path in raw_tables(folder):
        table = read_table(path, ["status", "reason", "opt_out"]).to_pydict()
        outcomes.update(
            SUCCESS if status == SUCCESS else reason or status
            for status, reason in zip(table["status"], table["reason"], strict=True)
        )
        signals.update(signal for signal in table["opt_out"] if signal)
    acquired, taken_down = outcomes.pop(SUCCESS, 0), outcomes.pop(TAKEN_DOWN, 0)
    return Corpus(
        name=folder.name,
        rows=acquired + taken_down + outcomes.total(),
        acquired=acquired,
        reasons=frequent_first(outcomes),
        opt_outs=frequent_first(signals),
        taken_down=taken_down,
    )
