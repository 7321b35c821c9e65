"""A person's own lists of hashes of pictures that may not be used: none comes with the project.

A picture whose bytes stand on a list is refused before it is decoded or stored: by whoever fetches it
(`screened`), by whoever admits it (`is_listed`), and once more before it is written (`without_listed`). Its row keeps
the sha256 alone.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import files
from pipeline.acquire.options import HashList
from pipeline.acquire.raw import RawRow
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.acquire.img2dataset.gateway import Origin
    from pipeline.acquire.net.client import Answer

LISTED = "listed_picture"
DIGITS = {"md5": 32, "sha256": 64, "pdq": 64}
BLOCKED = RawRow(url="", caption="", status="excluded", reason=LISTED)


@cache
def read_hashes(path: Path, kind: str) -> frozenset[str]:
    """Return the hashes of a list in lower-case hex.

    Raises:
        ConfigError: the file cannot be read, or a line does not begin with such a hash.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the hash list {path} cannot be read: {error}; correct select.safety.hash_lists") from None
    found = set()
    for number, line in enumerate(lines, start=1):
        words = re.split(r"[\s,;]", line.partition("#")[0].strip(), maxsplit=1)
        if not words[0]:
            continue
        if re.fullmatch(rf"[0-9a-fA-F]{{{DIGITS[kind]}}}", words[0]) is None:
            raise ConfigError(f"{path}, line {number}: {words[0][:80]!r} is no {kind} of {DIGITS[kind]} digits in hex")
        found.add(words[0].lower())
    return frozenset(found)


def is_listed(data: bytes, lists: Sequence[HashList]) -> bool:
    """Tell whether the md5 or sha256 of some bytes stands on a list."""
    return any(_hash(data, entry.kind) in read_hashes(entry.path, entry.kind) for entry in lists if entry.kind != "pdq")


def blocked(sha256: str) -> RawRow:
    """Return the row of a picture that is on a list: that there was one, and the sha256 of its bytes."""
    return replace(BLOCKED, original_sha256=sha256, error_message=f"sha256 {sha256}" if sha256 else "")


def without_listed(rows: Iterable[RawRow], lists: Sequence[HashList]) -> Iterator[RawRow]:
    """Yield rows, in order, those of listed pictures with nothing left but the sha256."""
    for row in rows:
        if row.reason == LISTED:
            yield row if row.original_sha256 else replace(BLOCKED, error_message=row.error_message)
        elif row.image is not None and is_listed(row.image, lists):
            yield blocked(row.original_sha256 or files.sha256_bytes(row.image))
        else:
            yield row


def screened(origin: "Callable[[], Origin]", lists: Sequence[HashList]) -> "Callable[[], Origin]":
    """Return what makes an origin of bodies that hands on none that is on a list."""
    return (lambda: _Screened(origin(), lists)) if lists else origin


def identity(lists: Iterable[HashList]) -> list[dict[str, object]]:
    """Return what decides what lists refuse, wherever they lie: their hashes.

    Raises:
        ConfigError: a list cannot be read.
    """
    return [
        {
            "hashes": files.digest(sorted(read_hashes(entry.path, entry.kind))),
            **entry.model_dump(mode="json", exclude={"path"}),
        }
        for entry in lists
    ]


class _Screened:
    """An origin of bodies, without those that are on a list."""

    def __init__(self, origin: "Origin", lists: Sequence[HashList]) -> None:
        self._origin = origin
        self._lists = lists

    async def __aenter__(self) -> "_Screened":
        await self._origin.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._origin.__aexit__(*exception)

    async def get(self, url: str) -> "Answer":
        """Return what the origin answers, without the body if that is on a list."""
        answer = await self._origin.get(url)
        if answer.body is None or not is_listed(answer.body, self._lists):
            return answer
        return replace(answer, body=None, reason=LISTED, message=f"sha256 {files.sha256_bytes(answer.body)}")


def _hash(data: bytes, kind: str) -> str:
    return files.sha256_bytes(data) if kind == "sha256" else hashlib.md5(data, usedforsecurity=False).hexdigest()
