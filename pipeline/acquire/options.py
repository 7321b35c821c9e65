"""What a run adds to a data card."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.config import Config


class HashList(Config):
    """A file of hashes of pictures that may not be used, in hex, one at the beginning of each line.

    ``md5`` and ``sha256`` are of the bytes at the source, and are asked before anything is decoded or stored; ``pdq``
    is of the decoded picture (needs the package pdqhash), and is asked at the selection.
    """

    path: Path = Field(description="the file; empty lines and what follows # do not count")
    kind: Literal["md5", "sha256", "pdq"] = Field(description="which hash")
    radius: int = Field(default=31, ge=0, le=128, description="pdq: most bits that differ")
    quality: int = Field(default=50, ge=0, le=100, description="pdq: pictures of less quality are not compared")


class Screen(Config):
    """What is done to pictures as they arrive, for safety. A recipe gives it in ``select.safety``."""

    hash_lists: tuple[HashList, ...] = Field(default=(), description="md5 and sha256 lists of refused pictures")
    stop: bool = Field(default=False, description="whether a picture of these lists ends the run with code 6")
    blur: str = Field(default="", description="module:function that finds the faces to be blurred; empty: none")


class CorpusOptions(Config):
    """How much of a corpus, and from where."""

    mirror: Path | None = Field(default=None, description="folder to serve in place of the URLs' hosts (URL lists)")
    list: Path | str | None = Field(
        default=None,
        description="the URL list where the card's is not in the mirror, also by address (s3://bucket/list.csv); the "
        "folder of checkouts",
    )
    workers: int = Field(
        default=2, ge=1, description="processes that draw or check pictures; they do not change the result"
    )
    limit: int | None = Field(default=None, ge=1, description="only the first rows, for a quick look")
    languages: tuple[str, ...] = Field(
        default=(), description="of the captions, in place of the card's; a sample has one caption in one of them"
    )
    min_success_rate: float | None = Field(default=None, ge=0, le=1, description="in place of the card's")
    ledger: Path | None = Field(
        default=None, description="folder that outlives a run: hashes locked on first use, tombstones"
    )


class AcquireOptions(CorpusOptions):
    """How much of a corpus, from where, and what is not let in."""

    screen: Screen = Field(default=Screen(), description="what is done to pictures for safety")
