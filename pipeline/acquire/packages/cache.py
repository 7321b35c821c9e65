"""What is fetched once for all runs of a person: a folder a registry in ``$ESSEN_CACHE`` (``~/.cache/essen``)."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from pipeline import files
from pipeline.errors import ConfigError


def cache_folder(registry: str) -> Path:
    """Return the folder of a registry's files, there or not."""
    return Path(os.environ.get("ESSEN_CACHE") or Path.home() / ".cache" / "essen") / registry


def obtained(cached: Path, fetch: Callable[[Path], Path]) -> Path:
    """Return a cached file after fetching it; it gets its name when it is whole, whoever else fetches it meanwhile.

    Args:
        cached: where it belongs.
        fetch: fetches it into a folder and returns its path there.

    Raises:
        ConfigError: the cache may not be written to; whatever `fetch` raises.
    """
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent, prefix=".part-") as folder:
            found = fetch(Path(folder))
            files.sync_file(found)
            found.replace(cached)
    except PermissionError as error:
        raise ConfigError(f"{error.filename}: permission denied; name another cache directory in ESSEN_CACHE") from None
    return cached
