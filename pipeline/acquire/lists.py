"""Lists of pictures as people keep them: CSV, TSV, JSON lines and Parquet, read as rows of text."""

import csv
import difflib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError

NO_TEXT = frozenset({"", "nan", "NaN", "null", "NULL", "None", "N/A"})
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


def read_list(path: Path) -> list[dict[str, str]]:
    """Return a list's rows, every value as text, an absent one as the empty text.

    Raises:
        ConfigError: the file is missing, of another kind, or not readable as what its name says.
    """
    import pyarrow as pa

    if not path.is_file():
        raise ConfigError(f"there is no list {path}")
    try:
        return [{key: _text(value) for key, value in row.items()} for row in _rows(path)]
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not in UTF-8: {error.reason} at byte {error.start}") from None
    except (csv.Error, ValueError, pa.ArrowException) as error:
        raise ConfigError(f"{path} cannot be read: {' '.join(str(error).split())}") from None


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
    """Tell whether a caption is none: empty, or the word that a table writes where it has no value."""
    return text.strip() in NO_TEXT


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        yield from pq.read_table(path).to_pylist()
    elif path.suffix in (".csv", ".tsv"):
        with path.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","):
                if None in row:
                    raise ValueError(f"a row has more values than there are columns: {row[None]}")
                yield row
    elif path.suffix == ".jsonl":
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise ValueError(f"line {number} is no JSON object")
                    yield row
    else:
        raise ValueError(f"its name must end in {', '.join(SUFFIXES)}")


def _text(value: Any) -> str:
    if value is None or value != value:  # NaN is the one value that differs from itself
        return ""
    return value if isinstance(value, str) else str(value)
