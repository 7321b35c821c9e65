"""How the signals are distributed, corpus by corpus and stage by stage."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pipeline.curriculum.pairs import UID_COLUMN
from pipeline.report import figures
from pipeline.select.kept import read_kept
from pipeline.tables import read_table
from pipeline.workspace import Workspace

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
class Language:
    """How the captions of a language were read: by which parser, what is null for them, and why no frequencies."""

    lang: str
    samples: int
    parser: str
    without: list[str]
    frequency: str


@dataclass(frozen=True, kw_only=True)
class Signals:
    """The signals of a run.

    Attributes:
        samples: that were measured.
        languages: of the captions, most samples first.
        chosen, others: those shown at first, and the others.
        empty: columns that say the same of every sample, or nothing.
    """

    samples: int
    languages: list[Language]
    chosen: list[Signal]
    others: list[Signal]
    empty: list[str]


@dataclass(frozen=True, kw_only=True)
class Group:
    """What is compared: its label, the number of its stage (0 for a corpus), and its rows among what was measured."""

    label: str
    stage: int
    rows: "np.ndarray"


def read_signals(run: Path) -> Signals | None:
    """Return the distributions of all numeric signals, or None where nothing has been measured."""
    import numpy as np

    if not (run / "signals/samples.parquet").is_file():
        return None
    samples = read_table(run / "signals/samples.parquet", ["uid", "corpus"])
    order = _order(run)
    drawn: dict[str, Signal] = {}
    empty = []
    for name in FILES:
        path = run / f"signals/{name}.parquet"
        groups = _corpora(samples) + _stages(samples, order, UID_COLUMN.get(name, "uid"))
        for column, values in _numbers(read_table(path)).items() if path.is_file() else ():
            signal = f"{name}.{column}"
            known = values[~np.isnan(values)]
            if not len(known) or known.min() == known.max():
                empty.append(signal)
                continue
            title = CHOSEN.get(signal, f"{name}: {column.replace('_', ' ')}")
            drawn[signal] = Signal(column=signal, figure=_figure(signal, title, values, groups))
    return Signals(
        samples=len(samples),
        languages=_languages(run),
        chosen=[drawn[name] for name in CHOSEN if name in drawn],
        others=[signal for name, signal in drawn.items() if name not in CHOSEN],
        empty=empty,
    )


def _languages(run: Path) -> list[Language]:
    """Return the languages of the captions as the step that measured them says; none where it did not."""
    record = Workspace(run).record("measure")
    said = record["counts"].get("languages", {}) if record else {}
    found = [Language(lang=lang, **entry) for lang, entry in said.items()]
    return sorted(found, key=lambda entry: (-entry.samples, entry.lang))


def _order(run: Path) -> "pa.Table | None":
    """Return the pairs of the order with their stages, and the uids under which each was measured; None without one."""
    if not (run / "curriculum/order.parquet").is_file():
        return None
    order = read_table(run / "curriculum/order.parquet", ["uid", "stage", "stage_name"])
    return order.join(read_kept(run, ["uid", "caption_uid", "picture_uid"]), "uid").sort_by("stage")


def _corpora(samples: "pa.Table") -> "list[Group]":
    """Return every corpus by name, with its rows."""
    import numpy as np

    corpora = samples.column("corpus").to_numpy(zero_copy_only=False)
    return [Group(label=name, stage=0, rows=np.flatnonzero(corpora == name)) for name in sorted(set(corpora))]


def _stages(samples: "pa.Table", order: "pa.Table | None", uid_column: str) -> "list[Group]":
    """Return every stage in its turn, with the rows of its pairs that were measured.

    Args:
        samples: all that was measured, by row.
        order: see `_order`.
        uid_column: that says where a pair's signals of this kind are found.
    """
    import pyarrow.compute as pc

    if order is None:
        return []
    places = pc.index_in(order.column(uid_column), value_set=samples.column("uid").combine_chunks())
    names = dict(zip(order.column("stage").to_pylist(), order.column("stage_name").to_pylist(), strict=True))
    groups = []
    for number, name in names.items():
        rows = places.filter(pc.equal(order.column("stage"), number)).drop_null().to_numpy()
        groups.append(Group(label=f"{number} {name}", stage=number, rows=rows))
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


def _figure(signal: str, title: str, values: "np.ndarray", groups: "list[Group]") -> str:
    import numpy as np

    known = values[~np.isnan(values)]
    whole = bool((known == np.round(known)).all())
    low, high = (float(np.round(p)) if whole else float(p) for p in np.percentile(known, TAILS))
    if low == high:
        low, high = float(known.min()), float(known.max())
    ridges = [
        figures.Ridge(name=_short(group.label), stage=group.stage, values=own[~np.isnan(own)])
        for group, own in ((group, values[group.rows]) for group in groups)
    ]
    draw = figures.ridges(ridges, (low, high), title, whole=whole)
    words = f"{signal}: distribution by corpus and by stage"
    return figures.svg(f"signal-{signal}", words, (WIDTH, FRAME + ROW * (len(ridges) + 1)), draw)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
