"""What the exact search for near-copies costs, beside FAISS and the SemDeDup rule on the same vectors in the same run.

    python benchmarks/dedup.py                          100,000 × 256, a fifth of them near-copies
    python benchmarks/dedup.py --count 30000 --rounds 3
    python benchmarks/dedup.py --count 1000000 --no-peers
    python benchmarks/dedup.py --vectors RUN/embeddings/efficientnet-lite0/image.npy
    python benchmarks/dedup.py --vectors RUN/embeddings/efficientnet-lite0/image.npy --tiled 100000

Recall and precision are those against FAISS's exact search at a slightly lower threshold, judged in double precision.
Other work on the machine disturbs seconds, and ratios less: peers and we take turns.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.select.duplicates import NEAR, greedy_leader
from pipeline.select.neighbours import cosines_of, pairs_at_or_above

CLUSTERS = 300  # a hundred vectors each at 30,000


def planted(count: int, dim: int, share: float, decay: float) -> np.ndarray:
    """Unit vectors of which a share are near-copies of others, at cosines from .92 to 1."""
    rng = np.random.default_rng(0)
    originals = round(count * (1 - share))
    vectors = np.empty((count, dim), dtype=np.float32)
    vectors[:originals] = rng.standard_normal((originals, dim), dtype=np.float32) * np.exp(-decay * np.arange(dim))
    vectors[:originals] /= np.linalg.norm(vectors[:originals], axis=1, keepdims=True)
    noise = rng.standard_normal((count - originals, dim), dtype=np.float32)
    noise *= rng.uniform(0, 0.42, (len(noise), 1)) / np.linalg.norm(noise, axis=1, keepdims=True)
    vectors[originals:] = vectors[rng.integers(0, originals, count - originals)] + noise
    vectors[originals:] /= np.linalg.norm(vectors[originals:], axis=1, keepdims=True)
    return np.ascontiguousarray(vectors[rng.permutation(count)])


def tiled(vectors: np.ndarray, count: int) -> np.ndarray:
    """Real unit vectors repeated up to a number; what repeats is a near-copy, at cosines from .92 to 1."""
    rng = np.random.default_rng(0)
    rows = vectors[np.arange(count) % len(vectors)]
    for start in range(len(vectors), count, len(vectors)):
        copies = rows[start : start + len(vectors)]
        noise = rng.standard_normal(copies.shape, dtype=np.float32)
        copies += noise * (rng.uniform(0, 0.42, (len(copies), 1)) / np.linalg.norm(noise, axis=1, keepdims=True))
        copies /= np.linalg.norm(copies, axis=1, keepdims=True)
    return rows


def faiss_pairs(vectors: np.ndarray, cosine: float) -> tuple[np.ndarray, np.ndarray]:
    """All pairs by FAISS's exact range search, each once."""
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    limits, _, second = index.range_search(vectors, cosine)
    first = np.repeat(np.arange(len(vectors)), np.diff(limits).astype(np.int64))
    return first[first < second], second[first < second]


def semdedup_drops(vectors: np.ndarray, cosine: float) -> tuple[set[int], int]:
    """The rows that the SemDeDup rule drops, and the number of pairs that its clusters hold."""
    import faiss

    kmeans = faiss.Kmeans(vectors.shape[1], CLUSTERS, niter=10, spherical=True, seed=0, max_points_per_centroid=100)
    kmeans.train(vectors)
    nearness, cluster = kmeans.index.search(vectors, 1)
    drops: set[int] = set()
    pairs = 0
    order = np.lexsort((nearness[:, 0], cluster[:, 0]))
    for rows in np.split(order, np.flatnonzero(np.diff(cluster[order, 0])) + 1):
        upper = np.triu(vectors[rows] @ vectors[rows].T, 1) >= cosine
        pairs += int(upper.sum())
        drops |= set(rows[upper.any(axis=0)].tolist())
    return drops, pairs


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - started, result


def without_partner(drops: set[int], pairs: set[tuple[int, int]]) -> int:
    """The number of dropped rows of which no near-copy stays."""
    served = {a for a, b in pairs if b not in drops} | {b for a, b in pairs if a not in drops}
    return len(drops - served)


def compare(vectors: np.ndarray, cosine: float, rounds: int) -> None:
    seconds: dict[str, list[float]] = {"ours": [], "FAISS": [], "SemDeDup rule": []}
    for _ in range(rounds):
        for name, function in (("ours", pairs_at_or_above), ("SemDeDup rule", semdedup_drops), ("FAISS", faiss_pairs)):
            took, result = timed(function, vectors, cosine)
            seconds[name].append(took)
            if name == "ours":
                ours = result
            elif name == "SemDeDup rule":
                drops, held = result
    first, second = faiss_pairs(vectors, cosine - 1e-4)
    true = cosines_of(vectors[first], vectors[second]) >= cosine
    oracle = set(zip(first[true].tolist(), second[true].tolist(), strict=True))
    found = set(zip(ours.first.tolist(), ours.second.tolist(), strict=True))
    for name, values in seconds.items():
        print(f"{name:<16}{statistics.median(values):9.2f} s   {' '.join(f'{value:.2f}' for value in values)}")
    print(f"FAISS / ours    {statistics.median(seconds['FAISS']) / statistics.median(seconds['ours']):9.1f} ×")
    print(f"ours / SemDeDup {statistics.median(seconds['ours']) / statistics.median(seconds['SemDeDup rule']):9.1f} ×")
    print(f"pairs {len(oracle):,}; recall {len(found & oracle) / max(1, len(oracle)):.6f}", end=", ")
    print(f"precision {len(found & oracle) / max(1, len(found)):.6f}; the SemDeDup rule sees {held / len(oracle):.4f}")
    leader = set(greedy_leader(len(vectors), ours, np.full(len(ours.first), NEAR)))
    print(f"greedy leader drops {len(leader):,}, {without_partner(leader, oracle)} without a kept partner", end="; ")
    print(f"the SemDeDup rule {len(drops):,}, {without_partner(drops, oracle)} without")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--share", type=float, default=0.2, help="share of near-copies")
    parser.add_argument("--decay", type=float, default=0.0, help="features matter less and less by this exponent")
    parser.add_argument("--cosine", type=float, default=0.95)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--vectors", type=Path, help="a .npy of unit vectors in place of planted ones")
    parser.add_argument("--tiled", type=int, default=0, help="repeat these with noise up to so many")
    parser.add_argument("--no-peers", action="store_true", help="time only, for many vectors")
    options = parser.parse_args()
    if options.vectors:
        vectors = np.load(options.vectors)
        vectors = tiled(vectors, options.tiled) if options.tiled else vectors
    else:
        vectors = planted(options.count, options.dim, options.share, options.decay)
    print(f"{len(vectors):,} × {vectors.shape[1]}, cosine ≥ {options.cosine}")
    pairs_at_or_above(vectors[:2_000], options.cosine)  # loads the libraries
    if options.no_peers:
        seconds, pairs = timed(pairs_at_or_above, vectors, options.cosine)
        print(f"ours            {seconds:9.1f} s, {len(pairs.first):,} pairs")
    else:
        compare(vectors, options.cosine, options.rounds)
    print(f"peak memory     {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:9.2f} GiB")


if __name__ == "__main__":
    main()
