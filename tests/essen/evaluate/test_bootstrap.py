import numpy as np
import pytest

from essen.evaluate.bootstrap import bootstrap_means


def items(n: int) -> list[str]:
    return [str(i) for i in range(n)]


def test_the_interval_of_a_proportion_is_the_binomial_one() -> None:
    # 55 % of 500: the standard error is 2.2 points
    values = (np.arange(500) < 275).astype(float)[:, None]
    result = bootstrap_means(values, items(500), np.random.default_rng(0))
    assert result.low is not None and result.high is not None
    assert result.mean[0] == pytest.approx(0.55)
    assert result.low[0] == pytest.approx(0.55 - 1.96 * 0.0222, abs=0.006)
    assert result.high[0] == pytest.approx(0.55 + 1.96 * 0.0222, abs=0.006)
    assert (result.units, result.clustered) == (500, False)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        result = bootstrap_means(rng.random((150, 1)) < 0.3, items(150), rng, resamples=400)
        assert result.low is not None and result.high is not None
        covered += bool(result.low[0] <= 0.3 <= result.high[0])
    assert 0.89 <= covered / 200 <= 0.99


def test_whole_stories_are_drawn_so_the_interval_is_wider() -> None:
    hits = np.repeat(np.arange(20) % 2, 15)[:, None]  # all pages of a story are found, or none
    stories = [f"story {i}" for i in np.repeat(np.arange(20), 15)]
    by_item = bootstrap_means(hits, items(300), np.random.default_rng(0))
    by_story = bootstrap_means(hits, stories, np.random.default_rng(0))
    assert by_item.low is not None and by_item.high is not None
    assert by_story.low is not None and by_story.high is not None
    assert (by_story.high - by_story.low)[0] > 3 * (by_item.high - by_item.low)[0]
    assert (by_story.units, by_story.clustered) == (20, True)
    assert by_story.mean == by_item.mean


def test_the_same_generator_gives_the_same_interval_whatever_the_order_of_the_items() -> None:
    values = np.random.default_rng(2).random((60, 3))
    groups = [f"g{i % 7}" for i in range(60)]
    a = bootstrap_means(values, groups, np.random.default_rng(5))
    b = bootstrap_means(values[::-1], groups[::-1], np.random.default_rng(5))
    np.testing.assert_allclose(a.low, b.low)
    np.testing.assert_allclose(a.high, b.high)


def test_one_story_has_no_interval() -> None:
    result = bootstrap_means(np.ones((4, 1)), ["one"] * 4, np.random.default_rng(0))
    assert result.low is None and result.high is None and result.mean[0] == 1.0


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="N groups"):
        bootstrap_means(np.ones((3, 1)), ["a"], np.random.default_rng(0))
    with pytest.raises(ValueError, match="level"):
        bootstrap_means(np.ones((1, 1)), ["a"], np.random.default_rng(0), level=95)
