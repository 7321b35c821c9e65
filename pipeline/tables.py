"""Parquet in and out, with bytes that depend on the values alone."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.files import sync_file

if TYPE_CHECKING:
    import pyarrow as pa


ROW_GROUP = 65_536  # rows


def write_table(path: Path, columns: "Mapping[str, Sequence[Any]] | pa.Table") -> None:
    """Write columns of equal length to a parquet file, atomically and reproducibly.

    Raises:
        ValueError: the columns differ in length, or a column mixes types.
    """
    import pyarrow as pa

    write_tables(path, [columns if isinstance(columns, pa.Table) else pa.table(dict(columns))])


def write_tables(path: Path, tables: "Iterable[pa.Table]") -> None:
    """Write tables, one at least, one after the other, as `write_table` writes them put together.

    Args:
        path: of the file.
        tables: of one schema; all but the last with a multiple of `ROW_GROUP` rows, else the bytes are others.
    """
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    waiting = iter(tables)
    first = next(waiting)
    with pq.ParquetWriter(part, first.schema, compression="zstd") as writer:
        for table in chain([first], waiting):
            writer.write_table(table, row_group_size=ROW_GROUP)
    sync_file(part)
    part.replace(path)


def read_table(path: Path, columns: Sequence[str] | None = None) -> "pa.Table":
    """Read a parquet file, or some of its columns."""
    import pyarrow.parquet as pq

    return pq.read_table(path, columns=list(columns) if columns is not None else None)


def read_columns(path: Path, columns: Sequence[str] | None = None) -> dict[str, list[Any]]:
    """Read a parquet file as Python lists by column name."""
    return read_table(path, columns).to_pydict()
