"""What every sampler promises, whatever it samples by."""

import itertools
import json
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_learner import drive, make_columns, make_sampler

from essen.config import SamplingConfig
from essen.data import rank_rows
from essen.sampling.sampler import Sampler

TONICS = {"every": 3, "pairs": 2, "threshold": 0.7, "patience": 20}
KINDS = {
    "random": {"kind": "random"},
    "staged": {"kind": "staged", "uniform_from": 0.5},
    "cumulative": {"kind": "staged", "uniform_from": 0.5, "pool": "cumulative"},
    "rank": {"kind": "staged", "uniform_from": 0.5, "pacing": {"over": "rank", "kind": "competence"}},
    "difficulty": {"kind": "staged", "uniform_from": 0.5, "pacing": {"over": "difficulty", "unit": 0.1}},
    "tonics": {"kind": "tonics", "tonics": TONICS},
    "tonics-shuffled": {"kind": "tonics", "tonics": {**TONICS, "tree": "shuffled"}},
    "tonics-leaves": {"kind": "tonics", "tonics": {**TONICS, "tree": "leaves"}},
    "tonics-reversed": {"kind": "tonics", "tonics": {**TONICS, "tree": "reversed"}},
    "adaptive": {"kind": "adaptive", "adaptive": {"every": 3, "pairs": 3}},
    "learnability": {"kind": "learnability", "learnability": {"reference": "m", "filtered": 0.6, "chunks": 3}},
    "mixture": {
        "kind": "mixture",
        "mixture": [
            {"at": 0.2, "weights": {"drawings": 1}},
            {"at": 0.8, "weights": {"drawings": 1, "books": 2, "stamps": 1}},
        ],
    },
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def config_of(kind: str, **further: object) -> SamplingConfig:
    return SamplingConfig.model_validate({**KINDS[kind], **further})


@every_kind
@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 99),
    count=st.integers(200, 320),
    size=st.integers(1, 6),
    spare=st.integers(0, 100),
    held_out=st.sampled_from([0.1, 0.3]),
    allow=st.booleans(),
)
def test_batches_are_whole_valid_pure_and_never_of_held_out_pictures(
    kind: str, seed: int, count: int, size: int, spare: int, held_out: float, allow: bool
) -> None:
    columns = make_columns(count, pictures=count - spare, seed=seed)
    config = config_of(kind, held_out=held_out, allow_same_image=allow)
    sampler, rows, out = make_sampler(config, columns, batch_size=size, steps=30, seed=seed)
    assert sorted([*rows, *out]) == list(range(count)) and len(out) >= held_out * count / 2
    assert not set(columns.images[rows]) & set(columns.images[out])
    again, _, _ = make_sampler(config, columns, batch_size=size, steps=30, seed=seed)
    batches = drive(sampler, range(36))
    assert batches == drive(again, range(36)) and sampler.batch(35).tolist() == batches[35]
    for batch in batches:
        assert len(batch) == size and set(batch) <= set(rows.tolist())
        assert len(set(batch)) == size
        if not allow:
            assert len(set(columns.images[batch])) == size
        assert max(Counter(columns.captions[batch].tolist()).values()) <= 2


@every_kind
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 99), first=st.integers(0, 59), second=st.integers(0, 59))
def test_a_state_goes_through_json_twice_in_a_row(kind: str, seed: int, first: int, second: int) -> None:
    columns, config = make_columns(seed=seed), config_of(kind)
    straight, _, _ = make_sampler(config, columns, seed=seed)
    expected = drive(straight, range(60))
    sampler, found = make_sampler(config, columns, seed=seed)[0], []
    for start, until in itertools.pairwise([0, *sorted([first, second]), 60]):
        sampler = revived(sampler, config, seed)
        found += drive(sampler, range(start, until))
    assert found == expected and sampler.state_dict() == straight.state_dict()


def revived(sampler: Sampler, config: SamplingConfig, seed: int) -> Sampler:
    """Return what another process makes of a sampler's state."""
    state = json.dumps(sampler.state_dict(), allow_nan=False)
    new, _, _ = make_sampler(config, make_columns(seed=seed), seed=seed)
    new.load_state_dict(json.loads(state))
    return new


@every_kind
def test_every_row_that_may_be_drawn_is_drawn_in_time(kind: str) -> None:
    # Every node of the ontology can fill a batch of 3, so every row belongs to a leaf.
    sampler, rows, _ = make_sampler(config_of(kind), make_columns(240, pictures=200), batch_size=3)
    seen = {row for batch in drive(sampler, range(1600)) for row in batch}
    assert seen == set(rows.tolist())


@every_kind
def test_other_seeds_give_other_batches(kind: str) -> None:
    columns, config = make_columns(), config_of(kind)
    one, other = (make_sampler(config, columns, seed=seed)[0] for seed in (0, 1))
    assert drive(one, range(5)) != drive(other, range(5))


@every_kind
@pytest.mark.parametrize("batch_size", [60, 200])
def test_too_few_rows_for_a_batch_are_repeated(kind: str, batch_size: int) -> None:
    if kind.startswith("tonics"):
        return  # a node that cannot fill a batch is no node, see test_tonics
    columns = make_columns(60, pictures=40)
    sampler, rows, _ = make_sampler(config_of(kind), columns, batch_size=batch_size)
    for batch in drive(sampler, range(60)):
        assert len(batch) == batch_size and set(batch) <= set(rows.tolist())
    assert len(set(columns.images[batch])) == len(set(columns.images[rows]))


@every_kind
def test_batches_resumed_at_twenty_places_are_the_same(kind: str) -> None:
    config, steps = config_of(kind), 800  # ten thousand in benchmarks/sampling.py
    straight, _, _ = make_sampler(config, make_columns())
    places = sorted(random.Random(3).sample(range(steps), 20))  # noqa: S311
    sampler = make_sampler(config, make_columns())[0]
    for start, until in itertools.pairwise([0, *places, steps]):
        sampler = revived(sampler, config, 0)
        for step in range(start, until):
            assert drive(sampler, range(step, step + 1)) == drive(straight, range(step, step + 1)), step


@every_kind
@pytest.mark.parametrize("world", [1, 2, 4])
def test_the_ranks_batches_are_the_global_batch(kind: str, world: int) -> None:
    columns, config = make_columns(seed=3), config_of(kind)
    alone = drive(make_sampler(config, columns, seed=3)[0], range(20))
    each = [drive(make_sampler(config, columns, seed=3)[0], range(20)) for _ in range(world)]
    for step, batch in enumerate(alone):
        parts = [rank_rows(np.array(batches[step]), rank, world) for rank, batches in enumerate(each)]
        assert np.concatenate(parts).tolist() == batch and {len(part) for part in parts} == {8 // world}
