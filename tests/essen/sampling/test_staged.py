from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essen.config import SamplingConfig
from essen.sampling.draw import BatchRule
from essen.sampling.staged import PacedSampler, StagedSampler


def staged(
    stages: np.ndarray, captions: np.ndarray, *, size: int, steps: int, images: np.ndarray | None = None, **config: Any
) -> StagedSampler:
    exposure = config.pop("exposure", None)
    sampling = SamplingConfig.model_validate(config)
    rows = np.arange(len(stages))
    rule = BatchRule.of(rows if images is None else images, captions, size=size, together=sampling.images_per_caption)
    return StagedSampler(rows, stages, rule, steps=steps, config=sampling, seed=0, exposure=exposure)


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 12), st.integers(0, 30)), min_size=1, max_size=60),
    st.integers(1, 16),
    st.integers(1, 40),
    st.floats(0, 1),
    st.floats(0, 0.9),
    st.sampled_from(["linear", "root", "geometric", "competence"]),
)
def test_batches_are_exact_pure_and_never_ahead_of_their_stage(
    rows: list[tuple[int, int, int]], size: int, steps: int, uniform_from: float, replay: float, pacing: str
) -> None:
    stages, captions, images = np.array(rows, dtype=np.int64).T

    def sampler() -> StagedSampler:
        config = {"uniform_from": uniform_from, "replay": replay, "pacing": {"kind": pacing}}
        return staged(stages, captions, images=images, size=size, steps=steps, **config)

    straight, resumed = sampler(), sampler()
    halfway = steps // 2
    batches = [straight.batch(step) for step in range(steps)]
    assert [b.tolist() for b in batches[halfway:]] == [resumed.batch(s).tolist() for s in range(halfway, steps)]
    newest = 0
    for step, batch in enumerate(batches):
        stage = straight.stage(step)
        assert batch.shape == (size,) and batch.min() >= 0 and batch.max() < len(rows)
        assert stage == 0 or stage >= newest
        newest = stage or len(rows)
        if stage:
            assert stages[batch].max() == stage
            assert (stages[batch] < stage).sum() in (0, min(round(size * replay), size - 1))
    assert straight.stage(steps) == 0


def test_the_stages_open_in_turn_and_the_last_phase_is_uniform() -> None:
    stages, captions = np.repeat([1, 2, 3], 20), np.arange(60)
    sampler = staged(stages, captions, size=8, steps=100, uniform_from=0.6)
    assert [sampler.stage(step) for step in (0, 19, 20, 39, 40, 59, 60, 99)] == [1, 1, 2, 2, 3, 3, 0, 0]
    second = np.concatenate([stages[sampler.batch(step)] for step in range(20, 40)])
    assert Counter(second.tolist()) == {2: 120, 1: 40}
    last = Counter(np.concatenate([stages[sampler.batch(step)] for step in range(60, 99)]).tolist())
    assert all(count > 80 for count in last.values()) and len(last) == 3


def test_a_root_pace_opens_the_later_stages_earlier_and_a_schedule_when_it_says() -> None:
    stages, captions = np.repeat([1, 2, 3, 4], 20), np.arange(80)
    root = staged(stages, captions, size=8, steps=100, uniform_from=1, pacing={"kind": "root", "root": 2})
    assert [next(t for t in range(101) if root.stage(t) == stage) for stage in (1, 2, 3, 4, 0)] == [0, 7, 25, 57, 100]
    schedule = [[0.1, 0.5], [0.5, 0.75]]
    fixed = staged(stages, captions, size=8, steps=100, pacing={"kind": "step", "schedule": schedule}, uniform_from=0.8)
    assert [fixed.stage(t) for t in (0, 7, 8, 39, 40, 79, 80)] == [1, 1, 3, 3, 4, 4, 0]


def test_pool_and_replay_follow_the_curriculum_unless_the_configuration_says_otherwise() -> None:
    stages, captions = np.repeat([1, 2], 40), np.arange(80)

    def old_share(**config: Any) -> float:
        sampler = staged(stages, captions, size=8, steps=100, uniform_from=1, **config)
        return float(np.mean([(stages[sampler.batch(step)] == 1).mean() for step in range(50, 100)]))

    declared = {"pool": "disjoint", "replay": 0.5, "word_budget": None}
    assert old_share() == 0.25 and old_share(exposure=declared) == 0.5
    assert old_share(exposure=declared, replay=0) == 0.0
    assert old_share(exposure={"pool": "cumulative", "replay": 0.5}) == pytest.approx(0.5, abs=0.02)
    assert old_share(exposure={**declared, "replay": 0.125}, pool="cumulative") == pytest.approx(0.5, abs=0.02)


def test_replay_leaves_out_captions_and_pictures_that_the_new_stage_has_too() -> None:
    stages, captions = np.array([1, 1, 1, 1, 2, 2, 2, 2]), np.array([0, 1, 2, 3, 0, 1, 4, 5])
    sampler = staged(stages, captions, size=4, steps=40, uniform_from=1, replay=0.5, images_per_caption=1)
    for step in range(20, 40):
        assert max(Counter(captions[sampler.batch(step)].tolist()).values()) == 1
    images = np.concatenate([np.arange(30), np.arange(30)])
    stages = np.repeat([1, 2], 30)
    sampler = staged(stages, np.arange(60), images=images, size=10, steps=60, uniform_from=1, replay=0.4)
    for step in range(30, 60):
        batch = sampler.batch(step)
        assert len(set(images[batch].tolist())) == 10 and (stages[batch] == 1).sum() == 4


def paced(difficulty: np.ndarray, *, size: int, steps: int, **pacing: Any) -> PacedSampler:
    rows = np.arange(len(difficulty))
    config = SamplingConfig.model_validate({"pacing": pacing, "uniform_from": 0.5})
    rule = BatchRule.of(rows, rows, size=size)
    stages = 1 + rows * 2 // len(rows)
    return PacedSampler(rows, rows[::-1], difficulty, stages[::-1], rule, steps=steps, config=config, seed=0)


def test_along_the_order_the_open_part_grows_from_its_beginning_to_all() -> None:
    sampler = paced(np.zeros(200), size=4, steps=100, over="rank", kind="competence", start=0.1)
    sizes = [len(sampler.open_rows(step)) for step in range(51)]
    assert sizes[0] == 20 and sizes[-1] == 200 and sizes == sorted(sizes)
    assert sampler.open_rows(0).tolist() == list(range(199, 179, -1))
    assert all(set(sampler.batch(step)) <= set(sampler.open_rows(step)) for step in range(50))
    assert [sampler.stage(step) for step in (0, 49, 50)] == [1, 2, 0]


def test_samples_of_one_difficulty_open_together_and_at_least_a_batch_is_open() -> None:
    difficulty = np.repeat([0.3, 0.2, 0.1], [10, 80, 10])
    sampler = paced(difficulty, size=4, steps=100, over="difficulty", start=0.05)
    assert [len(sampler.open_rows(step)) for step in (0, 40, 44, 50)] == [10, 10, 10, 100]
    assert set(difficulty[sampler.open_rows(49)]) == {0.1, 0.2}
    larger = paced(difficulty, size=12, steps=100, over="difficulty", start=0.05)
    assert len(larger.open_rows(0)) == 90
