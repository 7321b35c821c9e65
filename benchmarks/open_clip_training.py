"""Ours and an open_clip model, trained on the same pairs at the same cost and scored by the same code.

    python benchmarks/open_clip_training.py RUN
    python benchmarks/open_clip_training.py RUN --steps 1500 --seeds 3 --json comparison.json
    python benchmarks/open_clip_training.py RUN --minutes 20
    python benchmarks/open_clip_training.py --smoke

RUN is a run's folder: its recipe says how ours is trained, its ``stages/`` hold the pairs and the held-out sets. Ours
is a preset; theirs is ResNet-10t at 96 pixels with a text tower of four layers, as wide as it takes for equal FLOPs of
a pair's forward pass, trained by open_clip's loader, loss and schedule for as many samples (`open_clip_peer.py`). Both
are scored as by ``essen evaluate MODEL --on RUN/stages``; the mean of several seeds is printed, and of their bounds.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from open_clip_peer import Peer, make_peer, our_flops, save_peer, train_peer
from shapes import stage_shapes

from essen.config import ModelConfig, ScoreConfig, TrainConfig
from essen.evaluate.encoders import OPEN_CLIP
from essen.evaluate.score import score
from essen.train import train
from flows.recipe import load_recipe
from pipeline.shards.read import open_stages

FORMAT = "essen-open-clip/1"
VISION = "ResNet-10t"
TRIAL = 4  # steps that are timed where the minutes are given
Row = tuple[str, str, str]


def main() -> None:
    """Train both with every seed, score both, and print every score side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", help="a run with recipe.yaml and stages/")
    parser.add_argument("--model", default="essen-tiny", help="a preset, or `recipe` for the recipe's own model")
    parser.add_argument("--steps", type=int, help="of each side; by default as the recipe says")
    parser.add_argument("--seeds", type=int, default=1, help="so many, from 0 upwards")
    parser.add_argument("--minutes", type=float, help="of training in all, about; takes the place of --steps")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="of open_clip's cosine, its highest")
    parser.add_argument("--warmup", type=int, help="steps of open_clip's warm-up; by default as many as ours")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0 leaves it to torch")
    parser.add_argument("--workers", type=int, default=1, help="processes of open_clip's loader")
    parser.add_argument("--json", type=Path, help="a file for the whole record")
    parser.add_argument("--smoke", action="store_true", help="a few steps on drawn shapes")
    options = parser.parse_args()
    torch.set_num_threads(options.threads or torch.get_num_threads())
    with tempfile.TemporaryDirectory() as scratch:
        record = compare(options, Path(scratch))
    print("\n".join(table(record)))
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")


def compare(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Return the record: what was compared, and for each seed both sides' scores and seconds."""
    model, training, stages = surroundings(options, scratch)
    config = ScoreConfig(resamples=100) if options.smoke else ScoreConfig()
    flops = our_flops(model, training, stages)
    peer = make_peer(VISION, flops, model.embedding_size, scratch / "resnet-10t")
    epochs, training = budget(options, model, training, stages, peer, scratch)
    print(
        f"{model.name}: {flops / 1e9:.3f} GFLOPs a pair; open_clip {VISION}, text 4×{peer.text_width}: "
        f"{peer.flops / 1e9:.3f}; {training.steps} steps of {training.batch_size} pairs each",
        flush=True,
    )
    seeds = []
    for seed in range(options.seeds):
        ours = train_ours(model, training.model_copy(update={"seed": seed}), stages, scratch / f"ours-{seed}", config)
        asked = {"epochs": epochs, "learning_rate": options.learning_rate, "workers": options.workers, "seed": seed}
        warmup = training.warmup_steps if options.warmup is None else options.warmup
        theirs = train_theirs(peer, training, stages, scratch / f"theirs-{seed}", config, warmup=warmup, **asked)
        seeds.append({"seed": seed, "ours": ours, "theirs": theirs})
        print(f"seed {seed}: ours trained {ours['seconds']:.0f} s, theirs {theirs['seconds']:.0f} s", flush=True)
    return {
        "format": FORMAT,
        "stages": open_stages(stages).digest,
        "model": model.model_dump(mode="json"),
        "train": training.model_dump(mode="json", exclude={"seed"}),
        "open_clip": {
            "vision": VISION,
            "text_width": peer.text_width,
            "learning_rate": options.learning_rate,
            "warmup_steps": training.warmup_steps if options.warmup is None else options.warmup,
            "epochs": epochs,
            "precision": "amp_bf16",
        },
        "forward_flops": {"ours": flops, "theirs": peer.flops},
        "samples_seen": training.steps * training.batch_size,
        "threads": torch.get_num_threads(),
        "seeds": seeds,
    }


def surroundings(options: argparse.Namespace, scratch: Path) -> tuple[ModelConfig, TrainConfig, Path]:
    """Return our model, how it is trained, and the stages."""
    if options.smoke:
        stages = stage_shapes(scratch / "stages", 64)
        return ModelConfig.model_validate("essen-tiny"), TrainConfig(steps=4, batch_size=16, warmup_steps=1), stages
    if options.run is None:
        raise SystemExit("name a run's folder, or try --smoke")
    recipe = load_recipe(options.run / "recipe.yaml")
    model = recipe.model if options.model == "recipe" else ModelConfig.model_validate(options.model)
    training = recipe.train.model_copy(update={"precision": "bf16", "threads": 0})
    return model, training, options.run / "stages"


def budget(
    options: argparse.Namespace, model: ModelConfig, training: TrainConfig, stages: Path, peer: Peer, scratch: Path
) -> tuple[int, TrainConfig]:
    """Return open_clip's epochs, and the training with as many steps as were asked for or fit into the minutes.

    An epoch of open_clip's is about one pass over the pairs; all are of equal length, and so the steps are rounded.
    """
    steps = options.steps or training.steps
    if options.minutes:
        trial = training.model_copy(update={"steps": TRIAL, "checkpoint_every": TRIAL})
        started = time.monotonic()
        train(model, trial, stages, scratch / "trial")
        train_peer(peer, stages, steps=TRIAL, batch=training.batch_size, bf16=True, learning_rate=0.0)
        steps = max(1, int(60 * options.minutes / options.seeds / (time.monotonic() - started) * TRIAL))
    pairs = sum(len(part) for part in open_stages(stages).stages)
    epochs = max(1, round(steps * training.batch_size / pairs))
    steps = epochs * -(-steps // epochs)
    return epochs, training.model_copy(update={"steps": steps, "checkpoint_every": steps})


def train_ours(
    model: ModelConfig, training: TrainConfig, stages: Path, out: Path, config: ScoreConfig
) -> dict[str, Any]:
    """Train ours as ``essen train`` does and score it."""
    started = time.monotonic()
    train(model, training, stages, out)
    seconds = time.monotonic() - started
    return {"seconds": seconds, "scores": score(str(out / "models" / model.name), [stages], config)}


def train_theirs(
    peer: Peer, training: TrainConfig, stages: Path, out: Path, config: ScoreConfig, **asked: Any
) -> dict[str, Any]:
    """Train theirs as open_clip's command does, with what `train_peer` is asked for beside, and score it."""
    started = time.monotonic()
    model, clock = train_peer(peer, stages, steps=training.steps, batch=training.batch_size, bf16=True, **asked)
    seconds = time.monotonic() - started
    save_peer(model, peer, out)
    return {
        "seconds": seconds,
        "last_loss": clock.losses[-1],
        "scores": score(f"{OPEN_CLIP}{out}", [stages], config),
    }


def table(record: dict[str, Any]) -> list[str]:
    """Return a line for every score, ours beside theirs."""
    ours, theirs = ([rows(seed[side]["scores"]) for seed in record["seeds"]] for side in ("ours", "theirs"))
    lines = [f"{'set':14}{'measure':38}{'scorer':9}{'ours':>26}{'theirs':>26}"]
    for key in ours[0] | theirs[0]:
        name, measure, scorer = key
        sides = (shown(side[key] for side in each if key in side) for each in (ours, theirs))
        lines.append(f"{name:14}{measure:38}{scorer:9}" + "".join(f"{side:>26}" for side in sides))
    return lines


def rows(scores: dict[str, Any]) -> dict[Row, dict[str, Any]]:
    """Return a record's scores by set, measure and scorer."""
    return {
        (part["name"], entry["measure"], entry["scorer"]): entry for part in scores["sets"] for entry in part["scores"]
    }


def shown(entries: Iterable[dict[str, Any]]) -> str:
    """Return the mean of a score over the seeds with the means of its bounds; a dash where a side has none."""
    found = list(entries)
    if not found:
        return "–"
    text = f"{statistics.mean(one['value'] for one in found):.3f}"
    if any(one["interval"] is None for one in found):
        return text
    low, high = (statistics.mean(one["interval"][end] for one in found) for end in (0, 1))
    return f"{text} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
