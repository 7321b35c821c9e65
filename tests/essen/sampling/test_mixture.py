from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from toy_learner import make_columns, make_sampler

from essen.config import SamplingConfig
from essen.errors import StagesError
from essen.sampling.mixture import MixtureSampler

COLUMNS = make_columns(300)


def sampler_of(mixture: list[dict[str, Any]], **further: Any) -> MixtureSampler:
    config = SamplingConfig.model_validate({"kind": "mixture", "mixture": mixture, **further})
    sampler, _, _ = make_sampler(config, COLUMNS, batch_size=20, steps=100)
    assert isinstance(sampler, MixtureSampler)
    return sampler


def test_weights_change_evenly_between_moments_and_stand_still_outside() -> None:
    sampler = sampler_of([{"at": 0.2, "weights": {"drawings": 2}}, {"at": 0.6, "weights": {"drawings": 1, "books": 1}}])
    books = [sampler.shares(step)[0] for step in (0, 20, 30, 40, 60, 99)]
    assert books == pytest.approx([0, 0, 0.125, 0.25, 0.5, 0.5])
    assert sampler.report(40)["shares"] == {"books": 0.25, "drawings": 0.75, "stamps": 0.0}
    for step in range(100):
        batch = sampler.batch(step)
        share = (COLUMNS.corpora[batch] == "books").mean()
        assert abs(share - sampler.shares(step)[0]) <= 1 / 20 and "stamps" not in COLUMNS.corpora[batch]


def test_sources_may_be_stages() -> None:
    sampler = sampler_of([{"at": 0, "weights": {"s1": 1}}, {"at": 1, "weights": {"s1": 1, "s3": 3}}], sources="stage")
    assert set(COLUMNS.stages[sampler.batch(0)]) == {1}
    assert (COLUMNS.stages[sampler.batch(99)] == 3).sum() in (14, 15)
    assert np.isin(COLUMNS.stages[sampler.batch(50)], (1, 3)).all()


def test_a_source_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(StagesError, match="no source words; the sources are books, drawings, stamps"):
        sampler_of([{"at": 0, "weights": {"words": 1}}])


@pytest.mark.parametrize(
    ("mixture", "message"),
    [
        ([], "give the weights"),
        ([{"at": 0.5, "weights": {"a": 1}}, {"at": 0.1, "weights": {"a": 1}}], "rising order"),
        ([{"at": 0, "weights": {"a": 0}}], "no source has a weight"),
        ([{"at": 0, "weights": {"a": -1, "b": 2}}], "from 0 upwards"),
        ([{"at": 0, "weights": {"a": float("inf")}}], "from 0 upwards"),
    ],
)
def test_weights_that_are_no_shares_are_refused(mixture: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SamplingConfig.model_validate({"kind": "mixture", "mixture": mixture})
