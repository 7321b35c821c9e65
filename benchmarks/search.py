"""How long a search takes from a cold start, by words and by picture, and what an approximate index costs and finds.

    python benchmarks/search.py runs/storybooks [--vectors 20000] [--rounds 5]

Wall time is what a person waits for; processor time is the same on a machine that is busy with other things.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from pipeline.index.config import IndexConfig
from pipeline.index.store import open_index
from pipeline.index.vectors import make_index, nearest


def cold(run: Path, arguments: list[str]) -> tuple[float, float]:
    """Return wall and processor seconds of one search in a process of its own."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    essen = str(Path(sys.executable).with_name("essen"))
    subprocess.run([essen, "search", str(run), *arguments], check=True, capture_output=True)
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--vectors", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    index = open_index(options.run)
    print(f"{len(index.samples['uid']):,} samples")
    for name, arguments in (("words", ["a red ball"]), ("uid", ["--uid", index.samples["uid"][0]])):
        rounds = [cold(options.run, arguments) for _ in range(options.rounds)]
        wall, processor = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"search by {name:6} {wall:6.2f} s wall {processor:6.2f} s processor")
    # Real vectors with noise: as many as are asked for, gathered as pictures are.
    own = index.vectors("image")
    rng = np.random.default_rng(0)
    real = own.reconstruct_n(0, own.ntotal)
    noisy = real[rng.integers(own.ntotal, size=options.vectors)] + rng.normal(
        scale=0.3 / own.d**0.5, size=(options.vectors, own.d)
    ).astype(np.float32)
    vectors = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    for factory in ("Flat", "IVF256,Flat", "HNSW32,Flat"):
        config = IndexConfig(exact_up_to=0, factory=factory, effort=32, min_recall=0)
        started = time.process_time()
        made, about = make_index(config, vectors)
        built = time.process_time() - started
        started = time.process_time()
        for vector in vectors[:100]:
            nearest(made, vector, 12)
        asked = (time.process_time() - started) / 100
        print(f"{factory:12} built in {built:6.1f} s, a query {1000 * asked:6.2f} ms, recall {about['recall']:.4f}")


if __name__ == "__main__":
    main()
