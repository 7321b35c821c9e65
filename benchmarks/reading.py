"""How fast staged pictures are read in random order: ours, a bare loop, and webdataset's standard pipeline.

    python benchmarks/reading.py
    python benchmarks/reading.py --corpora FOLDER --samples 20000 --rounds 5
    python benchmarks/reading.py --train 40    # and the share of a step that waits for pictures

Shards of real drawings are written by the product's own writer into a temporary folder. The bare loop decodes the same
JPEGs, which lie in memory, with Pillow; ours decodes every picture from the shards and keeps none. All sides take turns
in every round and hand out the same pictures; the figures are medians, a ratio is the median of the rounds' ratios.
"""

import argparse
import io
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image
from staging import write_stage

from essen.config import ModelConfig, TrainConfig
from essen.data import Pictures
from essen.train import train
from pipeline.shards.picture import QUALITY, staged_jpeg
from pipeline.shards.read import ShardReader, Stages, open_stages

BATCH = 256
FOLDERS = ("mulberry", "picturebooks", "nlvr")
CORPORA = Path(os.environ.get("ESSEN_CORPORA", Path(__file__).resolve().parents[2] / "shared" / "corpora"))


def main() -> None:
    """Print pictures a second of every side, and ours as multiples of theirs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", type=Path, default=CORPORA, help="a folder with drawings somewhere below")
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=128, help="side of the pictures, pixels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--train", type=int, default=0, help="steps of a training whose waiting is measured")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = stage(drawings(options.corpora), options.samples, options.size, Path(scratch) / "stages")
        if options.train:
            wait(folder, options.train, Path(scratch))
        else:
            read(open_stages(folder), options.size, options.rounds)


def drawings(corpora: Path) -> list[Path]:
    """The pictures of the corpora, each corpus with an even share of any beginning."""
    found = [sorted((corpora / name).rglob("*.[jp][pn]g")) for name in FOLDERS]
    if not any(found):
        raise SystemExit(f"there are no drawings below {corpora}; name their folder with --corpora")
    return [path for paths in itertools.zip_longest(*found) for path in paths if path is not None]


def stage(paths: list[Path], samples: int, size: int, folder: Path) -> Path:
    """Write a stage of so many pictures, of which some are others turned by quarters."""
    pictures = itertools.islice(turned(paths, samples, size), samples)
    pairs = [(picture, f"this is drawing number {number}") for number, picture in enumerate(pictures)]
    print(f"{len(pairs)} pictures of {size} px, {statistics.mean(len(picture) for picture, _ in pairs):.0f} bytes each")
    return write_stage(folder, size, pairs, pairs[:1])


def turned(paths: list[Path], samples: int, size: int) -> Iterator[bytes]:
    """Yield the JPEGs that the shards are to hold."""
    for turns in range(-(-samples // len(paths))):
        for path in paths:
            image = Image.open(io.BytesIO(staged_jpeg(path.read_bytes(), size))).rotate(90 * turns)
            out = io.BytesIO()
            image.save(out, "JPEG", quality=QUALITY, subsampling=0)
            yield out.getvalue()


def read(stages: Stages, size: int, rounds: int) -> None:
    """Time every side and print the figures."""
    reader = ShardReader(*stages.stages)
    encoded = [reader.read(row) for row in range(len(reader))]
    order = np.random.default_rng(0).permutation(len(reader))
    sides: dict[str, Callable[[], int]] = {
        "Pillow, from memory": lambda: sum(bool(pillow(encoded[row])) for row in order),
        "simplejpeg, from memory": lambda: sum(len(simplejpeg.decode_jpeg(encoded[row])) > 0 for row in order),
        "webdataset, rgb8": lambda: webdataset(stages, "rgb8"),
        "webdataset, pil": lambda: webdataset(stages, "pil"),
        "essen, 1 thread": lambda: ours(stages, size, order, 1),
        "essen, 2 threads": lambda: ours(stages, size, order, 2),
    }
    check(stages, size, encoded, order)
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            started = time.perf_counter()
            count = side()
            assert count == len(order), f"{name} handed out {count} pictures"
            rates[name].append(count / (time.perf_counter() - started))
    report(rates)


def report(rates: dict[str, list[float]]) -> None:
    """Print the median rates, and the medians of the ratios of each round."""
    own = [name for name in rates if name.startswith("essen")]
    print(f"{'':26}{'pictures/s':>11}" + "".join(f"{name:>20}" for name in own))
    for name, values in rates.items():
        ratios = [statistics.median(a / b for a, b in zip(rates[one], values, strict=True)) for one in own]
        print(f"{name:26}{statistics.median(values):11.0f}" + "".join(f"{ratio:>19.2f}×" for ratio in ratios))


def pillow(data: bytes) -> Image.Image:
    """Decode a picture as one does."""
    return Image.open(io.BytesIO(data)).convert("RGB")


def webdataset(stages: Stages, decoder: str) -> int:
    """Read all shards through webdataset: shuffle, decode, tuples, batches."""
    import webdataset as wds

    part = stages.stages[0]
    shards = [str(part.folder / shard["file"]) for shard in part.entry["shards"]]
    pipeline = wds.WebDataset(shards, shardshuffle=len(shards)).shuffle(1000).decode(decoder)
    return sum(len(captions) for _, captions in pipeline.to_tuple("jpg", "txt").batched(BATCH))


def ours(stages: Stages, size: int, order: NDArray[np.int64], workers: int) -> int:
    """Read all pictures in an order, each batch while the one before it is taken, and keep none."""
    pictures = Pictures(stages.stages, size, memory=0, workers=workers)
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    count = 0
    for batch, following in itertools.zip_longest(batches, batches[1:], fillvalue=order[:0]):
        count += len(pictures.load(batch))
        pictures.expect(following)
    pictures.close()
    return count


def check(stages: Stages, size: int, encoded: list[bytes], order: NDArray[np.int64]) -> None:
    """See that the pixels of some pictures are those of Pillow."""
    rows = order[:1000]
    pixels = Pictures(stages.stages, size).load(rows).permute(0, 2, 3, 1).numpy()
    same = sum(np.array_equal(pillow(encoded[row]), one) for row, one in zip(rows, pixels, strict=True))
    print(f"pixels equal to Pillow's: {same} of {len(rows)}")


def wait(folder: Path, steps: int, out: Path) -> None:
    """Train, and print which share of a step its pictures were waited for."""
    torch.set_num_threads(os.cpu_count() or 1)
    for memory, name in ((0, "decoded anew for every batch"), (2048, "kept once they are decoded")):
        shares: list[float] = []

        def note(_: int, values: dict[str, float], seen: list[float] = shares) -> None:
            seen.append(values["waited"])

        config = TrainConfig(steps=steps, image_memory=memory, checkpoint_every=steps)
        train(ModelConfig(), config, folder, out / str(memory), report=note)
        settled = shares[1:]  # nothing can be expected before the first step
        print(f"{name}: waiting is {statistics.mean(settled):.2%} of a step, at most {max(settled):.2%}")


if __name__ == "__main__":
    main()
