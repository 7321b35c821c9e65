"""Parquet files: tables written one after the other are the file of all of them together."""

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.tables import ROW_GROUP, read_columns, write_table, write_tables


@pytest.mark.parametrize("rows", [0, 1, ROW_GROUP, 2 * ROW_GROUP + 3])
def test_parts_have_the_bytes_of_the_whole(tmp_path: Path, rows: int) -> None:
    whole = pa.table({"name": [f"picture {row % 99}" for row in range(rows)], "cosine": pa.array(range(rows), "f8")})
    write_table(tmp_path / "whole.parquet", whole)
    write_tables(
        tmp_path / "parts.parquet", (whole.slice(start, ROW_GROUP) for start in range(0, max(1, rows), ROW_GROUP))
    )
    assert (tmp_path / "parts.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert read_columns(tmp_path / "parts.parquet") == whole.to_pydict()


def test_tables_of_different_columns_leave_nothing_under_the_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="schema"):
        write_tables(tmp_path / "it.parquet", [pa.table({"a": [1]}), pa.table({"b": [1]})])
    assert not (tmp_path / "it.parquet").exists()
