"""Parquet in and out, with bytes that depend on the values alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.files import sync_file

if TYPE_CHECKING:
    import pyarrow as pa


def write_table(path: Path, columns: "Mapping[str, Sequence[Any]] | pa.Table") -> None:
    """Write columns of equal length to a parquet file, atomically and reproducibly.

    Raises:
        ValueError: the columns differ in length, or a column mixes types.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = columns if isinstance(columns, pa.Table) else pa.table(dict(columns))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    pq.write_table(table, part, compression="zstd", row_group_size=65_536)
    sync_file(part)
    part.replace(path)


def read_table(path: Path, columns: Sequence[str] | None = None) -> "pa.Table":
    """Read a parquet file, or some of its columns."""
    import pyarrow.parquet as pq

    return pq.read_table(path, columns=list(columns) if columns is not None else None)


def read_columns(path: Path, columns: Sequence[str] | None = None) -> dict[str, list[Any]]:
    """Read a parquet file as Python lists by column name."""
    return read_table(path, columns).to_pydict()
