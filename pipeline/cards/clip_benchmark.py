"""Evaluation sets as CLIP_benchmark reads them: retrieval in its WebDataset layout, a folder for each set.

``dataset_type.txt`` says ``retrieval``, ``test/nshards.txt`` how many shards there are, and ``test/<k>.tar`` holds
every picture once with its captions, one a line. As in the staged shards, no two groups of licences share a shard. A
picture goes by the smallest uid of its pairs, under which the credits name it.
(https://github.com/LAION-AI/CLIP_benchmark, ``build_wds_dataset``)
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.tar import new_tar

if TYPE_CHECKING:
    from pipeline.shards.read import StagedSet

FOLDER = "clip_benchmark"


def write_clip_benchmark(folder: Path, parts: "Sequence[StagedSet]") -> list[str]:
    """Write a folder for each evaluation set; return the folders' names.

    Args:
        folder: below which ``clip_benchmark/<split>`` is written.
        parts: the sets; their shards hold one group of licences each.
    """
    for part in parts:
        target = folder / FOLDER / part.name
        files.write_bytes(target / "dataset_type.txt", b"retrieval\n")
        groups = list(dict.fromkeys(shard["licence"] for shard in part.entry["shards"]))
        (target / "test").mkdir()
        for number, group in enumerate(groups):
            path = target / f"test/{number}.tar"
            with new_tar(path) as tar:
                for members in _pictures(part, group):
                    tar.add(*members)
            files.sync_file(path)
        files.write_bytes(target / "test/nshards.txt", f"{len(groups)}\n".encode())
    return [f"{FOLDER}/{part.name}" for part in parts]


def _pictures(part: "StagedSet", group: str) -> Iterator[tuple[tuple[str, bytes], tuple[str, bytes]]]:
    """Yield picture and captions of every picture of a group of licences, by the smallest uid of its pairs."""
    from pipeline.shards.read import ShardReader

    shards = {shard["file"] for shard in part.entry["shards"] if shard["licence"] == group}
    rows_of: dict[str, list[int]] = {}
    columns: dict[str, Any] = part.table.select(["uid", "image_sha256", "caption", "shard"]).to_pydict()
    for row in sorted(range(len(part)), key=columns["uid"].__getitem__):
        if columns["shard"][row] in shards:
            rows_of.setdefault(columns["image_sha256"][row], []).append(row)
    reader = ShardReader(part)
    for rows in rows_of.values():
        key, captions = columns["uid"][rows[0]], [columns["caption"][row] for row in rows]
        yield (f"{key}.jpg", reader.read(rows[0])), (f"{key}.txt", "\n".join(captions).encode())
