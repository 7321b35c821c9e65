"""The training pairs, and what is known of each: signals of its caption, of its picture, of the pair, and one's own.

A caption that lives on with another picture was measured under one uid and its picture under another, so a pair names
both; what is about the pair itself is found under its own uid, and is missing for a pair that nobody has measured.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.families import DERIVED
from pipeline.errors import ConfigError, DataError
from pipeline.measure.absent import why_absent
from pipeline.select.kept import FILE, read_kept
from pipeline.tables import read_table

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

COLUMNS = ("uid", "caption", "corpus", "group", "category", "split", "caption_uid", "picture_uid")
# The uid under which a file's signals are found; all others are about the pair itself.
UID_COLUMN = {
    "samples": "caption_uid",
    "caption": "caption_uid",
    "lexicon": "caption_uid",
    "image": "picture_uid",
}


@dataclass(frozen=True)
class Pairs:
    """The pairs of the train split, sorted by uid.

    Attributes:
        run: the run directory.
        table: the columns of `COLUMNS`.
        corpora: all corpora that have a pair in any split.
        own: files of a person's own signals, by name.
    """

    run: Path
    table: "pa.Table"
    corpora: frozenset[str]
    own: Mapping[str, Path]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> "pa.Array":
        """Return a column of the table as one array."""
        return self.table.column(name).combine_chunks()

    def signals(self, file: str, columns: Collection[str]) -> "pa.Table":
        """Return columns of a signals file, one row a pair; null where the file does not have it.

        Raises:
            ConfigError: the file or a column is missing, with the nearest name.
            DataError: a uid stands in it twice.
        """
        import pyarrow.compute as pc

        path = self.path_of(file)
        if not path.is_file():
            way_out = "correct curriculum.own_signals" if file in self.own else "run measure first"
            raise ConfigError(f"{path} is missing; {way_out}")
        known = _columns_of(path)
        for column in ("uid", *columns):
            if column not in known:
                near = get_close_matches(column, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}"
                raise ConfigError(f"signals have no column {file}.{column}; {hint}")
        table = read_table(path, ["uid", *columns])
        uids = table.column("uid").combine_chunks()
        if file in self.own and pc.count_distinct(uids).as_py() != len(uids):
            raise DataError(f"{path} has a uid twice; give every pair one row")
        places = pc.index_in(self.column(UID_COLUMN.get(file, "uid")), value_set=uids)
        return table.select(list(columns)).take(places)

    def has(self, column: str) -> bool:
        """Tell whether there is a file with a column ``<file>.<column>``, or what a derived one is made from."""
        if column in DERIVED:
            return all(self.has(part) for part in DERIVED[column])
        file, _, name = column.partition(".")
        path = self.path_of(file)
        return path.is_file() and name in _columns_of(path)

    def path_of(self, file: str) -> Path:
        """Return where a signals file lies."""
        return self.own.get(file, self.run / f"signals/{file}.parquet")


def read_pairs(run: Path, own: Mapping[str, Path]) -> Pairs:
    """Read the train split of the pairs that stay.

    Raises:
        DataError: the run has not selected yet, or no pair is for training.
    """
    import pyarrow.compute as pc

    kept = read_kept(run, COLUMNS)
    train = kept.filter(pc.field("split") == "train").sort_by("uid").combine_chunks()
    if not train.num_rows:
        raise DataError(f"{run / FILE} holds no training sample; loosen the filters or add a corpus")
    corpora = frozenset(kept.column("corpus").unique().to_pylist())
    return Pairs(run=run, table=train, corpora=corpora, own=own)


def numbers(pairs: Pairs, columns: Collection[str]) -> dict[str, "np.ndarray"]:
    """Return numeric signals (N,) float64 of the pairs by column; NaN where there is no value.

    Truth counts as 1, a list by the number of its entries. A derived column is missing where one of its parts is.

    Raises:
        ConfigError: there is no such file or column, or it is not a number.
    """
    stored = {part for column in columns for part in DERIVED.get(column, (column,))}
    found: dict[str, np.ndarray] = {}
    for file in sorted({column.partition(".")[0] for column in stored}):
        names = sorted(column.partition(".")[2] for column in stored if column.startswith(f"{file}."))
        table = pairs.signals(file, names)
        found |= {f"{file}.{name}": _as_numbers(table.column(name), f"{file}.{name}") for name in names}
    for column in columns:
        if column in DERIVED:
            first, second = DERIVED[column]
            found[column] = found[first] - found[second]
    return {column: found[column] for column in columns}


def require_values(pairs: Pairs, key: str, column: str, values: "np.ndarray") -> None:
    """Raise where a column that the configuration names has no value for any training pair.

    Args:
        pairs: of the train split.
        key: that names the column.
        column: the column.
        values: (N,), NaN where there is none.

    Raises:
        DataError: with the languages of the captions where these explain it, and the way out.
    """
    import numpy as np

    if not np.isnan(values).all():
        return
    langs = set(pairs.signals("samples", ["lang"]).column("lang").to_pylist()) if pairs.has("samples.lang") else set()
    way_out = why_absent(column, langs) or f"take it out of {key}"
    raise DataError(f"{key}: signal {column} has no value for any training sample: {way_out}")


def order_sources(config: CurriculumConfig) -> dict[str, Any]:
    """Return hashes of what decides an order and lies outside the run: a part of the step's key.

    Raises:
        ConfigError: a file of one's own signals is not there.
    """
    from pipeline.curriculum.wordnet import WORDNET

    for name, path in config.own_signals.items():
        if not path.is_file():
            raise ConfigError(f"curriculum.own_signals: {name}: there is no file {path}")
    own = {name: files.sha256_file(path) for name, path in sorted(config.own_signals.items())}
    return {"own_signals": own, "wordnet": list(WORDNET) if config.ontology.hypernyms == "wordnet" else None}


def _columns_of(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return [str(name) for name in pq.read_schema(path).names]
    except pa.ArrowInvalid:
        raise ConfigError(f"{path} is no parquet file; give one with uid and columns of numbers") from None


def _as_numbers(column: "pa.ChunkedArray", name: str) -> "np.ndarray":
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        column = pc.list_value_length(column)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise ConfigError(f"signal {name} holds no numbers; an order needs numbers")
    values = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(values), values, np.nan)
