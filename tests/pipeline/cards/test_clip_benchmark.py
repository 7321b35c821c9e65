"""Evaluation sets for CLIP_benchmark: every picture once with all its captions, groups of licences apart."""

import tarfile
from pathlib import Path

from pipeline.cards.clip_benchmark import write_clip_benchmark
from pipeline.files import files_below, sha256_bytes, sha256_file
from pipeline.sample import Sample, sample_uid
from pipeline.shards.read import StagedSet
from pipeline.shards.write import ShardGroup, StagedSample, write_shards
from pipeline.tables import read_table

PAIRS = (  # picture, caption, licence
    (b"dog", "a dog", "MIT"),
    (b"dog", "ein Hund", "MIT"),
    (b"cat", "a cat", "MIT"),
    (b"owl", "an owl", "CC-BY-SA-4.0"),
)


def staged(picture: bytes, caption: str, licence: str, rank: int) -> StagedSample:
    digest = sha256_bytes(picture)
    facts = {"lang": "en", "corpus": "a", "group": caption, "attribution": "A", "url": f"test:{rank}"}
    sample = Sample(uid=sample_uid(digest, caption), image_sha256=digest, caption=caption, licence=licence, **facts)
    return StagedSample(sample=sample, image=picture, stage=0, rank=rank, difficulty=None)


def held_out(folder: Path) -> StagedSet:
    samples = [staged(*pair, rank) for rank, pair in enumerate(PAIRS)]
    groups = [ShardGroup(samples[:3], 3, "open"), ShardGroup(samples[3:], 1, "share_alike")]
    entry = {"path": "eval-test", "split": "test", **write_shards(groups, folder)}
    return StagedSet(name="test", stage=0, folder=folder, entry=entry, table=read_table(folder / "index.parquet"))


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def test_a_picture_comes_once_with_its_captions_and_licences_do_not_mix(tmp_path: Path) -> None:
    assert write_clip_benchmark(tmp_path, [held_out(tmp_path / "eval-test")]) == ["clip_benchmark/test"]
    folder = tmp_path / "clip_benchmark/test"
    assert (folder / "dataset_type.txt").read_text().strip() == "retrieval"
    assert (folder / "test/nshards.txt").read_text().strip() == "2"
    free, shared = members(folder / "test/0.tar"), members(folder / "test/1.tar")
    uids = {caption: sample_uid(sha256_bytes(picture), caption) for picture, caption, _ in PAIRS}
    dog = min(uids["a dog"], uids["ein Hund"])
    captions = sorted(["a dog", "ein Hund"], key=lambda caption: uids[caption])
    assert free[f"{dog}.jpg"] == b"dog" and free[f"{dog}.txt"].decode().splitlines() == captions
    assert free[f"{uids['a cat']}.txt"] == b"a cat" and len(free) == 4
    assert shared == {f"{uids['an owl']}.jpg": b"owl", f"{uids['an owl']}.txt": b"an owl"}


def test_the_same_set_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_clip_benchmark(tmp_path / name, [held_out(tmp_path / f"set-{name}")])
    trees = [
        {path.relative_to(tmp_path / name): sha256_file(path) for path in files_below(tmp_path / name)}
        for name in ("one", "two")
    ]
    assert trees[0] == trees[1]
