"""The credits of every staged sample, as a table that a spreadsheet may open."""

import csv
import io
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

COLUMNS = ("uid", "corpus", "licence", "licence_source", "licence_group", "attribution", "url", "image_sha256", "set")
ACTIVE = ("=", "+", "-", "@", "\t", "\r")


def attribution_csv(rows: Iterable[Mapping[str, str]]) -> str:
    """Return the CSV text, one line a sample, each value inert.

    Args:
        rows: with the keys of `COLUMNS`; ``licence_source`` says who states the licence, ``licence_group`` which
            shards hold the sample (`pipeline.licences.GROUPS`), ``set`` the stage's folder or the evaluation split.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([inert(row[name]) for name in COLUMNS] for row in rows)
    return out.getvalue()


def attribution_rows(path: Path, uids: Collection[str]) -> str:
    """Return the lines of such a table that are of some samples, under its heading and otherwise as they are."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        writer.writerow(next(rows))
        writer.writerows(row for row in rows if row[0] in uids)
    return out.getvalue()


def inert(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: an apostrophe goes before what would start one."""
    return f"'{cell}" if cell.startswith(ACTIVE) else cell
