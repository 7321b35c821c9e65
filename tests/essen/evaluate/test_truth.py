import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from essen.evaluate.controls import halves, held_out_groups
from essen.evaluate.truth import best_threshold, crossed_hits, majority


@given(st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 0.25, 1.0, 3.0]), st.booleans()), min_size=1, max_size=12))
def test_no_threshold_is_right_more_often(items: list[tuple[float, bool]]) -> None:
    scores, labels = np.array([score for score, _ in items]), np.array([label for _, label in items])
    found = ((scores > best_threshold(scores, labels)) == labels).sum()
    values = np.unique(scores)
    cuts = [-np.inf, np.inf, *((values[:-1] + values[1:]) / 2)]
    assert found == max(((scores > cut) == labels).sum() for cut in cuts)


def test_a_threshold_is_judged_on_the_other_half_alone() -> None:
    scores, labels = np.array([0.0, 1.0, 0.0, 1.0]), np.array([False, True, True, False])
    # each half is told apart perfectly by its own threshold; those are the wrong way round for the other half
    assert crossed_hits(scores, labels, np.array([0, 0, 1, 1])).mean() <= 0.5
    assert crossed_hits(scores, np.array([False, True, False, True]), np.array([0, 0, 1, 1])).all()


def test_scores_without_meaning_stay_at_the_majority() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(4000) < 0.553
    side = halves([str(k) for k in range(4000)], rng)
    assert crossed_hits(rng.random(4000), labels, side).mean() == pytest.approx(majority(labels, side), abs=0.03)
    assert majority(labels, side) == pytest.approx(0.553, abs=0.02)


def test_whole_groups_are_dealt_into_halves() -> None:
    groups = [f"g{k % 11}" for k in range(100)]
    side = halves(groups, np.random.default_rng(3))
    assert all(len({side[k] for k in range(100) if groups[k] == name}) == 1 for name in set(groups))
    assert len({groups[k] for k in range(100) if side[k]}) == 5
    assert (side == halves(groups, np.random.default_rng(3))).all()


def test_a_held_out_share_is_never_empty_and_never_all() -> None:
    for number in (2, 3, 10):
        groups = [str(k) for k in range(number)]
        for share in (0.01, 0.5, 1.0):
            assert 0 < held_out_groups(groups, share, np.random.default_rng(0)).sum() < number
    assert held_out_groups(["one"], 0.5, np.random.default_rng(0)).sum() == 0
