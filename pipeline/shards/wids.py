"""The shards of a set as ``wids`` reads them: random access by number, from its file ``index.json``.

The form is version 1 of webdataset's shard index. Places of shards are names beside the index, so that it can be moved.
"""

from collections.abc import Mapping, Sequence
from typing import Any

KIND = "wids-shard-index-v1"


def wids_index(name: str, shards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the index of a set.

    Args:
        name: of the set.
        shards: their entries in the manifest.
    """
    listed = [
        {"url": shard["file"], "md5sum": shard["md5"], "nsamples": shard["samples"], "filesize": shard["bytes"]}
        for shard in shards
    ]
    return {"__kind__": KIND, "wids_version": 1, "name": name, "shardlist": listed}
