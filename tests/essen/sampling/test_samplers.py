from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from essen.config import SamplingConfig
from essen.sampling.random import CaptionStream, RandomSampler
from essen.sampling.staged import StagedSampler, build_sampler

CAPTIONS = st.lists(st.integers(0, 12), min_size=1, max_size=60).map(lambda codes: np.array(codes, dtype=np.int64))


@given(CAPTIONS, st.integers(1, 20), st.integers(1, 3), st.integers(0, 5))
def test_batches_are_exact_pure_and_distinct_where_they_can_be(
    captions: np.ndarray, size: int, together: int, seed: int
) -> None:
    def stream() -> CaptionStream:
        return CaptionStream(np.arange(len(captions)), captions, size=size, together=together, seed=(seed,))

    first, second = stream(), stream()
    forwards = [first.batch(number) for number in range(12)]
    backwards = [second.batch(number) for number in reversed(range(12))][::-1]
    enough = np.minimum(np.bincount(captions), together).sum()
    for one, other in zip(forwards, backwards, strict=True):
        assert one.tolist() == other.tolist()
        assert len(one) == size and set(one) <= set(range(len(captions)))
        assert len(set(one.tolist())) == min(size, len(captions))
        if size <= enough:
            assert max(Counter(captions[one].tolist()).values()) <= together


@settings(max_examples=25)
@given(CAPTIONS, st.integers(1, 20), st.integers(1, 3))
def test_every_row_comes_in_time(captions: np.ndarray, size: int, together: int) -> None:
    stream = CaptionStream(np.arange(len(captions)), captions, size=size, together=together, seed=(3,))
    seen: set[int] = set()
    for number in range(1000):
        seen.update(stream.batch(number).tolist())
    assert seen == set(range(len(captions)))


def test_a_pass_visits_every_caption_evenly() -> None:
    captions = np.array([0] * 10 + [1] * 3 + [2, 3, 4, 5])
    stream = CaptionStream(np.arange(len(captions)), captions, size=6, together=1, seed=(0,))
    assert all(sorted(captions[stream.batch(number)]) == [0, 1, 2, 3, 4, 5] for number in range(20))


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 12)), min_size=1, max_size=60),
    st.integers(1, 16),
    st.integers(1, 40),
    st.floats(0, 1),
    st.floats(0, 0.9),
)
def test_staged_batches_are_exact_pure_and_never_ahead_of_their_stage(
    rows: list[tuple[int, int]], size: int, steps: int, uniform_from: float, replay: float
) -> None:
    stages, captions = np.array(rows, dtype=np.int64).T
    config = SamplingConfig(uniform_from=uniform_from, replay=replay)

    def sampler() -> StagedSampler:
        return StagedSampler(stages, captions, batch_size=size, steps=steps, config=config, seed=1)

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
            assert stages[batch].max() == stage or round(size * replay) == size
            old = (stages[batch] < stage).sum()
            assert old in (0, round(size * replay))
    assert straight.stage(steps) == 0


def test_the_stages_open_in_turn_and_the_last_phase_is_uniform() -> None:
    stages, captions = np.repeat([1, 2, 3], 20), np.arange(60)
    config = SamplingConfig(uniform_from=0.6, replay=0.25)
    sampler = StagedSampler(stages, captions, batch_size=8, steps=100, config=config, seed=0)
    assert [sampler.stage(step) for step in (0, 19, 20, 39, 40, 59, 60, 99)] == [1, 1, 2, 2, 3, 3, 0, 0]
    second = np.concatenate([stages[sampler.batch(step)] for step in range(20, 40)])
    assert Counter(second.tolist()) == {2: 120, 1: 40}
    last = Counter(np.concatenate([stages[sampler.batch(step)] for step in range(60, 99)]).tolist())
    assert all(count > 80 for count in last.values()) and len(last) == 3


def test_replay_leaves_out_what_the_new_stage_has_too() -> None:
    stages, captions = np.array([1, 1, 1, 1, 2, 2, 2, 2]), np.array([0, 1, 2, 3, 0, 1, 4, 5])
    config = SamplingConfig(uniform_from=1.0, replay=0.5, images_per_caption=1)
    sampler = StagedSampler(stages, captions, batch_size=4, steps=40, config=config, seed=0)
    for step in range(20, 40):
        assert max(Counter(captions[sampler.batch(step)].tolist()).values()) == 1


def test_other_seeds_give_other_batches() -> None:
    captions = np.arange(100)
    one, other = (RandomSampler(captions, batch_size=10, together=1, seed=seed).batch(0) for seed in (0, 1))
    assert one.tolist() != other.tolist()


def test_the_configuration_chooses_the_sampler() -> None:
    stages, captions = np.array([1, 2]), np.array([0, 1])
    kinds = [
        type(build_sampler(SamplingConfig(kind=kind), stages, captions, batch_size=1, steps=9, seed=0)).__name__
        for kind in ("random", "staged")
    ]
    assert kinds == ["RandomSampler", "StagedSampler"]
