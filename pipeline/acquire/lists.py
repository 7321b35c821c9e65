"""Lists of pictures as people keep them: CSV, TSV, JSON lines and Parquet, read as rows of text."""

import csv
import difflib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.acquire.text import decode_text, read_text
from pipeline.errors import ConfigError
from pipeline.sample import is_empty_caption

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
LONGEST_VALUE = 1 << 30  # characters of a CSV value; the library's own limit would end the run over one long caption


def read_list(path: Path) -> list[dict[str, str]]:
    """Return a list's rows, every value as text, an absent one as the empty text, an object by its entries: ``a.b``.

    A list in another encoding than UTF-8 is read as `pipeline.acquire.text.decode_text` does, with a line in the log.

    Raises:
        ConfigError: the file is missing, of another kind, or not readable as what its name says.
    """
    import pyarrow as pa

    if not path.is_file():
        raise ConfigError(f"there is no list {path}")
    limit = csv.field_size_limit(LONGEST_VALUE)
    try:
        return [{key: _text(value) for key, value in _flat(row)} for row in _rows(path)]
    except (csv.Error, ValueError, RecursionError, pa.ArrowException) as error:
        raise ConfigError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    finally:
        csv.field_size_limit(limit)


def check_columns(path: Path, rows: list[dict[str, str]], wanted: Iterable[str]) -> None:
    """Raise unless a list has the columns.

    Raises:
        ConfigError: naming the missing column and the nearest one that is there.
    """
    present = {column for row in rows for column in row}
    for column in wanted:
        if rows and column not in present:
            near = difflib.get_close_matches(column, present, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(present))}"
            raise ConfigError(f"{path} has no column {column}; {hint}")


def is_missing(text: str) -> bool:
    """Tell whether a caption is none: nothing visible, or the word that a table writes where it has no value."""
    return is_empty_caption(text)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        yield from pq.read_table(path).to_pylist()
    elif path.suffix in (".csv", ".tsv"):
        file = io.StringIO(read_text(path), newline="")
        for row in csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","):
            if None in row:
                raise ValueError(f"a row has more values than there are columns: {row[None]}")
            yield row
    elif path.suffix == ".jsonl":
        for number, line in enumerate(read_text(path).split("\n"), start=1):
            if line.strip():
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError(f"line {number} is no JSON object")
                yield row
    else:
        raise ValueError(f"its name must end in {', '.join(SUFFIXES)}")


def _flat(row: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the entries of a row, and those of the objects in it under the name of the column and their own."""
    for key, value in row.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _text(value: Any) -> str:
    if value is None or value != value:  # NaN is the one value that differs from itself
        return ""
    if isinstance(value, bytes):
        return decode_text(value).text
    return value if isinstance(value, str) else str(value)
