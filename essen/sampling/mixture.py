"""Mixtures of sources whose weights change by step, evenly between declared moments."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from essen.config import MixturePoint
from essen.errors import StagesError
from essen.sampling.draw import BatchRule, draw_shares
from essen.sampling.sampler import MIXTURE, BaseSampler, Floats, Rows, generator


class MixtureSampler(BaseSampler):
    """Every batch holds the sources by their weights at that step.

    The expected number of rows of a source is exactly its share of the batch; a source that cannot fill its share is
    filled up from the others. Within a source rows are drawn evenly.

    Args:
        pools: rows of each source, by name.
        rule: of the batches.
        points: the weights by moment.
        steps: length of the training.
        seed: of all draws.

    Raises:
        StagesError: a weight names no source that has samples.
    """

    def __init__(
        self, pools: Mapping[str, Rows], rule: BatchRule, *, points: Sequence[MixturePoint], steps: int, seed: int
    ) -> None:
        for name in (name for point in points for name in point.weights):
            if name not in pools:
                raise StagesError(f"sampling.mixture: there is no source {name}; the sources are {', '.join(pools)}")
        self._names, self._pools = tuple(pools), list(pools.values())
        self._rule, self._steps, self._seed = rule, steps, seed
        self._at = np.array([point.at for point in points])
        weights = np.array([[point.weights.get(name, 0.0) for name in pools] for point in points])
        self._weights = weights / weights.sum(1, keepdims=True)

    def shares(self, step: int) -> Floats:
        """Return the share of every source at a step, (sources,), adding up to 1."""
        columns = [np.interp(step / self._steps, self._at, column) for column in self._weights.T]
        return np.array(columns) / np.sum(columns)

    def batch(self, step: int) -> Rows:
        """Return the rows of a step's batch, (batch_size,) int64."""
        return draw_shares(generator(self._seed, MIXTURE, step), self._pools, self.shares(step), self._rule)

    def report(self, step: int) -> dict[str, Any]:
        """Return the share of every source."""
        return {"shares": dict(zip(self._names, self.shares(step).round(6).tolist(), strict=True))}
