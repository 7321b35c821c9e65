"""Random numbers that depend on a seed and a step alone, so that there is no generator state to lose."""

import numpy as np
import torch

# One number for each use, so that no two draws of a step share their stream.
AUGMENT, FUSION, MASK, DROPOUT, TARGET = range(5)


def generator_for(seed: int, step: int, use: int) -> torch.Generator:
    """Return a new generator for one use at one step."""
    drawn = int(np.random.SeedSequence([seed, step, use]).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator().manual_seed(drawn)
