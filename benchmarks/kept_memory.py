"""What it saves that freed memory is kept: steps of training, and pictures encoded, with and without that.

    python benchmarks/kept_memory.py RUN/stages
    python benchmarks/kept_memory.py RUN/stages --batch 128 --rounds 5

prints the processor seconds and the page faults of a step of some trainings, and of 256 pictures that are encoded for
the embeddings, both ways; the median over the rounds of their ratio; and the most memory that the process took. Each
is measured on one thread in a process of its own, and both ways take turns. Without stages, shapes are drawn.
"""

import argparse
import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from contextlib import nullcontext as nothing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from shapes import stage_shapes

from essen import computing
from essen.config import ModelConfig, TrainConfig
from essen.train import train
from pipeline.measure.embed import EfficientNetLite0

SETTLING = 3  # steps that do not count: the first of them find no memory to take again
BACKBONE = {"name": "lite0", "image_size": 80, "fusion": {"kind": "none"}}
BACKBONE |= {"vision": {"kind": "timm", "backbone": "tf_efficientnet_lite0"}}
MODELS: dict[str, tuple[dict[str, Any], str]] = {
    "essen-nano fp32": ({"preset": "essen-nano"}, "fp32"),
    "essen-tiny fp32": ({"preset": "essen-tiny"}, "fp32"),
    "essen-tiny bf16": ({"preset": "essen-tiny"}, "bf16"),
    "EfficientNet-Lite0 fp32": (BACKBONE, "fp32"),
}
ENCODING = "encoding at 128 px"
CASES = [*MODELS, ENCODING]
WAYS = {"given back": False, "kept": True}


@dataclass(frozen=True)
class Cost:
    """Of a step, in the median: seconds of processor, page faults; and the peak of the process's memory, GiB."""

    seconds: float
    faults: float
    peak: float


def main() -> None:
    """Print a row for every case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", type=Path, nargs="?", help="a folder of staged shards; without, shapes are drawn")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=6, help="steps that count, each way in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", choices=list(WAYS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name = options.cases[0]
        with nothing() if WAYS[options.one] else patch("essen.computing.kept_memory", nothing):
            marks = encode(options) if name == ENCODING else steps_of(name, options)
        print(json.dumps(asdict(cost_of(marks))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        stages = options.stages or stage_shapes(Path(scratch) / "stages", 16 * options.batch)
        for name in options.cases:
            rounds = [{way: apart(name, stages, options, way) for way in WAYS} for _ in range(options.rounds)]
            print(row(name, rounds), flush=True)


def apart(name: str, stages: Path, options: argparse.Namespace, way: str) -> Cost:
    """Measure one case in a process of its own."""
    sizes = ["--batch", str(options.batch), "--steps", str(options.steps)]
    command = [sys.executable, __file__, str(stages), *sizes, "--one", way, "--cases", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Cost(**json.loads(done.stdout))


def steps_of(name: str, options: argparse.Namespace) -> list[resource.struct_rusage]:
    """Train for a few steps; return what had been used before the first and after each."""
    model, precision = MODELS[name]
    config = ModelConfig.model_validate(model)
    training = TrainConfig.model_validate(
        {
            "steps": SETTLING + options.steps,
            "batch_size": options.batch,
            "precision": precision,
            "threads": 1,
            "checkpoint_every": SETTLING + options.steps,
            "objectives": {"matching": 0, "masked": 0} if config.fusion.kind == "none" else {},
            "sampling": {"kind": "random"},
        }
    )
    marks = [usage()]
    with tempfile.TemporaryDirectory() as out:
        train(config, training, options.stages, Path(out), report=lambda _step, _values: marks.append(usage()))
    return marks


def encode(options: argparse.Namespace) -> list[resource.struct_rusage]:
    """Encode pictures a few times, 64 at once; return what had been used before the first and after each."""
    torch.set_num_threads(1)
    encoder = EfficientNetLite0(128)
    pictures = np.random.default_rng(0).integers(0, 256, (64, 128, 128, 3), dtype=np.uint8)
    marks = [usage()]
    with computing.kept_memory():
        for _ in range(SETTLING + options.steps):
            for _ in range(options.batch // 64 or 1):
                encoder.encode_images(pictures)
            marks.append(usage())
    return marks


def cost_of(marks: list[resource.struct_rusage]) -> Cost:
    """Return the cost of what lies between two marks, the first of them left out."""
    steps = list(itertools.pairwise(marks[SETTLING:]))
    seconds = statistics.median(seconds_of(after) - seconds_of(before) for before, after in steps)
    faults = statistics.median(after.ru_minflt - before.ru_minflt for before, after in steps)
    return Cost(seconds, faults, marks[-1].ru_maxrss / 2**20)


def usage() -> resource.struct_rusage:
    """Return what this process has used so far."""
    return resource.getrusage(resource.RUSAGE_SELF)


def seconds_of(used: resource.struct_rusage) -> float:
    """Return the seconds of the processor, those of the kernel included."""
    return used.ru_utime + used.ru_stime


def row(name: str, rounds: list[dict[str, Cost]]) -> str:
    """Return the line of a case."""
    cells = []
    for way in WAYS:
        costs = [each[way] for each in rounds]
        seconds, faults, peak = (
            statistics.median(getattr(cost, value) for cost in costs) for value in ("seconds", "faults", "peak")
        )
        cells.append(f"{way}: {seconds:.3f} s {faults:9,.0f} faults {peak:5.2f} GiB")
    ratio = statistics.median(each["given back"].seconds / each["kept"].seconds for each in rounds)
    return f"{name:24} {'   '.join(cells)}   {ratio:.2f}×"


if __name__ == "__main__":
    main()
