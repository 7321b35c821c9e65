"""How fast staged shards are written, on one core: against the archive alone and against webdataset's writer.

    python benchmarks/writing.py --pages CORPORA/picturebooks --samples 20000

Every round times all, one after the other: a bare loop of `tarfile` in the USTAR form over members that are ready, our
writer from samples to shards with indexes, hashes and fsync, and `webdataset.ShardWriter` over the same members. The
figures are medians, the ratios those of each round.
"""

import argparse
import io
import json
import shutil
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from itertools import islice, product
from pathlib import Path

from pipeline import files
from pipeline.sample import Sample, sample_uid
from pipeline.shards.picture import staged_jpeg
from pipeline.shards.write import ShardGroup, StagedSample, write_shards

Members = tuple[str, bytes, bytes, bytes]


def main() -> None:
    """Print samples a second of each writer, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=Path, required=True, help="a folder with pages.jsonl (image, text)")
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=96, help="of the pictures; pages of 96 pixels take 4 to 6 KB")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    samples = make_samples(options.pages, options.samples, options.size)
    members = [laid_out(staged) for staged in samples]
    size = statistics.mean(len(staged.image) for staged in samples)
    print(f"{len(samples)} samples, pictures of {size:.0f} bytes")
    writers: dict[str, Callable[[Path], None]] = {
        "tarfile, USTAR": lambda folder: bare_loop(members, folder),
        "write_shards": lambda folder: ours(samples, folder),
        "webdataset.ShardWriter": lambda folder: shard_writer(members, folder),
    }
    rates: dict[str, list[float]] = {name: [] for name in writers}
    for _ in range(options.rounds):
        for name, write in writers.items():
            rates[name].append(rate(write, len(samples)))
    for name, values in rates.items():
        print(f"{name}: {statistics.median(values):.0f} samples/s ({min(values):.0f} to {max(values):.0f})")
    for name in ("tarfile, USTAR", "webdataset.ShardWriter"):
        ratios = [own / other for own, other in zip(rates["write_shards"], rates[name], strict=True)]
        print(f"write_shards / {name}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def make_samples(pages: Path, number: int, size: int) -> list[StagedSample]:
    """Return different pairs of real pictures and sentences, the pictures as staging stores them."""
    lines = [json.loads(line) for line in (pages / "pages.jsonl").read_text(encoding="utf-8").splitlines()][:400]
    pictures = list(dict.fromkeys(staged_jpeg((pages / line["image"]).read_bytes(), size) for line in lines))
    texts = list(dict.fromkeys(line["text"] for line in lines))
    # Pictures change from sample to sample, as they do in a stage.
    pairs = islice(product(texts, pictures), number)
    return [staged(picture, text, rank) for rank, (text, picture) in enumerate(pairs)]


def staged(picture: bytes, text: str, rank: int) -> StagedSample:
    digest = files.sha256_bytes(picture)
    sample = Sample(
        uid=sample_uid(digest, text),
        image_sha256=digest,
        caption=text,
        lang="en",
        corpus="picturebooks",
        group=f"book {rank % 50}",
        licence="CC-BY-4.0",
        attribution="The writers and painters of the book",
        url=f"https://example.org/books/{rank}",
    )
    return StagedSample(sample=sample, image=picture, stage=1, rank=rank, difficulty=rank / 1000)


def laid_out(sample: StagedSample) -> Members:
    record = {name: getattr(sample.sample, name) for name in Sample.__slots__}
    record |= {"stage": sample.stage, "rank": sample.rank, "words": sample.words}
    return sample.sample.uid, sample.image, files.canonical_json(record).encode(), sample.sample.caption.encode()


def bare_loop(members: list[Members], folder: Path) -> None:
    """Append members that are ready to one archive: no laying out, no hash, no flush to the disk, no index."""
    with tarfile.open(folder / "00000.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for uid, *contents in members:
            for ext, data in zip(("jpg", "json", "txt"), contents, strict=True):
                info = tarfile.TarInfo(f"{uid}.{ext}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def ours(samples: list[StagedSample], folder: Path) -> None:
    write_shards([ShardGroup(samples, len(samples))], folder)


def shard_writer(members: list[Members], folder: Path) -> None:
    """Write the same members by the reference writer, in as many shards as ours."""
    import webdataset

    pattern = str(folder / "%05d.tar")
    with webdataset.ShardWriter(pattern, maxcount=-(-len(members) // 8), verbose=0) as writer:
        for uid, image, record, text in members:
            writer.write({"__key__": uid, "jpg": image, "json": record, "txt": text})


def rate(write: Callable[[Path], None], number: int) -> float:
    """Return the samples a second of one call, into a new folder."""
    folder = Path(tempfile.mkdtemp(prefix="essen-writing-"))
    try:
        started = time.perf_counter()
        write(folder)
        return number / (time.perf_counter() - started)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
