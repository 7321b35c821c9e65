import dataclasses
import io
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.files import sha256_bytes, sha256_file
from pipeline.licences import GROUPS, licence_group
from pipeline.sample import Sample, sample_uid
from pipeline.shards.write import ShardGroup, StagedSample, write_shards
from pipeline.tables import read_columns


def staged(number: int, size: int = 100, caption: str | None = None) -> StagedSample:
    image = number.to_bytes(4, "big") * (size // 4)
    caption = caption or f"thing {number}"
    image_hash = sha256_bytes(image)
    sample = Sample(
        uid=sample_uid(image_hash, caption),
        image_sha256=image_hash,
        caption=caption,
        lang="en",
        corpus="c",
        group="g",
        licence="MIT",
        attribution="é",
        url="u",
    )
    return StagedSample(sample=sample, image=image, stage=1, rank=number, difficulty=number / 7)


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 300), min_shards=st.integers(1, 12), max_bytes=st.integers(40_000, 200_000))
def test_every_sample_lies_where_the_index_says(
    tmp_path_factory: pytest.TempPathFactory, count: int, min_shards: int, max_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("set")
    samples = [staged(number, 4 * (1 + number % 50)) for number in range(count)]
    group = ShardGroup(iter(samples), count)
    entry = write_shards([group], folder, min_shards=min_shards, max_shard_bytes=max_bytes)
    index = read_columns(folder / "index.parquet")
    assert index["uid"] == [s.sample.uid for s in samples]
    for s, shard, offset, size in zip(samples, index["shard"], index["offset"], index["size"], strict=True):
        assert (folder / shard).read_bytes()[offset : offset + size] == s.image
    sizes = json.loads((folder / "sizes.json").read_text())
    assert sizes == {shard["file"]: shard["samples"] for shard in entry["shards"]}
    assert sum(sizes.values()) == entry["samples"] == count
    assert list(sizes) == sorted(sizes)
    assert all((folder / name).stat().st_size <= max_bytes for name in sizes)
    if count >= 16 * min_shards:
        assert len(sizes) >= min_shards


def test_members_are_adjacent_sorted_and_anonymous(tmp_path: Path) -> None:
    write_shards([ShardGroup([staged(0), staged(1, caption="zwei  Wörter")], 2)], tmp_path)
    with tarfile.open(tmp_path / "00000.tar") as tar:
        members = tar.getmembers()
        text = tar.extractfile(members[5])
        record = tar.extractfile(members[4])
        assert text is not None and text.read().decode() == "zwei  Wörter"
        assert record is not None and json.load(io.BytesIO(record.read()))["words"] == 2
    uids = [staged(0).sample.uid, staged(1, caption="zwei  Wörter").sample.uid]
    assert [m.name for m in members] == [f"{uid}.{ext}" for uid in uids for ext in ("jpg", "json", "txt")]
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(0, 0, 0, "", "", 0o644)}


def test_entry_names_bytes_as_they_are(tmp_path: Path) -> None:
    entry = write_shards([ShardGroup([staged(n) for n in range(40)], 40)], tmp_path, min_shards=2)
    for file in (entry["index"], *entry["shards"]):
        assert file["sha256"] == sha256_file(tmp_path / file["file"])
        assert file["bytes"] == (tmp_path / file["file"]).stat().st_size
    assert [shard["samples"] for shard in entry["shards"]] == [20, 20]
    assert entry["words"] == 80


@pytest.mark.parametrize(
    ("samples", "count", "said"),
    [
        ([], 0, "there is no sample"),
        ([staged(0)], 2, "1 samples came to be written, 2 were announced"),
        ([staged(0), staged(1), staged(0)], 3, "comes twice"),
    ],
)
def test_what_cannot_be_a_set_is_refused(tmp_path: Path, samples: list[StagedSample], count: int, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        write_shards([ShardGroup(samples, count)], tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("uid", ["a.b", "../../x", "A" * 32, "é" * 32, ".hidden", "0" * 31])
def test_keys_that_readers_would_misread_are_refused(tmp_path: Path, uid: str) -> None:
    good = staged(0)
    fields = {name: getattr(good.sample, name) for name in Sample.__slots__}
    bad = StagedSample(sample=Sample(**{**fields, "uid": uid}), image=b"x", stage=1, rank=0, difficulty=0.0)
    with pytest.raises(DataError, match="cannot be a key"):
        write_shards([ShardGroup([bad], 1)], tmp_path)


def licensed(number: int, licence: str) -> StagedSample:
    plain = staged(number)
    return dataclasses.replace(plain, sample=dataclasses.replace(plain.sample, licence=licence))


@settings(max_examples=15)
@given(kinds=st.lists(st.sampled_from(["MIT", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "NOASSERTION"]), min_size=1, max_size=80))
def test_a_shard_holds_one_licence_group_and_the_index_keeps_the_order(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("set")
    samples = [licensed(number, kind) for number, kind in enumerate(kinds)]
    groups = []
    for group in GROUPS:
        own = [s for s in samples if licence_group(s.sample.licence) == group]
        groups.append(ShardGroup(own, len(own), group))
    entry = write_shards(groups, folder, min_shards=2)
    index = read_columns(folder / "index.parquet")
    assert index["rank"] == list(range(len(kinds)))
    assert index["uid"] == [s.sample.uid for s in samples]
    for sample, shard, offset, size in zip(samples, index["shard"], index["offset"], index["size"], strict=True):
        assert shard.startswith(GROUPS[licence_group(sample.sample.licence)])
        assert (folder / shard).read_bytes()[offset : offset + size] == sample.image
    for shard in entry["shards"]:
        names = {
            licence for licence, name in zip(index["licence"], index["shard"], strict=True) if name == shard["file"]
        }
        assert sorted(names) == shard["licences"]
        assert {licence_group(name) for name in names} == {shard["licence"]}
    assert json.loads((folder / "sizes.json").read_text()) == {s["file"]: s["samples"] for s in entry["shards"]}
    plain = [shard["file"] for shard in entry["shards"] if shard["licence"] == "open"]
    assert plain == [f"{number:05d}.tar" for number in range(len(plain))]


def test_one_sample_in_two_groups_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="comes twice"):
        write_shards([ShardGroup([staged(0)], 1), ShardGroup([staged(0)], 1, "unknown")], tmp_path)
