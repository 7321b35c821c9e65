"""Batches through the stages of a curriculum: the newest stage, a share of the earlier ones, at last everything."""

from dataclasses import dataclass

import numpy as np

from essen.config import SamplingConfig
from essen.sampling.random import CaptionStream, RandomSampler, Rows, Sampler


@dataclass(frozen=True, slots=True)
class Phase:
    """A run of steps with the same streams: `stage` is the newest open one, 0 in the last, uniform phase."""

    start: int
    stage: int
    streams: tuple[CaptionStream, ...]


class StagedSampler:
    """Staged pacing.

    Stage k of K is new from (k-1)/K of `uniform_from` on; a share `replay` of its batches comes from the stages before
    it, without those captions that the new stage has too. From `uniform_from` on all rows are drawn alike.

    Args:
        stages: (n,) the stage of every row, from 1 upwards; a stage without rows is passed over.
        captions: (n,) equal where the captions are equal.
        batch_size: rows of a batch.
        steps: length of the training.
        config: pacing and the number of pictures of a caption that come together.
        seed: of all draws.
    """

    def __init__(
        self, stages: Rows, captions: Rows, *, batch_size: int, steps: int, config: SamplingConfig, seed: int
    ) -> None:
        numbers = sorted({int(stage) for stage in stages})
        uniform_from = round(steps * config.uniform_from)
        phases = []
        for position, stage in enumerate(numbers):
            new = np.flatnonzero(stages == stage)
            old = np.flatnonzero((stages < stage) & ~np.isin(captions, captions[new]))
            replayed = round(batch_size * config.replay) if len(old) else 0
            streams = tuple(
                CaptionStream(
                    rows,
                    captions[rows],
                    size=size,
                    together=config.images_per_caption,
                    seed=(seed, stage, part),
                )
                for part, (rows, size) in enumerate([(new, batch_size - replayed), (old, replayed)])
                if size
            )
            phases.append(Phase(start=uniform_from * position // len(numbers), stage=stage, streams=streams))
        everything = CaptionStream(
            np.arange(len(stages), dtype=np.int64),
            captions,
            size=batch_size,
            together=config.images_per_caption,
            seed=(seed, 0),
        )
        self._phases = [*phases, Phase(start=uniform_from, stage=0, streams=(everything,))]

    def batch(self, step: int) -> Rows:
        """Return the rows of a step's batch, (batch_size,) int64."""
        phase = self._phase(step)
        return np.concatenate([stream.batch(step - phase.start) for stream in phase.streams])

    def stage(self, step: int) -> int:
        """Return the newest stage that is open at a step; 0 once all stages are one."""
        return self._phase(step).stage

    def _phase(self, step: int) -> Phase:
        return next(phase for phase in reversed(self._phases) if phase.start <= step)


def build_sampler(
    config: SamplingConfig, stages: Rows, captions: Rows, *, batch_size: int, steps: int, seed: int
) -> Sampler:
    """Return the sampler that a configuration names; see `StagedSampler` for the arguments."""
    if config.kind == "random":
        return RandomSampler(captions, batch_size=batch_size, together=config.images_per_caption, seed=seed)
    return StagedSampler(stages, captions, batch_size=batch_size, steps=steps, config=config, seed=seed)
