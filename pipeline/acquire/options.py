"""What a run adds to a data card."""

from pathlib import Path

from pydantic import Field

from pipeline.config import Config


class AcquireOptions(Config):
    """How much of a corpus, and from where."""

    mirror: Path | None = Field(default=None, description="folder to serve in place of the URLs' hosts (URL lists)")
    list: Path | None = Field(default=None, description="the URL list, where the card's is not in the mirror")
    workers: int = Field(
        default=2, ge=1, description="processes that draw or check pictures; they do not change the result"
    )
    limit: int | None = Field(default=None, ge=1, description="only the first rows, for a quick look")
    min_success_rate: float | None = Field(default=None, ge=0, le=1, description="in place of the card's")
    ledger: Path | None = Field(
        default=None, description="folder that outlives a run: hashes locked on first use, tombstones"
    )
