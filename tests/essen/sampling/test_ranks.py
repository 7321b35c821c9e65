"""Training processes that divide a batch see together what one of them would see alone."""

import numpy as np
import pytest
from test_contract import config_of, every_kind
from toy_learner import drive, make_columns, make_sampler

from essen.data import rank_rows


@every_kind
@pytest.mark.parametrize("world", [1, 2, 4])
def test_the_ranks_batches_are_the_global_batch(kind: str, world: int) -> None:
    columns, config = make_columns(seed=3), config_of(kind)
    alone = drive(make_sampler(config, columns, seed=3)[0], range(20))
    each = [drive(make_sampler(config, columns, seed=3)[0], range(20)) for _ in range(world)]
    for step, batch in enumerate(alone):
        parts = [rank_rows(np.array(batches[step]), rank, world) for rank, batches in enumerate(each)]
        assert np.concatenate(parts).tolist() == batch and {len(part) for part in parts} == {8 // world}
