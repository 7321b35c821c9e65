"""What ordering costs where the signals exist: seconds and peak memory, each order in a process of its own.

    python benchmarks/order.py                                     400,000 pairs, five orders
    python benchmarks/order.py --count 40000 --orders vocabulary
    python benchmarks/order.py --captions path/to/urls.tsv         captions of one's own: a table with `caption`

Captions are repeated, each time with a fifth of their words exchanged, until there are enough; their longer words stand
in for a parse, and numbers are drawn. Wall time is what a person waits for; processor time is the same on a machine
that is busy with other things. The peak is that of the whole process, libraries included.
"""

import argparse
import csv
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.order import order
from pipeline.measure.caption import words_of
from pipeline.select.kept import FILE
from pipeline.tables import write_table

CAPTIONS = Path(__file__).parents[2] / "shared/corpora/picturebooks/urls.tsv"
ORDERS: dict[str, dict[str, object]] = {
    "quantile": {},
    "vocabulary": {"by": "vocabulary"},
    "corpus": {"by": "corpus", "pool": "cumulative"},
    "interleaved": {"within": "interleaved"},
    "wordnet": {"ontology": {"hypernyms": "wordnet"}},
}


def captions_of(path: Path, count: int, rng: np.random.Generator) -> list[str]:
    """Captions of a table, as often as needed; in each repetition a word in five becomes another of the corpus."""
    with path.open(newline="", encoding="utf-8") as file:
        given = [row["caption"] for row in csv.DictReader(file, delimiter="\t")]
    words = np.array(sorted({word for caption in given for word in words_of(caption)}), dtype=object)
    found = list(given[:count])
    while len(found) < count:
        parts = given[len(found) % len(given)].split()
        changed = rng.random(len(parts)) < 0.2
        drawn = words[np.minimum(rng.zipf(1.3, len(parts)), len(words)) - 1]
        found.append(" ".join(new if swap else old for old, new, swap in zip(parts, drawn, changed, strict=True)))
    return found


def write_run(run: Path, captions: list[str]) -> None:
    """A run directory with the columns that an order reads."""
    rng = np.random.default_rng(1)
    count = len(captions)
    uid = pa.array(sorted(f"{high:016x}{low:016x}" for high, low in rng.integers(0, 2**63, (count, 2)).tolist()))
    corpus = rng.choice(["noto", "emojione", "fxemoji", "picturebooks"], count, p=[0.2, 0.1, 0.1, 0.6])
    text = {"caption": captions, "corpus": corpus, "category": rng.choice(["Food", "Nature", "text", ""], count)}
    text |= {"group": [f"work-{number:05d}" for number in rng.integers(0, count // 12 + 1, count)]}
    place = {"raw_shard": [f"raw/a/{row // 1000:05d}.tar" for row in range(count)], "raw_offset": np.arange(count)}
    write_table(run / "signals/samples.parquet", {"uid": uid, **text, **place})
    names = {"caption_uid": uid, "picture_uid": uid, "split": ["train"] * count}
    write_table(run / FILE, {"uid": uid, **text, **names})
    words = [[word for word in words_of(caption) if len(word) > 3] for caption in captions]
    tokens = np.array([len(caption.split()) for caption in captions])
    lists = {name: [part[start::3] for part in words] for start, name in enumerate(("nouns", "verbs", "adjectives"))}
    head = [nouns[0] if nouns else None for nouns in lists["nouns"]]
    depth = {"tokens": tokens, "parse_depth": 1 + tokens // 4, "head_noun": head}
    write_table(run / "signals/caption.parquet", {"uid": uid, **depth, **lists})
    drawn = {name: rng.normal(4, 1, count) for name in ("zipf_mean", "zipf_min", "concreteness_mean")}
    write_table(run / "signals/lexicon.parquet", {"uid": uid, **drawn, "familiar_share": rng.random(count)})
    seen = {name: rng.random(count) for name in ("clutter", "edge_density", "entropy")}
    write_table(run / "signals/image.parquet", {"uid": uid, **seen, "regions": rng.integers(1, 60, count)})


def measured(name: str, run: Path, out: Path) -> None:
    """Make one order and print what it cost."""
    config = CurriculumConfig.model_validate({"monotone": "report", **ORDERS[name]})
    import pyarrow.parquet  # noqa: F401 - loaded before the clock starts, as in a run
    import scipy.stats  # noqa: F401

    started, worked = time.monotonic(), time.process_time()
    counts = order(config, run, out)
    seconds, worked = time.monotonic() - started, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    size = (out / "curriculum/ontology.json").stat().st_size / 2**20
    cost = f"{seconds:6.1f} s ({worked:5.1f} s of processor)  {peak:5.2f} GiB"
    print(f"{name:<12} {cost}  {counts['stages']}  ontology {size:.0f} MiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400_000)
    parser.add_argument("--captions", type=Path, default=CAPTIONS)
    parser.add_argument("--orders", nargs="*", choices=ORDERS, default=list(ORDERS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        captions = captions_of(options.captions, options.count, np.random.default_rng(0))
        write_run(run, captions)
        distinct = len({word for caption in captions for word in words_of(caption)})
        words = sum(len(caption.split()) for caption in captions)
        print(f"{len(captions):,} captions, {words:,} words, {distinct:,} different ones")
        for name in options.orders:
            process = multiprocessing.get_context("spawn").Process(
                target=measured, args=(name, run, Path(folder) / name)
            )
            process.start()
            process.join()


if __name__ == "__main__":
    main()
