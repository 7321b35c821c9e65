"""Random numbers that depend on a seed and a step alone, so that there is no generator state to lose."""

import contextlib
from collections.abc import Iterator

import numpy as np
import torch

# One number for each use, so that no two draws of a step share their stream.
AUGMENT, FUSION, MASK, DROPOUT, TARGET = range(5)


def generator_for(seed: int, step: int, use: int) -> torch.Generator:
    """Return a new generator for one use at one step."""
    return torch.Generator().manual_seed(_seed_for(seed, step, use))


@contextlib.contextmanager
def torch_state_for(seed: int, step: int, use: int) -> Iterator[None]:
    """Give torch's own dropout the numbers of one step, and the caller's random state back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_seed_for(seed, step, use))
        yield


def _seed_for(seed: int, step: int, use: int) -> int:
    return int(np.random.SeedSequence([seed, step, use]).generate_state(1, np.uint64)[0] >> np.uint64(1))
