"""Which bytes a URL had when it was first fetched: trust on first use.

The ledger is a folder that outlives a run. ``hashes/<corpus>.parquet`` below it holds the sha256 of every picture that
a corpus got from a URL and used; failures are never in it. Two runs may write at the same time.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.tables import read_columns, write_table


def locked(ledger: Path, corpus: str) -> dict[str, str]:
    """Return the sha256 of a corpus's URLs, in hex; empty where nothing was recorded yet."""
    path = _path(ledger, corpus)
    if not path.is_file():
        return {}
    columns = read_columns(path, ["url", "sha256"])
    return dict(zip(columns["url"], columns["sha256"], strict=True))


def lock(ledger: Path, corpus: str, found: Mapping[str, str]) -> None:
    """Record the sha256 of URLs, in hex, in place of what was recorded of the same ones."""
    import filelock

    path = _path(ledger, corpus)
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path.with_suffix(".lock")):
        before = locked(ledger, corpus)
        after = before | dict(found)
        if after != before:
            urls = sorted(after)
            write_table(path, {"url": urls, "sha256": [after[url] for url in urls]})


def forget(ledger: Path, gone: Callable[[str, str], bool]) -> None:
    """Remove the URLs of all corpora for which `gone`, called with a URL and its sha256, says so."""
    import filelock

    for path in sorted((ledger / "hashes").glob("*.parquet")):
        with filelock.FileLock(path.with_suffix(".lock")):
            before = locked(ledger, path.stem)
            after = {url: sha256 for url, sha256 in before.items() if not gone(url, sha256)}
            if after != before:
                write_table(path, {"url": list(after), "sha256": list(after.values())})


def _path(ledger: Path, corpus: str) -> Path:
    return ledger / "hashes" / f"{corpus}.parquet"
