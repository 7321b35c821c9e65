"""How the signals are distributed, corpus by corpus and stage by stage."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pipeline.report import figures
from pipeline.tables import read_columns, read_table

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

FILES = ("image", "caption", "lexicon", "alignment")
# What is shown at first, with its title; the others are a click away under their own names.
CHOSEN: Mapping[str, str] = MappingProxyType(
    {
        "image.entropy": "information of the picture, bits",
        "image.clutter": "clutter of the picture, bits",
        "image.edge_density": "share of the picture on an edge",
        "image.colourfulness": "colourfulness of the picture",
        "image.brightness": "brightness of the picture, 0 to 1",
        "caption.tokens": "words of the caption",
        "caption.parse_depth": "depth of the parse tree",
        "caption.mean_word_length": "letters a word",
        "lexicon.zipf_mean": "frequency of the words, Zipf scale",
        "lexicon.zipf_min": "frequency of the rarest word, Zipf scale",
        "lexicon.child_directedness": "child-directedness of the caption",
        "alignment.score": "fit of picture and caption, cosine",
    }
)
TAILS = (0.5, 99.5)  # percentiles between which a scale runs
WIDTH, ROW, FRAME = 350, 19, 50  # pixels
LONGEST = 20  # letters of a name beside a distribution


@dataclass(frozen=True, kw_only=True)
class Signal:
    """A signal: its column, and its distributions as ``<svg>``."""

    column: str
    figure: str


@dataclass(frozen=True, kw_only=True)
class Signals:
    """The signals of a run.

    Attributes:
        samples: that were measured.
        chosen, others: those shown at first, and the others.
        empty: columns that say the same of every sample, or nothing.
    """

    samples: int
    chosen: list[Signal]
    others: list[Signal]
    empty: list[str]


def read_signals(run: Path) -> Signals | None:
    """Return the distributions of all numeric signals, or None where nothing has been measured."""
    import numpy as np

    if not (run / "signals/samples.parquet").is_file():
        return None
    uids, corpora = read_columns(run / "signals/samples.parquet", ["uid", "corpus"]).values()
    groups = _groups(uids, np.array(corpora, dtype=object), run)
    drawn: dict[str, Signal] = {}
    empty = []
    for name in FILES:
        path = run / f"signals/{name}.parquet"
        for column, values in _numbers(read_table(path)).items() if path.is_file() else ():
            signal = f"{name}.{column}"
            known = values[~np.isnan(values)]
            if not len(known) or known.min() == known.max():
                empty.append(signal)
                continue
            title = CHOSEN.get(signal, f"{name}: {column.replace('_', ' ')}")
            drawn[signal] = Signal(column=signal, figure=_figure(signal, title, values, groups))
    return Signals(
        samples=len(uids),
        chosen=[drawn[name] for name in CHOSEN if name in drawn],
        others=[signal for name, signal in drawn.items() if name not in CHOSEN],
        empty=empty,
    )


def _groups(uids: list[str], corpora: "np.ndarray", run: Path) -> "list[tuple[str, int, np.ndarray]]":
    """Return label, number of the stage (0 for a corpus) and rows of everything that is compared."""
    import numpy as np

    groups = [(corpus, 0, np.flatnonzero(corpora == corpus)) for corpus in sorted(set(corpora))]
    if (run / "curriculum/order.parquet").is_file():
        order = read_columns(run / "curriculum/order.parquet", ["uid", "stage", "stage_name"])
        row = {uid: place for place, uid in enumerate(uids)}
        names = dict(zip(order["stage"], order["stage_name"], strict=True))
        members = [(stage, row[uid]) for uid, stage in zip(order["uid"], order["stage"], strict=True)]
        for number in sorted(names):
            rows = np.array([place for stage, place in members if stage == number], dtype=np.int64)
            groups.append((f"{number} {names[number]}", number, rows))
    return groups


def _numbers(table: "pa.Table") -> "dict[str, np.ndarray]":
    """Return the numeric and the boolean columns of a table as float64, NaN where there is no value."""
    import numpy as np
    import pyarrow as pa

    return {
        column.name: table.column(column.name).cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
        if not pa.types.is_boolean(column.type)
        else table.column(column.name).cast(pa.int8()).cast(pa.float64()).to_numpy(zero_copy_only=False)
        for column in table.schema
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)
    }


def _figure(signal: str, title: str, values: "np.ndarray", groups: "list[tuple[str, int, np.ndarray]]") -> str:
    import numpy as np

    known = values[~np.isnan(values)]
    whole = bool((known == np.round(known)).all())
    low, high = (float(np.round(p)) if whole else float(p) for p in np.percentile(known, TAILS))
    if low == high:
        low, high = float(known.min()), float(known.max())
    ridges = [
        figures.Ridge(name=_short(label), stage=stage, values=own[~np.isnan(own)])
        for label, stage, own in ((label, stage, values[rows]) for label, stage, rows in groups)
    ]
    draw = figures.ridges(ridges, (low, high), title, whole=whole)
    words = f"{signal}: distribution by corpus and by stage"
    return figures.svg(f"signal-{signal}", words, (WIDTH, FRAME + ROW * (len(ridges) + 1)), draw)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
