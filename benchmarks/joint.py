"""What a joint fusion saves against one encoder over both sequences: operations, and seconds of a forward pass.

    python benchmarks/joint.py [--rounds 20] [--batch 16] [--width 128] [--layers 4] [--cells 196] [--pieces 16]

A line for each number of joint tokens N. GFLOPs are of one pair and counted by torch; milliseconds are the median of so
many passes of a batch on one thread, the arms taking turns in every round, so that other work on the machine meets all
of them alike; the ratio is the median of the ratios of each round.
"""

import argparse
import statistics
import time

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from essen.computing import threads
from essen.config import FusionConfig, JointConfig
from essen.fusion.joint import JointFusion
from essen.fusion.merged import MergedFusion

TOKENS = (4, 8, 16, 32, 64)


def build(width: int, layers: int) -> dict[str, nn.Module]:
    """Return the arms by name, ``concat`` first, all of the same width and depth."""
    arms: dict[str, nn.Module] = {"concat": MergedFusion(FusionConfig(kind="concat", width=width, layers=layers))}
    for number in TOKENS:
        config = JointConfig(kind="joint", width=width, layers=layers, latents=number)
        arms[f"joint, N = {number}"] = JointFusion(config)
    return {name: module.eval().requires_grad_(False) for name, module in arms.items()}


def flops(module: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    """Return the FLOPs of one pair."""
    with FlopCounterMode(display=False) as counter:
        module(*(each[:1] for each in inputs))
    return counter.get_total_flops()


def seconds(module: nn.Module, inputs: tuple[Tensor, ...]) -> float:
    """Return the time of one pass."""
    started = time.perf_counter()
    module(*inputs)
    return time.perf_counter() - started


@torch.inference_mode()
def measure(options: argparse.Namespace) -> None:
    """Print a line for each arm."""
    arms = build(options.width, options.layers)
    text = torch.randn(options.batch, options.pieces, options.width)
    image = torch.randn(options.batch, options.cells, options.width)
    inputs = (text, image, torch.ones(options.batch, options.pieces, dtype=torch.bool))
    rounds = [{name: seconds(module, inputs) for name, module in arms.items()} for _ in range(options.rounds + 1)][1:]
    costs = {name: flops(module, inputs) for name, module in arms.items()}
    sizes = f"{options.layers} layers of {options.width}, batches of {options.batch}"
    print(f"{options.cells} cells, {options.pieces} pieces, {sizes}")
    for name in arms:
        median = 1000 * statistics.median(each[name] for each in rounds)
        share = statistics.median(each[name] / each["concat"] for each in rounds)
        relative = costs[name] / costs["concat"]
        print(f"{name:<14} {costs[name] / 1e9:6.3f} GFLOPs {relative:5.2f}   {median:7.1f} ms {share:5.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, usual in (("rounds", 20), ("batch", 16), ("width", 128), ("layers", 4), ("cells", 196), ("pieces", 16)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    with threads(1):
        measure(parser.parse_args())


if __name__ == "__main__":
    main()
