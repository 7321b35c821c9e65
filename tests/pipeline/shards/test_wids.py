"""The index by which ``wids`` reads the shards of a set."""

import hashlib
from pathlib import Path

import pytest

from pipeline.files import read_json
from pipeline.shards.read import ShardReader, open_stages


def test_the_index_names_every_shard_as_it_is(small_run: Path) -> None:
    for part in open_stages(small_run / "stages").stages:
        index = read_json(part.folder / "index.json")
        assert (index["__kind__"], index["wids_version"]) == ("wids-shard-index-v1", 1)
        assert index["name"] == part.folder.name
        assert [shard["url"] for shard in index["shardlist"]] == sorted(path.name for path in part.folder.glob("*.tar"))
        for shard in index["shardlist"]:
            data = (part.folder / shard["url"]).read_bytes()
            assert shard["md5sum"] == hashlib.md5(data, usedforsecurity=False).hexdigest()
            assert shard["filesize"] == len(data)
        assert sum(shard["nsamples"] for shard in index["shardlist"]) == len(part)


def test_wids_reads_the_same_samples(small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wids

    monkeypatch.chdir(tmp_path)  # it keeps its lock files beside the copies it makes
    part = open_stages(small_run / "stages").stages[0]
    reader = ShardReader(part)
    data = wids.ShardListDataset(
        str(part.folder / "index.json"), cache_dir=str(tmp_path / "cache"), transformations=[], keep=True
    )
    assert len(data) == len(part)
    # Rows of the index are in the order of the shards here: there is one group of licences.
    for row, (uid, caption) in enumerate(zip(part.column("uid"), part.column("caption"), strict=True)):
        sample = data[row]
        assert sample["__key__"] == uid
        assert sample[".jpg"].read() == reader.read(row)
        assert sample[".txt"].read().decode() == caption
