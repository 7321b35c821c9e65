"""Scores as a table to be read: every one beside its controls."""

from collections.abc import Iterator
from typing import Any

COLUMNS = ("no_picture", "no_text", "shuffled_pictures", "shuffled_captions", "chance")
HEADINGS = ("no picture", "no text", "shuffled pictures", "shuffled captions", "chance")


def table_lines(record: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a record's table; shares in per cent, divergences in nats.

    Args:
        record: as `essen.evaluate.score.score` returns it.
    """
    model = record["model"]
    yield f"{model['name']}: {model['parameters']:,} parameters, {model['image_size']} px, {record['precision']}"
    level = round(100 * record["config"]["level"])
    for entry in record["sets"]:
        yield ""
        yield f"{entry['name']} ({entry['task']}): {entry['pictures']:,} pictures, {entry['captions']:,} texts"
        header = ["measure", "scorer", "n", "of", "score", f"{level} %", *HEADINGS]
        rows = [_row(score) for score in entry["scores"]]
        shown = [place for place in range(len(header)) if place < 6 or any(row[place] for row in rows)]
        widths = {place: max(len(row[place]) for row in [header, *rows]) for place in shown}
        for row in [header, *rows]:
            cells = (
                row[place].ljust(widths[place]) if place < 2 else row[place].rjust(widths[place]) for place in shown
            )
            yield "  " + "  ".join(cells).rstrip()


def _row(score: dict[str, Any]) -> list[str]:
    nats = score.get("lower_is_better", False)
    interval = score["interval"]
    known = [score["controls"].get(name) for name in COLUMNS]
    units = f"{score['n']:,}" if score["unit"] == "item" else f"{score['n']:,} in {score['units']:,}"
    return [
        score["measure"],
        score["scorer"],
        units,
        f"{score['gallery']:,}" if score["gallery"] else "",
        _number(score["value"], nats),
        "" if interval is None else f"[{_number(interval[0], nats)}, {_number(interval[1], nats)}]",
        *("" if control is None else _number(control["value"], nats) for control in known),
    ]


def _number(value: float, nats: bool) -> str:
    return f"{value:.3f}" if nats else f"{100 * value:.1f}"
