"""Training throughput, data loading included: ours beside open_clip models that cost as much a pair.

    python benchmarks/throughput.py RUN/stages
    python benchmarks/throughput.py RUN/stages --rounds 5 --steps 12 --json throughput.json
    python benchmarks/throughput.py --smoke

Ours is `essen.train`; theirs is open_clip's own loader, loss and step over the same shards (`open_clip_peer.py`). Their
text towers are as wide as it takes for equal FLOPs of a pair's forward pass, counted by torch. All sides take turns in
every round; the figures are medians over the rounds, a ratio is the median of the rounds' ratios. Where other programs
want the processor too, look at the pairs a second of its time: ours with the decoding, theirs without their loader. The
share of the peak counts three forward passes a pair, beside a large product of matrices timed so in the same round.
"""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from open_clip_peer import VISION, Peer, make_peer, our_flops, train_peer
from shapes import stage_shapes

from essen.config import ModelConfig, SamplingConfig, TrainConfig
from essen.train import train

SETTLING = 2  # steps of a round that are not counted: nothing is loaded ahead of them
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class Rate:
    """A side in a round: pairs a second of the clock and of the processor; the share of the time that was waiting."""

    pairs: float
    per_processor: float
    waited: float


def main() -> None:
    """Print pairs a second of every side, and ours as multiples of theirs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", type=Path, nargs="?", help="a folder of staged shards; without, shapes are drawn")
    parser.add_argument("--model", default="essen-tiny", help="a preset")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=8, help="steps that count, of each side in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0 leaves it to torch")
    parser.add_argument("--workers", type=int, default=1, help="processes of open_clip's loader")
    parser.add_argument("--json", type=Path, help="a file for the figures of all rounds")
    parser.add_argument("--smoke", action="store_true", help="once, with two steps of eight pairs")
    options = parser.parse_args()
    if options.smoke:
        options.batch, options.steps, options.rounds, options.threads = 8, 2, 1, 1
    torch.set_num_threads(options.threads or torch.get_num_threads())
    with tempfile.TemporaryDirectory() as scratch:
        stages = options.stages or stage_shapes(Path(scratch) / "stages", 16 * options.batch)
        compare(stages, options, Path(scratch))


def compare(stages: Path, options: argparse.Namespace, scratch: Path) -> None:
    """Measure all rounds and print the figures."""
    config = ModelConfig.model_validate(options.model)
    training = training_of(options, "fp32")
    flops = {"essen": our_flops(config, training, stages)}
    peers = [
        make_peer(name, flops["essen"], config.embedding_size, scratch / name.split()[0].lower()) for name in VISION
    ]
    flops |= {peer.name: peer.flops for peer in peers}
    print(f"{torch.get_num_threads()} threads, batch {options.batch}; GFLOPs of a pair's forward pass:")
    print(f"  {config.name}: {flops['essen'] / 1e9:.3f}")
    for peer in peers:
        print(f"  open_clip {peer.name}, text 4×{peer.text_width}: {peer.flops / 1e9:.3f}")
    rates: dict[str, list[Rate]] = {}
    peaks: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for number in range(1, options.rounds + 1):
        for precision in PRECISIONS:
            peaks[precision].append(peak(precision))
            sides = {"essen": lambda p=precision: ours(config, training_of(options, p), stages, scratch)}
            sides |= {peer.name: lambda p=precision, one=peer: theirs(one, stages, options, p) for peer in peers}
            for name, side in sides.items():
                found = side()
                rates.setdefault(f"{name} {precision}", []).append(found)
                print(f"  round {number}: {name} {precision} {found.pairs:.1f} pairs/s", file=sys.stderr, flush=True)
    report(rates, peaks, flops)
    if options.json:
        record = {
            "model": config.name,
            "options": {key: str(value) for key, value in vars(options).items()},
            "forward_flops": flops,
            "text_widths": {peer.name: peer.text_width for peer in peers},
            "peak_gflops": peaks,
            "rounds": {name: [asdict(rate) for rate in values] for name, values in rates.items()},
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n")


def training_of(options: argparse.Namespace, precision: str) -> TrainConfig:
    """Our training: as by default, from all stages evenly."""
    steps = SETTLING + options.steps
    return TrainConfig(
        steps=steps,
        batch_size=options.batch,
        precision=precision,
        checkpoint_every=steps,
        sampling=SamplingConfig(kind="random"),
    )


def ours(config: ModelConfig, training: TrainConfig, stages: Path, scratch: Path) -> Rate:
    """Train ours for a round."""
    seconds, waits, marks = [], [], [time.process_time()]

    def note(_: int, values: dict[str, float]) -> None:
        seconds.append(training.batch_size / values["samples_per_second"])
        waits.append(values["waited"] * seconds[-1])
        marks.append(time.process_time())

    with tempfile.TemporaryDirectory(dir=scratch) as out:
        train(config, training, stages, Path(out), report=note)
    processor = [later - earlier for earlier, later in itertools.pairwise(marks)]
    return rate(training.batch_size, seconds, processor, waits)


def theirs(peer: Peer, stages: Path, options: argparse.Namespace, precision: str) -> Rate:
    """Train theirs for a round."""
    _, clock = train_peer(
        peer,
        stages,
        steps=SETTLING + options.steps,
        batch=options.batch,
        bf16=precision == "bf16",
        learning_rate=1e-3,
        workers=options.workers,
    )
    return rate(options.batch, clock.steps, clock.processor, clock.waits)


def rate(batch: int, seconds: list[float], processor: list[float], waits: list[float]) -> Rate:
    """Return a round's figures, its first steps left out."""
    total, worked, waited = (sum(values[SETTLING:]) for values in (seconds, processor, waits))
    pairs = batch * (len(seconds) - SETTLING)
    return Rate(pairs / total, pairs / worked, waited / total)


def peak(precision: str) -> float:
    """Return the GFLOPs of a large matrix product in a second of the processor, the best of a few."""
    square = torch.rand(2048, 2048).to(torch.bfloat16 if precision == "bf16" else torch.float32)
    times = []
    for _ in range(8):
        started = time.process_time()
        square @ square
        times.append(time.process_time() - started)
    return 2 * 2048**3 / min(times) / 1e9


def report(rates: dict[str, list[Rate]], peaks: dict[str, list[float]], flops: dict[str, float]) -> None:
    """Print a row for every side and precision."""
    titles = ("pairs/s", "waiting", "ours to theirs", "pairs/processor s", "ours to theirs", "of the peak")
    print(f"{'':18}" + "".join(f"{title:>{len(title) + 2}}" for title in titles))
    for key, values in rates.items():
        name, precision = key.rsplit(" ", 1)
        own = rates[f"essen {precision}"]
        tops = zip(values, peaks[precision], strict=True)
        cells = [
            f"{statistics.median(one.pairs for one in values):.1f}",
            f"{statistics.median(one.waited for one in values):.1%}",
            f"{ratio([one.pairs for one in own], [one.pairs for one in values]):.2f}×",
            f"{statistics.median(one.per_processor for one in values):.1f}",
            f"{ratio([one.per_processor for one in own], [one.per_processor for one in values]):.2f}×",
            f"{statistics.median(3 * flops[name] * one.per_processor / (top * 1e9) for one, top in tops):.0%}",
        ]
        print(f"{key:18}" + "".join(f"{cell:>{len(title) + 2}}" for cell, title in zip(cells, titles, strict=True)))
    for precision in PRECISIONS:
        print(f"matrix products in {precision}: {statistics.median(peaks[precision]):.0f} GFLOPs a processor second")
    fast, plain = rates["essen bf16"], rates["essen fp32"]
    by_clock = ratio([one.pairs for one in fast], [one.pairs for one in plain])
    by_processor = ratio([one.per_processor for one in fast], [one.per_processor for one in plain])
    print(f"essen in bf16 to fp32: {by_clock:.2f}× by the clock, {by_processor:.2f}× by the processor's time")


def ratio(over: list[float], under: list[float]) -> float:
    """Return the median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


if __name__ == "__main__":
    main()
