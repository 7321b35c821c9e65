"""What gradient caching saves and costs: the memory and the time of one step, at once and in micro-batches.

    python benchmarks/gradient_cache.py
    python benchmarks/gradient_cache.py 4096

prints a line for each size of the micro-batches. The losses differ a little: a batch norm sees a micro-batch.
"""

import resource
import subprocess
import sys
import time

import numpy as np
import torch

from essen.config import ModelConfig, ObjectiveConfig
from essen.model import build_model
from essen.objectives.cached import backward
from essen.objectives.combine import Batch, Learner
from essen.rows import Passes
from essen.tokenizer import make_tokenizer

SIZES = (0, 256, 64)
WORDS = ("red", "green", "blue", "dog", "cat", "house", "tree", "small", "big", "old")


def measure(batch_size: int, micro_batch: int) -> str:
    """Return a line with the peak of memory above what the start took, and the processor seconds of a step."""
    config = ModelConfig(preset="essen-tiny", dropout=0.1)  # type: ignore[call-arg]
    rng = np.random.default_rng(0)
    captions = [" ".join(rng.choice(WORDS, 8)) for _ in range(batch_size)]
    tokenizer = make_tokenizer(config.text, captions)
    ids, mask, words = tokenizer.encode_words(captions, config.text.max_length)
    rows = torch.arange(batch_size)
    pixels = torch.rand(batch_size, 3, config.image_size, config.image_size)
    learner = Learner(build_model(config, tokenizer.vocab_size, seed=0).train(), tokenizer)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    passes = Passes(seed=0, step=1, bf16=False, micro_batch=micro_batch, by_row=True)
    batch = Batch(pixels, ids, mask, words, rows, rows, rows)
    values = backward(learner, batch, ObjectiveConfig(image_contrast=0), passes)
    seconds = time.process_time() - started
    mebibytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    name = micro_batch or "at once"
    cost = f"{mebibytes:7.0f} MiB  {seconds:6.1f} s of processor"
    return f"batch {batch_size}  micro-batch {name:>7}  {cost}  loss {values['loss']:.5f}"


def main() -> None:
    """Measure each size in a process of its own: memory's peak never falls."""
    batch_size = sys.argv[1] if len(sys.argv) > 1 else "1024"
    if len(sys.argv) > 2:
        print(measure(int(batch_size), int(sys.argv[2])), flush=True)
        return
    for size in SIZES:
        command = [sys.executable, __file__, batch_size, str(size)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
