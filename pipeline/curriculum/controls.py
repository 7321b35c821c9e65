"""The orders against which an order must be compared: the same samples, the same sizes of stages, another sequence.

Each function returns a permutation (N,): the sample at position ``permutation[i]`` of the order under test takes the
place i of the control, with the stage that this place has. Nothing may be claimed for an order without them.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

NAMES = ("random", "reversed", "shuffled", "frequency", "permuted")


def control_permutations(
    stages: "np.ndarray", frequency: "np.ndarray", *, bins: int, seed: int
) -> dict[str, "np.ndarray"]:
    """Return the permutation of every control, by name.

    Args:
        stages: (N,) stage of each place of the order, rising.
        frequency: (N,) word frequency of the sample at each place; NaN where unknown.
        bins: of the frequency-matched control.
        seed: each control has a generator of its own, so one more control changes none of these.
    """
    import numpy as np

    generators = {name: np.random.default_rng([seed, number]) for number, name in enumerate(NAMES)}
    return {
        "random": random_order(len(stages), generators["random"]),
        "reversed": np.arange(len(stages))[::-1],
        "shuffled": shuffled_within(stages, generators["shuffled"]),
        "frequency": frequency_matched(frequency, bins, generators["frequency"]),
        "permuted": permuted_stages(stages, generators["permuted"]),
    }


def random_order(size: int, generator: "np.random.Generator") -> "np.ndarray":
    """Return any permutation: a curriculum must beat it to count as one."""
    return generator.permutation(size)


def shuffled_within(stages: "np.ndarray", generator: "np.random.Generator") -> "np.ndarray":
    """Return a permutation that keeps every sample in its stage: tells stages from the order inside them."""
    import numpy as np

    # A stable sort by stage of a random sequence is a random sequence within each stage.
    drawn = generator.permutation(len(stages))
    return drawn[np.argsort(stages[drawn], kind="stable")]


def frequency_matched(frequency: "np.ndarray", bins: int, generator: "np.random.Generator") -> "np.ndarray":
    """Return a permutation that exchanges places only among samples of like word frequency.

    Every stage keeps how common its words are, to the width of a bin, and loses what else made it easy: if the control
    does as well, the order was word frequency by another name. Samples of unknown frequency form a bin of their own.
    """
    import numpy as np

    permutation = np.arange(len(frequency))
    known = np.flatnonzero(~np.isnan(frequency))
    ranked = known[np.argsort(frequency[known], kind="stable")]
    for members in (*np.array_split(ranked, bins), np.flatnonzero(np.isnan(frequency))):
        permutation[members] = generator.permutation(members)
    return permutation


def permuted_stages(stages: "np.ndarray", generator: "np.random.Generator") -> "np.ndarray":
    """Return a permutation that exchanges whole stages, each in its own sequence: tells a stage from its turn.

    The stages take each other's turns in a ring that is drawn, so none has its own, unless there is only one. The
    result is cut at the sizes that the stages had in these places.
    """
    import numpy as np

    names = np.unique(stages)
    ring = generator.permutation(len(names))
    successor = np.empty(len(names), dtype=np.int64)
    successor[ring] = np.roll(ring, -1)
    return np.concatenate([np.flatnonzero(stages == name) for name in names[successor]])
