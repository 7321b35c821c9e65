"""Linear probe: multinomial logistic regression on frozen vectors of pictures.

The loss is the mean cross-entropy plus λ/2 times the squared norm of the weights, biases excepted. It is convex, so
it is solved to its end (L-BFGS in double precision) and has no seed. It is that of scikit-learn's
``LogisticRegression(C=1/(λN))``, which is not used here, so that scores do not depend on what is installed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from essen.computing import threads
from essen.evaluate.controls import held_out_groups
from essen.evaluate.retrieval import Floats, Ints

STEPS = 500


@dataclass(frozen=True, slots=True)
class Probe:
    """A fitted probe.

    Attributes:
        weights: (F, C).
        bias: (C,).
        mean, deviation: (F,) by which vectors are standardised.
    """

    weights: Floats
    bias: Floats
    mean: Floats
    deviation: Floats

    def logits(self, vectors: Floats) -> Floats:
        """Return (N, C) scores of (N, F) vectors."""
        result: Floats = (vectors - self.mean) / self.deviation @ self.weights + self.bias
        return result


def fit_probe(vectors: Floats, labels: Ints, classes: int, strength: float) -> Probe:
    """Fit a probe.

    Args:
        vectors: (N, F).
        labels: (N,) in 0..C-1.
        classes: C; a class without a vector is possible.
        strength: λ > 0.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    deviation = np.maximum(vectors.std(axis=0, dtype=np.float64), 1e-6)
    inputs = torch.from_numpy((vectors - mean) / deviation)
    targets = torch.from_numpy(labels)
    weights = torch.zeros(vectors.shape[1], classes, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights, bias], max_iter=STEPS, tolerance_grad=1e-7, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(inputs @ weights + bias, targets) + strength / 2 * weights.square().sum()
        value.backward()
        return value

    with threads(1):
        optimiser.step(loss)
    return Probe(weights.detach().numpy(), bias.detach().numpy(), mean, deviation)


def choose_probe(
    vectors: Floats,
    labels: Ints,
    groups: list[str],
    classes: int,
    strengths: Sequence[float],
    rng: np.random.Generator,
) -> Probe:
    """Fit a probe with the strength that is right most often on a fifth of the groups; of equal ones the strongest."""
    watched = held_out_groups(groups, 0.2, rng).astype(np.bool_)
    best, best_hits = max(strengths), -1.0
    if watched.any() and len(set(strengths)) > 1:
        for strength in sorted(strengths, reverse=True):
            probe = fit_probe(vectors[~watched], labels[~watched], classes, strength)
            hits = float((probe.logits(vectors[watched]).argmax(axis=1) == labels[watched]).mean())
            if hits > best_hits:
                best, best_hits = strength, hits
    return fit_probe(vectors, labels, classes, best)
