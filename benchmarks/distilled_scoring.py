"""What a dual encoder saves that a fusing model has taught: the time to score every caption with every picture.

    python benchmarks/distilled_scoring.py [--sizes 10 100 1000] [--fused 10 100] [--rounds 3]

Both models have the towers of essen-tiny; the teacher fuses tokens (lxmert, 3 layers of 192), the student means (mlp)
or nothing (cosines). Pictures and captions are encoded before, as for a search; what is timed, in seconds of the
processor on one thread, is the scoring of all pairs. With N pictures and N captions it prints the median of the rounds,
and how many times longer the teacher takes. It fails where that is less than four times at the largest number that both
score.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from essen.computing import threads
from essen.config import ModelConfig
from essen.evaluate.encoders import EssenEncoder, similarities
from essen.model import ImageFeatures, TextFeatures, build_model
from essen.tokenizer import train_tokenizer

WORDS = ("red", "green", "blue", "dog", "cat", "house", "tree", "small", "big", "old")
WANTED = 4.0


def build(fusion: dict[str, object], bf16: bool) -> EssenEncoder:
    """Return a model with random weights: the time does not depend on them."""
    config = ModelConfig.model_validate({"preset": "essen-tiny", "fusion": fusion})
    tokenizer = train_tokenizer([" ".join(WORDS)], config.text.vocab_size)
    return EssenEncoder(build_model(config, tokenizer.vocab_size, seed=0), tokenizer, 256, bf16)


def features(encoder: EssenEncoder, number: int) -> tuple[TextFeatures, ImageFeatures]:
    """Return what an encoder makes of so many captions of eight words, and pictures."""
    rng = np.random.default_rng(0)
    captions = [" ".join(rng.choice(WORDS, 8)) for _ in range(number)]
    pixels = torch.from_numpy(rng.integers(0, 256, (number, 3, 96, 96), dtype=np.uint8))
    return encoder.encode_texts(captions), encoder.encode_images(pixels)


def all_pairs(encoder: EssenEncoder, number: int) -> Callable[[], object]:
    """Return a function that scores all pairs by the encoder's fusion."""
    texts, images = features(encoder, number)
    text_rows, image_rows = (rows.ravel() for rows in np.indices((number, number)))
    return lambda: encoder.match(texts, images, text_rows, image_rows)


def cosines(encoder: EssenEncoder, number: int) -> Callable[[], object]:
    """Return a function that scores all pairs by the vectors alone."""
    texts, images = features(encoder, number)
    return lambda: similarities(texts, images)


def interleaved(uses: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median of some functions' processor seconds; they take turns."""
    taken: dict[str, list[float]] = {name: [] for name in uses}
    for _ in range(rounds):
        for name, use in uses.items():
            started = time.process_time()
            use()
            taken[name].append(time.process_time() - started)
    return {name: statistics.median(times) for name, times in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--fused", type=int, nargs="+", default=[10, 100], help="sizes that the teacher scores too")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bf16", action="store_true")
    options = parser.parse_args()
    least = 0.0
    with threads(1):
        teacher = build({}, options.bf16)
        student = build({"kind": "mlp", "width": 192}, options.bf16)
        student.match(*features(student, 2), np.arange(2), np.arange(2))
        print(f"{'pairs':>12} {'teacher':>10} {'student':>10} {'cosines':>10}   teacher / student")
        for size in sorted({*options.sizes, *options.fused}):
            uses = {"student": all_pairs(student, size), "cosines": cosines(student, size)}
            if size in options.fused:
                uses["teacher"] = all_pairs(teacher, size)
            seconds = interleaved(uses, options.rounds)
            shown = [
                f"{seconds[name]:8.4f} s" if name in seconds else "-" for name in ("teacher", "student", "cosines")
            ]
            if "teacher" in seconds:
                least = seconds["teacher"] / seconds["student"]
                shown.append(f"  {least:.0f} times; by cosines {seconds['teacher'] / seconds['cosines']:.0f}")
            print(f"{size:>5} x {size:<5}" + " ".join(f"{value:>10}" for value in shown), flush=True)
    if least < WANTED:
        sys.exit(f"the student is to be {WANTED:g} times as fast at least")


if __name__ == "__main__":
    main()
