"""The table of clients: what was read, by which version, in which way."""

from collections.abc import Sequence
from typing import NamedTuple

HEAD = ("client", "version", "reads", "samples with equal uid and bytes")


class Row(NamedTuple):
    """What a client has read.

    Attributes:
        client: its name.
        version: of its package.
        reads: what it was given, and how it reads.
        samples: how many it returned, all with the uid and bytes that they should have; None where it shows none.
    """

    client: str
    version: str
    reads: str
    samples: int | None


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a table, in the order of the clients' names."""
    told = [(*row[:3], "–" if row.samples is None else str(row.samples)) for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in (HEAD, ("---",) * len(HEAD), *sorted(told)))
