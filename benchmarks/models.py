"""What the named configurations cost on this processor: latency of one pair, and pairs a second in batches.

    python benchmarks/models.py [--rounds 20] [--batch 32] [essen-nano ...]

Latency is at batch 1 on one thread, as `essen models --latency` prints it. Pairs a second are of both towers and the
match together, at the given batch on all threads, with the share of the processor's matrix-product rate that this is.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from essen.config import ModelConfig
from essen.model import build_model
from essen.overview import PIECES, Entry, markdown, overview
from essen.presets import PRESETS


def seconds(use: Callable[[], object], rounds: int) -> float:
    """Return the median time of a call."""
    use()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        use()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def peak(rounds: int) -> float:
    """Return the GFLOPs a second of a large matrix product in float32."""
    square = torch.rand(1536, 1536)
    return 2 * 1536**3 / seconds(lambda: square @ square, rounds) / 1e9


@torch.inference_mode()
def pairs_per_second(entry: Entry, batch: int, rounds: int) -> float:
    config = ModelConfig.model_validate(entry.name)
    vocab_size = config.text.vocab_size if config.text.kind == "own" else config.text.architecture["vocab_size"]
    model = build_model(config, vocab_size, seed=0, pretrained=False).to(memory_format=torch.channels_last).eval()
    pixels = torch.zeros(batch, 3, config.image_size, config.image_size, dtype=torch.uint8)
    ids, mask = torch.full((batch, PIECES), vocab_size - 1), torch.ones(batch, PIECES, dtype=torch.bool)
    return batch / seconds(lambda: model.match(model.encode_images(pixels), model.encode_texts(ids, mask)), rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(PRESETS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    entries = overview(options.names, latency=True, rounds=options.rounds)
    print("\n".join(markdown(entries)), flush=True)
    rate = peak(options.rounds)
    print(f"\n{torch.get_num_threads()} threads, matrix products at {rate:.0f} GFLOPs a second")
    for entry in entries:
        speed = pairs_per_second(entry, options.batch, max(3, options.rounds // 4))
        share = speed * (entry.towers_flops + entry.match_flops) / 1e9 / rate
        print(f"{entry.name:<15} {speed:8.1f} pairs/s at batch {options.batch}, {100 * share:.0f} % of that rate")


if __name__ == "__main__":
    main()
