"""Whether anything of what was taken down is still to be read in a run."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline import files
from pipeline.errors import DataError
from pipeline.shards.subset import subset_record
from pipeline.tables import read_table
from pipeline.takedown import Burial

UID_DIGITS = 32  # the others are of pictures


def check_remnants(run: Path, burial: Burial) -> None:
    """Raise unless the hashes of what was buried are gone from every file of a run; scratch is not looked at.

    Raises:
        DataError: with the first file that still has one.
    """
    for path in remnants(run, [*burial.samples, *burial.pictures]):
        raise DataError(f"{path} still names what was taken down; it is no part of the run: remove it by hand")


def remnants(run: Path, hashes: Sequence[str]) -> Iterator[Path]:
    """Yield the files of a run in which one of some hashes stands, in tables by their text columns."""
    for entry in sorted(run.iterdir()):
        if entry.name != ".part" and hashes:
            yield from (path for path in files.files_below(entry) if _mentions(path, hashes))


def _mentions(path: Path, hashes: Sequence[str]) -> bool:
    if path.suffix == ".parquet":
        return _table_mentions(path, hashes)
    data = path.read_bytes()
    if path.suffix == ".npy" and any(subset_record(value) in data for value in hashes if len(value) == UID_DIGITS):
        return True
    return any(value.encode() in data for value in hashes)


def _table_mentions(path: Path, hashes: Sequence[str]) -> bool:
    """Tell whether a text column, or one of lists of texts, holds a hash: pages are compressed, bytes say nothing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values, table = pa.array(hashes), read_table(path)
    columns = (pc.list_flatten(column) if pa.types.is_list(column.type) else column for column in table.itercolumns())
    texts = (column for column in columns if pa.types.is_string(column.type))
    return any(pc.any(pc.is_in(column, value_set=values)).as_py() for column in texts)
