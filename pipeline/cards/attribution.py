"""The credits of every staged sample, as a table that a spreadsheet may open."""

import csv
import io
from collections.abc import Iterable, Mapping

COLUMNS = ("uid", "corpus", "licence", "attribution", "url", "image_sha256", "set")
ACTIVE = ("=", "+", "-", "@", "\t", "\r")


def attribution_csv(rows: Iterable[Mapping[str, str]]) -> str:
    """Return the CSV text, one line a sample, each value inert.

    Args:
        rows: with the keys of `COLUMNS`.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([inert(row[name]) for name in COLUMNS] for row in rows)
    return out.getvalue()


def inert(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: an apostrophe goes before what would start one."""
    return f"'{cell}" if cell.startswith(ACTIVE) else cell
