"""Batches through a curriculum: stage by stage, or along the order from its beginning; at last everything."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from essen.config import SamplingConfig
from essen.sampling.draw import BatchRule, draw, fitting, redraw
from essen.sampling.pacing import pace
from essen.sampling.sampler import PACED, REPLAY, BaseSampler, Floats, Rows, generator
from essen.sampling.streams import CaptionStream

REPLAYED = 0.25  # share of a batch, where neither the configuration nor the curriculum says one


@dataclass(frozen=True, slots=True)
class Phase:
    """A run of steps with the same streams: `stage` is the newest open one, 0 in the last, uniform phase.

    Attributes:
        replayed: rows of earlier stages, (n,), and `replay` the stream over them; None where there is none.
    """

    start: int
    stage: int
    stream: CaptionStream
    replay: CaptionStream | None
    replayed: Rows


class StagedSampler(BaseSampler):
    """Staged pacing.

    The stages are levels 1 … K of a pace that ends on level K + 1, where all rows are drawn alike, at `uniform_from` of
    the steps; so at a linear pace stage k is new from (k-1)/K of that time on. Of disjoint stages the newest is drawn,
    with a share `replay` from those before it, without the captions that the newest has too; of cumulative ones all
    that are open alike.

    Args:
        rows: those that may be drawn, (n,).
        stages: the stage of every row there is, from 1 upwards; a stage without rows is passed over.
        rule: of the batches.
        steps: length of the training.
        config: pacing.
        exposure: what the curriculum declares, ``pool`` and ``replay``.
        seed: of all draws.
    """

    def __init__(
        self,
        rows: Rows,
        stages: Rows,
        rule: BatchRule,
        *,
        steps: int,
        config: SamplingConfig,
        seed: int,
        exposure: Mapping[str, Any] | None = None,
    ) -> None:
        declared = {"pool": "disjoint", "replay": REPLAYED, **(exposure or {})}
        cumulative = (config.pool or declared["pool"]) == "cumulative"
        replay = 0.0 if cumulative else declared["replay"] if config.replay is None else config.replay
        self._rule, self._seed = rule, seed
        numbers = np.unique(stages[rows]).tolist()
        total = round(steps * config.uniform_from)
        levels = [int(pace(config.pacing, step, total, 1, len(numbers) + 1, 1)) for step in range(total + 1)]
        phases = []
        for level, stage in enumerate(numbers, start=1):
            if level in levels:
                phases.append(self._phase_of(levels.index(level), rows, stages, stage, cumulative, replay))
        everything = CaptionStream(rows, rule, seed=(seed, 0))
        self._phases = [*phases, Phase(total, 0, everything, None, rows[:0])]

    def _phase_of(self, start: int, rows: Rows, stages: Rows, stage: int, cumulative: bool, replay: float) -> Phase:
        own = stages[rows]
        new = rows[own <= stage] if cumulative else rows[own == stage]
        captions = self._rule.captions
        old = rows[(own < stage) & ~np.isin(captions[rows], captions[new])]
        size = min(round(self._rule.size * replay), self._rule.size - 1) if len(old) else 0
        return Phase(
            start=start,
            stage=stage,
            stream=CaptionStream(new, self._rule, seed=(self._seed, stage, 0), size=self._rule.size - size),
            replay=CaptionStream(old, self._rule, seed=(self._seed, stage, 1), size=size) if size else None,
            replayed=old,
        )

    def batch(self, step: int) -> Rows:
        """Return the rows of a step's batch, (batch_size,) int64."""
        phase = self._phase(step)
        new = phase.stream.batch(step - phase.start)
        if phase.replay is None:
            return new
        old = phase.replay.batch(step - phase.start)
        if np.isin(self._rule.images[old], self._rule.images[new]).any():
            old = redraw(generator(self._seed, REPLAY, step), old, phase.replayed, self._rule, new)
        return np.concatenate([new, old])

    def stage(self, step: int) -> int:
        """Return the newest stage that is open at a step; 0 once all stages are one."""
        return self._phase(step).stage

    def _phase(self, step: int) -> Phase:
        return next(phase for phase in reversed(self._phases) if phase.start <= step)


class PacedSampler(BaseSampler):
    """Pacing along the order: at every step the batch is drawn evenly from its open beginning.

    At least so much is open as fills a batch. Over difficulty, samples of one difficulty open together (their place is
    the share of samples that are no harder). Once all is open, passes as in `RandomSampler` follow.

    Args:
        rows: those that may be drawn, (n,).
        places: position in the order of every row there is.
        difficulty: of every row there is; looked at only where the pace is over difficulty.
        stages: of every row there is; for the log.
        rule, steps, config, seed: as for `StagedSampler`.
    """

    def __init__(
        self,
        rows: Rows,
        places: Rows,
        difficulty: Floats,
        stages: Rows,
        rule: BatchRule,
        *,
        steps: int,
        config: SamplingConfig,
        seed: int,
    ) -> None:
        by_difficulty = config.pacing.over == "difficulty"
        keys = (places[rows], difficulty[rows]) if by_difficulty else (places[rows],)
        self._rows = rows[np.lexsort(keys)]
        values = difficulty[self._rows] if by_difficulty else np.arange(len(rows), dtype=np.float64)
        self._share = np.searchsorted(values, values, side="right") / len(rows)
        fits = np.flatnonzero(fitting(self._rows, rule))
        self._least = int(fits[min(rule.size, len(fits)) - 1]) + 1 if len(fits) >= rule.size else len(rows)
        self._newest = np.maximum.accumulate(stages[self._rows])
        self._pacing, self._total = config.pacing, round(steps * config.uniform_from)
        self._rule, self._seed = rule, seed
        self._everything = CaptionStream(rows, rule, seed=(seed, 0))

    def open_rows(self, step: int) -> Rows:
        """Return the rows that are open at a step, the easiest first."""
        pacing = self._pacing
        share = pace(pacing, step, self._total, pacing.start, 1.0, pacing.unit)
        count = int(np.searchsorted(self._share, share + 1e-12, side="right"))
        if count < self._least:
            count = int(np.searchsorted(self._share, self._share[self._least - 1], side="right"))
        return self._rows[:count]

    def batch(self, step: int) -> Rows:
        """Return the rows of a step's batch, (batch_size,) int64."""
        if step >= self._total:
            return self._everything.batch(step - self._total)
        return draw(generator(self._seed, PACED, step), self.open_rows(step), self._rule.size, self._rule)

    def stage(self, step: int) -> int:
        """Return the newest stage that is open at a step; 0 once everything is open."""
        return 0 if step >= self._total else int(self._newest[len(self.open_rows(step)) - 1])
