"""What the tests of the engine picturebooks share."""

from pathlib import Path

from pipeline.acquire.card import Card
from pipeline.acquire.engines.picturebooks import build_rows, find_checkouts
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import RawRow


def listed(card: Card, folder: Path, **changes: object) -> list[RawRow]:
    """The rows of a card with the checkouts in a folder, before anything is fetched."""
    source = card.source.model_copy(update=changes)
    options = AcquireOptions(list=folder)
    return list(build_rows(card, source, find_checkouts(card, source, options)))


def write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
