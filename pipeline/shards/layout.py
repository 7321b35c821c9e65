"""What a stages directory is made of: names, how many shards a set has, and how many readers they are enough for."""

from collections.abc import Mapping
from typing import Any

from pipeline.errors import ConfigError

MANIFEST = "manifest.json"
FORMAT = "essen-stages/1"  # of the manifest
NOTE = "publishing.json"  # lies beside a publication under way; no reader needs it
MIN_SHARDS = 8
MIN_SAMPLES_PER_SHARD = 16
MAX_SHARD_BYTES = 256 * 2**20


def shard_starts(count: int, min_shards: int) -> set[int]:
    """Return the positions, but for 0, at which a new shard starts for its number of samples.

    They cut `count` samples into runs of nearly equal length: `min_shards` of them, fewer where a run would hold less
    than `MIN_SAMPLES_PER_SHARD`.
    """
    shards = max(1, min(min_shards, count // MIN_SAMPLES_PER_SHARD))
    return {count * shard // shards for shard in range(1, shards)}


def check_shards(entry: Mapping[str, Any], *, workers: int, ranks: int = 1) -> None:
    """Raise where a reader that deals whole shards to its workers would leave one of them without any.

    webdataset then yields nothing in that worker, and training on several ranks waits for it for ever. Readers by
    ``index.parquet`` have no such limit.

    Args:
        entry: of a set, as the manifest has it.
        workers: processes that load data for one rank; 0, as for PyTorch's loader, means the training process itself.
        ranks: training processes that share the set.

    Raises:
        ConfigError: with what to change.
    """
    readers = max(1, workers) * ranks
    shards = len(entry["shards"])
    if shards < readers:
        needed = f"{max(1, workers)} × {ranks} = {readers}" if ranks > 1 else str(readers)
        raise ConfigError(
            f"{entry['path']} has {shards} shards for {needed} readers; use at most {shards}, "
            f"or stage again with stage.min_shards: {readers} (each needs {MIN_SAMPLES_PER_SHARD} samples)"
        )
