"""The list of corpora, for a person and for a program."""

import sys
from collections.abc import Sequence
from typing import Any

from pipeline.acquire.card import Card, list_cards, load_card
from pipeline.acquire.reach import reach

WIDTH = 120  # where the output is no terminal
FACTS = ("name", "title", "licence", "attribution", "homepage", "language", "child_directed", "redistributable", "size")


def corpora(further: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return what there is to know of each corpus with a card: those of the project, then some of one's own.

    Raises:
        ConfigError: a card is missing or not valid.
    """
    cards: list[Card] = [*list_cards(), *map(load_card, further)]
    return [
        {
            **card.model_dump(mode="json", include=set(FACTS)),
            "engine": card.source.engine,
            "reachable": not reason,
            "reason": reason,
        }
        for card, reason in zip(cards, reach(cards), strict=True)
    ]


def print_corpora(found: Sequence[dict[str, Any]]) -> None:
    """Print the corpora as a table of aligned columns, as wide as the terminal, or 120 characters."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name, widest in (("corpus", 22), ("engine", 12), ("licence", 16), ("from here", 24)):
        table.add_column(name, max_width=widest, overflow="fold")
    table.add_column("what and how much", overflow="fold", ratio=1)
    for entry in found:
        here = "yes" if entry["reachable"] else f"no: {entry['reason']}"
        closed = "" if entry["redistributable"] else " Not to be passed on."
        what = f"{entry['title']}: {entry['size']}." if entry["size"] else f"{entry['title']}."
        table.add_row(*(Text(text) for text in (entry["name"], entry["engine"], entry["licence"], here, what + closed)))
    # A pipe has no width of its own; 120 is what most editors and terminals show.
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    with console.capture() as drawn:
        console.print(table)
    for line in drawn.get().splitlines():
        print(line.rstrip())
