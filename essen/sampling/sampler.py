"""What a sampler is: a pure function of (seed, its state, step), and what the loop tells it.

A step goes::

    sampler.observe(step, [answer(question) for question in sampler.questions(step)])
    rows = sampler.batch(step)

An answer is the matrix of a model's logits between the pictures and the captions of some rows, so no sampler knows
what a model is. Nothing but `observe` changes a sampler, and ``state_dict`` is all that a resume needs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Logits = NDArray[np.float32]

# One number for each use of random numbers, so that no two draws of a step share their stream.
REPLAY, PACED, MIXTURE, NODE, MEMBERS, SHUFFLED, SOURCES, JOINT, HELD_OUT, EXAMINED, SUBSET = range(1001, 1012)


class Question(NamedTuple):
    """What a sampler asks: the logits (n, n) of a model, pictures by captions, for `rows` (n,) as they are stored."""

    rows: Rows
    of: Literal["learner", "reference"] = "learner"


class Sampler(Protocol):
    """Which rows make the batch of a step."""

    def questions(self, step: int) -> Sequence[Question]:
        """Return what must be answered before the batch of a step; for most samplers nothing at most steps."""
        ...

    def observe(self, step: int, answers: Sequence[Logits]) -> None:
        """Take in the answers, in the order of the questions; called once a step, in order."""
        ...

    def batch(self, step: int) -> Rows:
        """Return the rows of a step's batch, (batch_size,) int64."""
        ...

    def stage(self, step: int) -> int:
        """Return the newest stage that is open at a step; 0 where all stages are one."""
        ...

    def report(self, step: int) -> dict[str, Any]:
        """Return what is worth a line of the log at a step, as JSON values."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return all that `observe` has changed, as JSON values."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        ...


class BaseSampler:
    """What a sampler does that asks nothing and remembers nothing: its batches follow from seed and step alone."""

    def questions(self, step: int) -> Sequence[Question]:  # noqa: ARG002
        """Return nothing: no question."""
        return ()

    def observe(self, step: int, answers: Sequence[Logits]) -> None:
        """Do nothing."""

    def stage(self, step: int) -> int:  # noqa: ARG002
        """Return 0: all stages are open."""
        return 0

    def report(self, step: int) -> dict[str, Any]:  # noqa: ARG002
        """Return nothing."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return the empty state."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Do nothing."""


def next_batch(sampler: Sampler, step: int, answer: Callable[[Question], Logits]) -> Rows:
    """Return the rows of a step's batch (batch_size,), after what the sampler asks has been answered."""
    sampler.observe(step, [answer(question) for question in sampler.questions(step)])
    return sampler.batch(step)


def generator(seed: int, use: int, step: int) -> np.random.Generator:
    """Return a new generator for one use at one step (or pass)."""
    return np.random.default_rng([seed, use, step])
