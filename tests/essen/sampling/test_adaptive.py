from typing import Any

import numpy as np
import pytest
from toy_learner import make_columns, make_sampler

from essen.config import SamplingConfig
from essen.errors import StagesError
from essen.sampling.adaptive import AdaptiveSampler
from essen.sampling.sampler import Logits

COLUMNS = make_columns(600)


def sampler_of(seed: int = 0, **config: Any) -> AdaptiveSampler:
    sampling = SamplingConfig.model_validate({"kind": "adaptive", "adaptive": {"every": 1, **config}})
    sampler, _, _ = make_sampler(sampling, COLUMNS, batch_size=32, seed=seed)
    assert isinstance(sampler, AdaptiveSampler)
    return sampler


def teach(sampler: AdaptiveSampler, steps: int, skills: Any, noise: float, seed: int = 0) -> None:
    """Let the skill at each source follow a function of the step, measured with a little noise."""
    rng = np.random.default_rng(seed)
    for step in range(steps):
        answers: list[Logits] = []
        for number, question in enumerate(sampler.questions(step)):
            skill = skills[number](step) + noise * rng.normal()
            answers.append((skill * np.eye(len(question.rows))).astype(np.float32))
        sampler.observe(step, answers)


@pytest.mark.parametrize(("progress", "noise"), [("change", 0.005), ("fall", 0.02)])
@pytest.mark.parametrize("seed", range(5))
def test_a_source_that_cannot_be_learnt_falls_below_its_even_share(seed: int, progress: str, noise: float) -> None:
    sampler = sampler_of(seed, progress=progress)
    # In the order of their names: captions that fit nothing, what is known from the start, what is being learnt.
    teach(sampler, 30, [lambda _: 0.0, lambda _: 12.0, lambda t: 0.08 * t], noise=noise, seed=seed)
    books, drawings, stamps = sampler.shares()
    assert books < 1 / 3 and drawings < 1 / 3 and stamps > 0.5
    assert min(books, drawings) >= 0.2 / 3


@pytest.mark.parametrize("seed", range(5))
def test_equal_sources_stay_near_even_shares(seed: int) -> None:
    sampler = sampler_of(seed, smoothing=0.95)
    teach(sampler, 100, [lambda t: 3 * t / (t + 30)] * 3, noise=0.01, seed=seed)
    assert np.abs(sampler.shares() * 3 - 1).max() < 0.2


def test_a_loss_that_rises_is_a_change_but_no_fall() -> None:
    change, fall = sampler_of(), sampler_of(progress="fall")
    for sampler in (change, fall):
        teach(sampler, 20, [lambda t: -0.1 * t, lambda _: 0.0, lambda t: 0.05 * t], noise=0)
    assert change.shares()[0] > 0.5 and fall.shares()[0] == pytest.approx(0.2 / 3) and fall.shares()[2] > 0.8


def test_shares_are_even_until_every_source_was_measured_twice() -> None:
    sampler = sampler_of()
    assert sampler.shares().tolist() == [1 / 3] * 3
    teach(sampler, 1, [lambda _: 0.0] * 3, noise=1)
    assert sampler.shares().tolist() == [1 / 3] * 3
    teach(sampler, 2, [lambda _: 0.0, lambda _: 0.0, lambda t: t], noise=0)
    assert sampler.shares()[2] > 1 / 3
    assert sampler.shares().sum() == pytest.approx(1)


@pytest.mark.parametrize("temperature", [1e-3, 0.5, 1.0, 100.0])
def test_shares_keep_their_floor_at_any_temperature(temperature: float) -> None:
    sampler = sampler_of(temperature=temperature, floor=0.3)
    teach(sampler, 9, [lambda _: 0.0, lambda t: t, lambda t: 2 * t], noise=0)
    shares = sampler.shares()
    assert shares.sum() == pytest.approx(1) and shares.min() >= 0.1 - 1e-12
    assert shares.max() - shares.min() < 0.2 if temperature == 100 else shares.max() > 0.34


def test_batches_follow_the_shares() -> None:
    sampler = sampler_of()
    teach(sampler, 40, [lambda _: 0.0, lambda _: 12.0, lambda t: 0.08 * t], noise=0.005)
    rows = np.concatenate([sampler.batch(step) for step in range(200)])
    names, counts = np.unique(COLUMNS.corpora[rows].astype(str), return_counts=True)
    assert names.tolist() == ["books", "drawings", "stamps"]
    assert np.abs(counts / len(rows) - sampler.shares()).max() < 0.01


def test_a_loss_that_is_no_number_leaves_the_progress_as_it_was() -> None:
    sampler = sampler_of()
    teach(sampler, 5, [lambda t: t] * 3, noise=0.1)
    before = sampler.state_dict()
    sampler.observe(5, [np.full((len(q.rows), len(q.rows)), np.nan, np.float32) for q in sampler.questions(5)])
    assert sampler.state_dict() == before


def test_a_source_with_one_picture_is_refused_in_one_line() -> None:
    columns = make_columns(60)
    columns.corpora[:] = "books"
    columns.corpora[columns.images == 5] = "stamps"
    config = SamplingConfig(kind="adaptive")
    with pytest.raises(StagesError, match=r"source stamps .* sampling\.held_out"):
        make_sampler(config, columns)
