"""What a sampler costs a batch of 256, and whether 10,000 batches resumed at 20 random places are the same sequence.

    python benchmarks/sampling.py                            15,000 and 400,000 rows, 2,000 batches of each kind
    python benchmarks/sampling.py --resume                   and the 10,000 batches
    python benchmarks/sampling.py --rows 15000 --kinds random tonics

Times are of `observe` and `batch` together, in milliseconds of processor time (all of it is one thread's), so that
other work on the machine counts little: mean, median, 99th percentile and the longest. A pass of a stream is drawn when
its first batch is asked for; that is the longest. Answers to a sampler's questions are made up, and the time to make
them is left out: forward passes are the model's. What learnability does with the scores of its larger batch belongs to
the scoring that the figure leaves aside; it is shown all the same.
"""

import argparse
import json
import random
import statistics
import time
import zlib
from typing import Any

import numpy as np

from essen.config import SamplingConfig
from essen.sampling.build import build_sampler
from essen.sampling.orders import Columns, hold_out
from essen.sampling.sampler import Logits, Question, Sampler

SIZE = 256
CORPORA = tuple(f"corpus{number}" for number in range(6))
WEIGHTS = [
    {"at": 0.0, "weights": {"corpus0": 1.0}},
    {"at": 1.0, "weights": {name: number + 1.0 for number, name in enumerate(CORPORA)}},
]
KINDS: dict[str, dict[str, Any]] = {
    "random": {"kind": "random"},
    "staged": {"kind": "staged"},
    "staged, cumulative": {"kind": "staged", "pool": "cumulative"},
    "staged, by rank": {"kind": "staged", "uniform_from": 1, "pacing": {"over": "rank", "kind": "competence"}},
    "staged, by difficulty": {"kind": "staged", "uniform_from": 1, "pacing": {"over": "difficulty", "kind": "root"}},
    "tonics": {"kind": "tonics", "tonics": {"threshold": 0.6}},
    "adaptive": {"kind": "adaptive"},
    "mixture": {"kind": "mixture", "mixture": WEIGHTS},
    "learnability": {"kind": "learnability", "learnability": {"reference": "made up"}},
}


def made_up(count: int) -> tuple[Columns, dict[str, Any]]:
    """Rows with several captions for a fifth of the pictures, frequent and rare captions, and a tree of 300 nouns."""
    rng = np.random.default_rng(0)
    images = rng.permutation(np.concatenate([np.arange(count - count // 5), rng.integers(0, count // 2, count // 5)]))
    captions = np.minimum(rng.zipf(1.3, count), count // 3).astype(np.int64)
    corpus = images % len(CORPORA)
    places = rng.permutation(count)
    stages = 1 + places * 3 // count
    columns = Columns(
        uids=[f"{row:032x}" for row in range(count)],
        images=images.astype(np.int64),
        captions=captions,
        stages=stages,
        places=places,
        difficulty=np.round(places / count, 3),
        corpora=np.array(CORPORA, dtype=object)[corpus],
        stage_names=np.array([f"stage{stage}" for stage in stages], dtype=object),
    )
    noun = images % 300
    nodes: list[dict[str, Any]] = [{"id": "root", "name": "root", "parent": None, "level": 0, "samples": count}]
    for number, name in enumerate(CORPORA):
        own = np.flatnonzero(corpus == number)
        groups = {f"root/{name}": own} | {f"root/{name}/{n}": own[noun[own] == n] for n in np.unique(noun[own])}
        for node, rows in groups.items():
            uids = [columns.uids[row] for row in rows]
            facts = {"parent": node.rpartition("/")[0], "level": node.count("/"), "samples": len(uids)}
            nodes.append({"id": node, "name": node, **facts, "members": uids})
    return columns, {"nodes": nodes}


def build(kind: str, columns: Columns, ontology: dict[str, Any], *, steps: int, size: int = SIZE) -> Sampler:
    config = SamplingConfig.model_validate(KINDS[kind])
    rows, held_out = hold_out(columns, config.held_out_share, 0, config.sources)
    return build_sampler(config, columns, rows, held_out, batch_size=size, steps=steps, seed=0, ontology=ontology)


def answer(question: Question, step: int) -> Logits:
    """Return logits that are right more often the later it is."""
    rng = np.random.default_rng([step, zlib.crc32(question.rows.tobytes())])
    count = len(question.rows)
    logits = rng.standard_normal((count, count), dtype=np.float32)
    logits[np.arange(count), np.arange(count)] += 8.0 if question.of == "reference" else 0.004 * step
    return logits


def timed(sampler: Sampler, steps: int) -> list[float]:
    """Return the milliseconds of every batch."""
    found = []
    for step in range(steps):
        answers = [answer(question, step) for question in sampler.questions(step)]
        started = time.thread_time()
        sampler.observe(step, answers)
        rows = sampler.batch(step)
        found.append(1e3 * (time.thread_time() - started))
        assert len(rows) == SIZE
    return found


def overhead(kinds: list[str], counts: list[int], steps: int) -> None:
    print(
        f"{'rows':>8}  {'kind':24} {'build s':>8} {'mean':>8} {'median':>8} {'p99':>8} {'longest':>8}"
        f"   ms a batch of {SIZE}"
    )
    for count in counts:
        columns, ontology = made_up(count)
        for kind in kinds:
            started = time.thread_time()
            sampler = build(kind, columns, ontology, steps=steps)
            built = time.thread_time() - started
            found = timed(sampler, steps if kind != "learnability" else min(steps, 50))
            p99 = sorted(found)[int(0.99 * len(found))]
            print(
                f"{count:>8,}  {kind:24} {built:8.2f} {statistics.fmean(found):8.3f} {statistics.median(found):8.3f} "
                f"{p99:8.3f} {max(found):8.1f}",
                flush=True,
            )


def resumed(kinds: list[str], steps: int = 10_000, places: int = 20, size: int = 16) -> None:
    """Count the batches that are equal, a new sampler taking over the state as JSON at each place."""
    columns, ontology = made_up(4_000)
    for kind in kinds:
        cuts = [0, *sorted(random.Random(0).sample(range(1, steps), places)), steps]  # noqa: S311
        straight = build(kind, columns, ontology, steps=steps, size=size)
        other = build(kind, columns, ontology, steps=steps, size=size)
        equal = 0
        for step in range(steps):
            if step in cuts[1:-1]:
                state = json.dumps(other.state_dict(), allow_nan=False)
                other = build(kind, columns, ontology, steps=steps, size=size)
                other.load_state_dict(json.loads(state))
            batches = []
            for sampler in (straight, other):
                sampler.observe(step, [answer(question, step) for question in sampler.questions(step)])
                batches.append(sampler.batch(step).tolist())
            equal += batches[0] == batches[1]
        print(f"{kind:24} {equal:,} of {steps:,} batches equal, resumed at {places} places", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[15_000, 400_000])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--batches", type=int, default=2_000)
    parser.add_argument("--resume", action="store_true", help="check 10,000 batches of each kind, resumed at 20 places")
    options = parser.parse_args()
    overhead(options.kinds, options.rows, options.batches)
    if options.resume:
        resumed(options.kinds)


if __name__ == "__main__":
    main()
