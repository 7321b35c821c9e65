"""What was taken down and stays out: hashes of samples in a ledger that outlives a run, and of nothing else.

``tombstones.jsonl`` in the ledger has one line for each row that was taken down, with these keys as far as they apply:
``uid``; ``row``, sha256 of the URL and the caption; ``url``, ``image_sha256`` and ``original_sha256``, where not one
caption but the picture was to go. A row that agrees with any of them is kept out. The URL itself and the words are not
to be found there.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.acquire.hashes import forget
from pipeline.acquire.raw import SUCCESS, RawRow
from pipeline.errors import DataError
from pipeline.sample import normalise_caption, one_line, sample_uid

REASON = "takedown"
NAME = "tombstones.jsonl"
Tombstone = Mapping[str, str]

PICTURE_KEYS = ("url", "image_sha256", "original_sha256")
KEYS = ("uid", "row", *PICTURE_KEYS)

# What stays of a row: that there was one, and why it is gone.
BURIED = RawRow(url="", caption="", status="excluded", reason=REASON)


class Tombstones:
    """Rows that are to stay out, asked by their hashes."""

    def __init__(self, stones: Iterable[Tombstone] = ()) -> None:
        self._stones = {files.canonical_json(dict(stone)): dict(stone) for stone in stones}
        self._hashes = {key: {stone[key] for stone in self._stones.values() if key in stone} for key in KEYS}

    def __len__(self) -> int:
        return len(self._stones)

    def __or__(self, other: "Tombstones") -> "Tombstones":
        return Tombstones([*self._stones.values(), *other._stones.values()])

    def lines(self) -> list[str]:
        """Return one JSON text for each, sorted."""
        return sorted(self._stones)

    def knows(self, key: str, value: str) -> bool:
        """Tell whether a hash is among them."""
        return value in self._hashes[key]

    def cover(self, identity: Mapping[str, str]) -> bool:
        """Tell whether a row with these hashes is to stay out."""
        return any(value in self._hashes[key] for key, value in identity.items())

    def applied(self, rows: Iterable[RawRow]) -> Iterator[RawRow]:
        """Yield the rows, those that are to stay out as rows of status ``excluded`` with nothing else left."""
        for row in rows:
            yield BURIED if self._stones and self.cover(identity_of_row(row)) else row


def identity_of_row(row: RawRow) -> dict[str, str]:
    """Return the hashes by which a row may be known, before it is written."""
    image = files.sha256_bytes(row.image) if row.image is not None and row.status == SUCCESS else ""
    return identity(one_line(row.url), normalise_caption(row.caption), image, row.original_sha256)


def identity(url: str, caption: str, image_sha256: str, original_sha256: str) -> dict[str, str]:
    """Return the hashes by which a row may be known; what is empty is not among them.

    Args:
        url: as raw tables hold it.
        caption: as raw tables hold it.
    """
    found = {"image_sha256": image_sha256, "original_sha256": original_sha256}
    if url:
        found |= {"url": url_hash(url), "row": files.digest([url, caption])}
    if image_sha256:
        found["uid"] = sample_uid(image_sha256, caption)
    return {key: value for key, value in found.items() if value}


def url_hash(url: str) -> str:
    """Return the sha256 under which a tombstone knows a URL."""
    return files.sha256_bytes(url.encode())


def read_tombstones(*ledgers: Path | None) -> Tombstones:
    """Return the tombstones of some ledgers; there may be none.

    Raises:
        DataError: a file of them is damaged.
    """
    stones: list[Tombstone] = []
    for ledger in dict.fromkeys(ledgers):
        if ledger is not None and (ledger / NAME).is_file():
            stones += _read(ledger / NAME)
    return Tombstones(stones)


def add_tombstones(ledger: Path, found: Tombstones) -> Tombstones:
    """Add tombstones to a ledger, atomically, and return all that it has then; two runs may do so at the same time.

    What the ledger knows of the bytes at a URL that was taken down is forgotten: it would name the URL.
    """
    import filelock

    ledger.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(ledger / ".tombstones.lock"):
        before = read_tombstones(ledger)
        after = before | found
        if len(after) > len(before):
            files.write_bytes(ledger / NAME, "".join(f"{line}\n" for line in after.lines()).encode())
    forget(ledger, lambda url, sha256: after.cover({"url": url_hash(url), "original_sha256": sha256}))
    return after


def _read(path: Path) -> list[dict[str, Any]]:
    import json

    try:
        stones = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except ValueError:
        raise DataError(
            f"{path} is damaged: a line is no JSON text; restore it, it keeps out what was taken down"
        ) from None
    if not all(isinstance(stone, dict) and stone.keys() <= set(KEYS) for stone in stones):
        raise DataError(f"{path} is damaged: a line is no tombstone; restore it, it keeps out what was taken down")
    return stones
