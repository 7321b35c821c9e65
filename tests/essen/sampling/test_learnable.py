import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_learner import learner, make_columns, make_sampler

from essen.config import SamplingConfig
from essen.sampling.learnable import LearnableSampler, choose_jointly
from essen.sampling.sampler import next_batch
from essen.sampling.scores import contrastive_loss, entry_losses, in_batch_accuracy, same_content


@given(
    st.integers(1, 30),
    st.integers(1, 20),
    st.integers(1, 40),
    st.sampled_from([1.0, 1e4]),
    st.sampled_from([0.0, -1e4, 1e4]),
    st.integers(0, 9),
)
def test_no_row_is_chosen_twice_whatever_the_scores(
    count: int, size: int, chunks: int, scale: float, shift: float, seed: int
) -> None:
    size = min(size, count)
    scores = scale * np.random.default_rng(seed).normal(size=(count, count)) + shift
    chosen = choose_jointly(scores, size, chunks=chunks, rng=np.random.default_rng(seed))
    again = choose_jointly(scores, size, chunks=chunks, rng=np.random.default_rng(seed))
    assert len(set(chosen.tolist())) == size and set(chosen) <= set(range(count))
    assert chosen.tolist() == again.tolist()


def test_the_first_choice_follows_the_scores_and_later_ones_their_company() -> None:
    scores = np.diag([5.0, 5.0, 0.0, 0.0])
    scores[0, 2] = scores[1, 2] = 50.0  # row 2 goes well with the others, row 3 with none
    found = [choose_jointly(scores, 3, chunks=3, rng=np.random.default_rng(seed)) for seed in range(200)]
    assert np.mean([rows[0] in (0, 1) for rows in found]) > 0.95
    assert np.mean([2 in rows[:2] for rows in found]) > 0.95
    shares = np.bincount(
        [choose_jointly(np.diag(np.log([1.0, 3.0])), 1, chunks=1, rng=np.random.default_rng(s))[0] for s in range(2000)]
    )
    assert shares[1] / 2000 == pytest.approx(0.75, abs=0.04)


def test_scores_that_are_no_numbers_count_as_nothing() -> None:
    scores = np.zeros((6, 6))
    scores[1] = np.nan
    assert sorted(choose_jointly(scores, 6, chunks=2, rng=np.random.default_rng(0))) == list(range(6))


@given(st.integers(1, 12), st.sampled_from([1.0, 1e4]), st.integers(0, 9))
def test_losses_are_finite_and_the_diagonal_is_the_contrastive_loss(size: int, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = (scale * rng.normal(size=(size, size))).astype(np.float32)
    same = same_content(np.arange(size), rng.integers(0, 9, size), rng.integers(0, 9, size))
    losses = entry_losses(logits, same)
    assert np.isfinite(losses).all() and losses.min() >= 0
    assert losses.diagonal().mean() == pytest.approx(contrastive_loss(logits, same))
    assert not losses[same & ~np.eye(size, dtype=bool)].any()


def test_equal_models_leave_nothing_to_learn_and_different_ones_do() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 8, 8)).astype(np.float32)
    same = np.eye(8, dtype=bool)
    assert not (entry_losses(one, same) - entry_losses(one, same)).any()
    assert np.abs(entry_losses(one, same) - entry_losses(other, same)).min() > 0


def test_accuracy_counts_ties_and_nothing_known_as_failures() -> None:
    same = np.eye(4, dtype=bool)
    assert in_batch_accuracy(np.eye(4, dtype=np.float32), same) == 1.0
    assert in_batch_accuracy(np.zeros((4, 4), dtype=np.float32), same) == 0.0
    assert in_batch_accuracy(np.full((4, 4), np.nan, dtype=np.float32), same) == 0.0
    # Two pairs of one caption: neither is wrong for the other.
    logits = np.array([[1, 2, 0], [2, 1, 0], [0, 0, 1]], dtype=np.float32)
    shared = same_content(np.arange(3), np.arange(3), np.array([7, 7, 8]))
    assert in_batch_accuracy(logits, np.eye(3, dtype=bool)) < 1 == in_batch_accuracy(logits, shared)


def sampler_of(batch_size: int, count: int = 240) -> LearnableSampler:
    config = SamplingConfig.model_validate({"kind": "learnability", "learnability": {"reference": "model"}})
    sampler, _, _ = make_sampler(config, make_columns(count), batch_size=batch_size)
    assert isinstance(sampler, LearnableSampler)
    return sampler


def test_the_larger_batch_has_the_declared_size_and_no_more_than_there_is() -> None:
    assert sampler_of(8).larger == 40 and [len(q.rows) for q in sampler_of(8).questions(3)] == [40, 40]
    assert sampler_of(40).larger == 80  # two pictures of each of 40 captions
    assert sampler_of(300).larger == 300


def test_what_the_learner_knows_is_passed_over() -> None:
    sampler = sampler_of(8)
    rows = sampler.questions(0)[0].rows
    known = rows % 2 == 0
    reference = 9 * np.eye(len(rows), dtype=np.float32)
    sampler.observe(0, [np.where(known, reference, 0).astype(np.float32), reference])
    assert (sampler.batch(0) % 2 == 1).sum() >= 7


def test_a_batch_is_not_to_be_had_before_its_scores() -> None:
    sampler = sampler_of(8)
    next_batch(sampler, 4, learner(4))
    with pytest.raises(RuntimeError, match="step 5"):
        sampler.batch(5)
