"""Tables of a run, changed by hand and in agreement."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.select.kept import FILE
from pipeline.tables import read_columns, write_table


def write_samples(run: Path, rows: Mapping[str, Sequence[Any]]) -> None:
    """Write what is known of the samples, of those that stay too."""
    write_table(run / "signals/samples.parquet", rows)
    kept = read_columns(run / FILE)
    place = {uid: row for row, uid in enumerate(rows["uid"])}
    changed = {name: [values[place[uid]] for uid in kept["uid"]] for name, values in rows.items()}
    write_table(run / FILE, {**kept, **changed})
