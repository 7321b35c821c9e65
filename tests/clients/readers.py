"""One function a client: the samples that it finds, as uid → (sha256 of the picture's bytes, caption).

``python readers.py FUNCTION ARGUMENTS…`` prints the client's version and its samples as JSON.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any

Samples = dict[str, tuple[str, str]]  # uid → sha256 of the picture's bytes, caption
# What the fixtures `tell` and `read_apart` are.
Tell = Callable[[int | None], None]
Read = Callable[..., subprocess.CompletedProcess[str]]


def sample(uid: str, picture: bytes, caption: str | bytes) -> tuple[str, tuple[str, str]]:
    text = caption.decode() if isinstance(caption, bytes) else caption
    return uid, (hashlib.sha256(picture).hexdigest(), text)


def collected(pairs: Iterable[tuple[str, tuple[str, str]]]) -> Samples:
    listed = list(pairs)
    found = dict(listed)
    assert len(found) == len(listed), "a uid came twice"
    return found


def with_tarfile(*shards: str) -> Samples:
    pairs = []
    for shard in shards:
        with tarfile.open(shard) as tar:
            content = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        keys = dict.fromkeys(name.partition(".")[0] for name in content)
        pairs += [sample(key, content[f"{key}.jpg"], content[f"{key}.txt"]) for key in keys]
    return collected(pairs)


def with_webdataset(*shards: str) -> Samples:
    from webdataset import WebDataset

    rows = WebDataset(list(shards), shardshuffle=False)
    return collected(sample(row["__key__"], row["jpg"], row["txt"]) for row in rows)


def with_datasets(folder: str, configuration: str, split: str, cache: str, *, streaming: bool) -> Samples:
    from datasets import Image, load_dataset

    pairs = load_dataset(folder, configuration, split=split, streaming=streaming, cache_dir=cache)
    rows = pairs.cast_column("jpg", Image(decode=False))
    return collected(sample(row["json"]["uid"], row["jpg"]["bytes"], row["txt"]) for row in rows)


def with_mlcroissant(description: str, *record_sets: str) -> Samples:
    import mlcroissant

    data = mlcroissant.Dataset(description)
    rows = [row for record_set in record_sets for row in data.records(record_set)]
    named = [{key.partition("/")[2]: value for key, value in row.items()} for row in rows]
    return collected(sample(row["uid"].decode(), row["image"].fp.getvalue(), row["caption"]) for row in named)


def with_open_clip(shards: str, samples: str, batch: str) -> Samples:
    """What open_clip's training loader reads from the shards; raises unless its batches then hold just these."""
    import numpy as np
    import torch
    import webdataset
    from open_clip_train.data import get_data
    from open_clip_train.params import parse_args

    options = ["--dataset-type", "webdataset", "--train-data", shards, "--train-num-samples", samples]
    args = parse_args([*options, "--batch-size", batch, "--workers", "0", "--model", "ViT-S-16"])
    args.world_size = 1
    preprocess = lambda picture: torch.from_numpy(np.array(picture))  # noqa: E731
    data = get_data(args, (preprocess, preprocess), tokenizer=lambda text: [text])["train"]
    stages = data.dataloader.pipeline[0].dataset.pipeline
    reading = next(place for place, step in enumerate(stages) if getattr(step, "__name__", "").startswith("tarfile_to"))
    rows = webdataset.DataPipeline(*stages[: reading + 1])
    raw = {row["__key__"]: row for row in rows}
    pixels = {row["txt"].decode(): decoded(row["jpg"]) for row in raw.values()}
    shown = [pair for images, texts in data.dataloader for pair in zip(images, texts, strict=True)]
    assert len(shown) == len(raw) == len(pixels) == int(samples), "the loader repeats or leaves out samples"
    assert all(np.array_equal(image.numpy(), pixels.pop(text)) for image, text in shown)
    return collected(sample(uid, row["jpg"], row["txt"]) for uid, row in raw.items())


def with_table(source: Any) -> Samples:
    """What a table with pictures holds, as pyarrow reads it."""
    import pyarrow.parquet as pq

    rows = pq.read_table(source, columns=["uid", "image", "caption"]).to_pylist()
    return collected(sample(row["uid"], row["image"]["bytes"], row["caption"]) for row in rows)


def with_embedding_atlas(table: str, target: str) -> Samples:
    """What embedding-atlas hands to its page: its command exports page and data; raises unless they lie on the map."""
    from embedding_atlas.cli import main

    options = ["--text", "caption", "--image", "image", "--x", "x", "--y", "y", "--export-application", target]
    main([table, *options], standalone_mode=False)
    with zipfile.ZipFile(target) as archive:
        shown = json.loads(archive.read("data/metadata.json"))["props"]["data"]
        assert (shown["projection"]["x"], shown["projection"]["y"], shown["text"]) == ("x", "y", "caption")
        return with_table(io.BytesIO(archive.read("data/dataset.parquet")))


def with_clip_benchmark(root: str) -> Samples:
    """What CLIP_benchmark reads of a retrieval set: pixels without names, so that they go by the first caption."""
    from clip_benchmark.datasets.builder import build_dataset

    task = "zeroshot_retrieval"
    data = build_dataset("wds/set", root=root, split="test", task=task, transform=lambda picture: picture)
    return collected(sample(texts[0], picture.tobytes(), "\n".join(texts)) for picture, texts in data)


def output(done: subprocess.CompletedProcess[str]) -> tuple[str, Samples]:
    """What a reader has printed: the client's version, and the samples."""
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    return told["version"], {uid: (picture, caption) for uid, (picture, caption) in told["samples"].items()}


def decoded(picture: bytes) -> Any:
    import numpy as np
    from PIL import Image

    return np.array(Image.open(io.BytesIO(picture)).convert("RGB"))


PACKAGES: dict[Callable[..., Samples], str] = {
    with_webdataset: "webdataset",
    with_mlcroissant: "mlcroissant",
    with_open_clip: "open_clip_torch",
    with_embedding_atlas: "embedding-atlas",
    with_clip_benchmark: "clip_benchmark",
}

if __name__ == "__main__":
    reader = next(function for function in PACKAGES if function.__name__ == sys.argv[1])
    print(json.dumps({"version": version(PACKAGES[reader]), "samples": reader(*sys.argv[2:])}), flush=True)
    # All has been read by now; embedding-atlas leaves threads that can abort an interpreter which takes itself down.
    os._exit(0)
