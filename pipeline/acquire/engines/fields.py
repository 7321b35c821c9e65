"""From the values that a source has for a picture to rows, one for each caption."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipeline.acquire.lists import is_missing
from pipeline.acquire.raw import RawRow
from pipeline.acquire.sources import Facts
from pipeline.sample import one_line

if TYPE_CHECKING:
    from pipeline.acquire.card import Card

LONGEST_TEXT = 1_048_576  # of a file that holds the words for one picture, in bytes


def texts(value: Any) -> list[str]:
    """Return the texts in a value: of a list all of them, of anything else its own; an absent value has none."""
    if isinstance(value, list | tuple):
        return [text for entry in value for text in texts(entry)]
    if value is None or value != value or isinstance(value, dict | bytes):  # NaN differs from itself
        return []
    return [value if isinstance(value, str) else str(value)]


def pick(record: Any, place: str) -> Any:
    """Return what lies at a dotted place of nested mappings, None where there is nothing.

    A key that holds the dots itself comes first; in a list, the place is taken in every entry.
    """
    if isinstance(record, list | tuple):
        return [pick(entry, place) for entry in record]
    if not isinstance(record, Mapping):
        return None
    if place in record:
        return record[place]
    key, dot, rest = place.partition(".")
    return pick(record[key], rest) if dot and key in record else None


def first_text(value: Any) -> str:
    """Return the first text in a value that is one, empty where there is none."""
    return next((text for text in texts(value) if not is_missing(text)), "")


def facts(columns: Facts, at: Callable[[str], Any]) -> tuple[dict[str, str], str]:
    """Return what a source says of a picture, by field, and the sha256 that its bytes must have, in lower case.

    Args:
        at: the value at a place, None where there is nothing.
    """
    found = {name: first_text(at(place)) for name in Facts.model_fields if (place := getattr(columns, name))}
    sha256 = found.pop("sha256", "")
    return found, sha256.lower()


def caption_rows(
    card: "Card", name: str, captions: Sequence[str], fields: Mapping[str, str], *, said_by: str
) -> Iterator[RawRow]:
    """Yield a row for every caption of a picture; a picture without any is one row of reason ``empty_caption``.

    Args:
        name: stable name of the picture, its ``url`` where the fields have none.
        fields: perhaps ``url``, ``group``, ``category``, ``lang``, ``licence`` and ``attribution``.
        said_by: what the licence is known from if it is one of the fields.
    """
    known = {key: one_line(value) for key, value in fields.items() if not is_missing(value)}
    name, licence = one_line(name), known.get("licence", "")
    for text in captions or [""]:
        caption = "" if is_missing(text) else text
        row = RawRow(
            url=known.get("url", name),
            caption=caption,
            group=known.get("group", name),
            category=known.get("category", ""),
            lang=known.get("lang", card.language),
            licence=card.spdx(licence),
            licence_source=said_by if licence else "card",
            attribution=known.get("attribution", card.attribution),
        )
        yield row if caption else replace(row, status="excluded", reason="empty_caption")
