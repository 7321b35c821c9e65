"""A stage and a held-out set, written by the product's own writer, of pictures that a benchmark brings along."""

from pathlib import Path

from pipeline import files
from pipeline.sample import Sample, sample_uid
from pipeline.shards.stage import write_manifest
from pipeline.shards.write import ShardGroup, StagedSample, write_shards

Pair = tuple[bytes, str]  # a JPEG and its caption


def write_stage(folder: Path, size: int, training: list[Pair], held_out: list[Pair]) -> Path:
    """Write both as the one stage and the one evaluation set of a folder; pictures are squares of `size` pixels."""
    entries = []
    for path, stage, pairs in (("1-drawings", 1, training), ("eval-test", 0, held_out)):
        samples = [_staged(picture, caption, stage, rank) for rank, (picture, caption) in enumerate(pairs)]
        entries.append({"path": path, **write_shards([ShardGroup(samples, len(samples))], folder / path)})
    stage_entry, set_entry = entries
    stage_entry |= {"stage": 1, "name": "drawings"}
    set_entry |= {"split": "test", "name": "eval-test"}
    write_manifest(folder, size, "0" * 64, [stage_entry], [set_entry])
    return folder


def _staged(picture: bytes, caption: str, stage: int, rank: int) -> StagedSample:
    digest = files.sha256_bytes(picture)
    sample = Sample(
        uid=sample_uid(digest, caption),
        image_sha256=digest,
        caption=caption,
        lang="en",
        corpus="drawings",
        group=caption,
        licence="CC-BY-SA-4.0",
        attribution="The painters",
        url=f"drawing:{rank}",
    )
    return StagedSample(sample=sample, image=picture, stage=stage, rank=rank, difficulty=0.0 if stage else None)
