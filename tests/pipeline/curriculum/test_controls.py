import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.curriculum.controls import NAMES, control_permutations

sizes = st.lists(st.integers(1, 30), min_size=1, max_size=5)


def stages_of(lengths: list[int]) -> np.ndarray:
    return np.repeat(np.arange(1, len(lengths) + 1), lengths)


def frequency_of(count: int) -> np.ndarray:
    frequency = np.random.default_rng(count).integers(0, 6, count).astype(float)
    frequency[::7] = np.nan
    return frequency


@given(sizes, st.integers(1, 12), st.integers(0, 3))
def test_every_control_is_a_permutation(lengths: list[int], bins: int, seed: int) -> None:
    stages = stages_of(lengths)
    controls = control_permutations(stages, frequency_of(len(stages)), bins=bins, seed=seed)
    assert tuple(controls) == NAMES
    for permutation in controls.values():
        assert sorted(permutation) == list(range(len(stages)))


@given(sizes, st.integers(0, 3))
def test_what_each_control_keeps(lengths: list[int], seed: int) -> None:
    stages = stages_of(lengths)
    frequency = frequency_of(len(stages))
    controls = control_permutations(stages, frequency, bins=3, seed=seed)
    assert (stages[controls["shuffled"]] == stages).all()
    assert (controls["reversed"] == np.arange(len(stages))[::-1]).all()
    matched = frequency[controls["frequency"]]
    assert (np.isnan(matched) == np.isnan(frequency)).all()
    known = np.sort(frequency[~np.isnan(frequency)])
    parts = np.array_split(known, 3)
    width = max((part[-1] - part[0] for part in parts if len(part)), default=0.0)
    changed = np.abs(matched - frequency)[~np.isnan(frequency)]
    assert not len(changed) or changed.max() <= width


@given(sizes, st.integers(0, 20))
def test_permuted_stages_are_whole_and_never_in_their_own_place(lengths: list[int], seed: int) -> None:
    stages = stages_of(lengths)
    permuted = control_permutations(stages, frequency_of(len(stages)), bins=3, seed=seed)["permuted"]
    blocks = [stages[permuted[0]]] + [b for a, b in itertools.pairwise(stages[permuted]) if a != b]
    assert sorted(blocks) == list(range(1, len(lengths) + 1))
    assert len(lengths) == 1 or all(block != place for place, block in enumerate(blocks, start=1))
    for block in blocks:
        assert (np.diff(permuted[stages[permuted] == block]) == 1).all()


def test_controls_depend_on_the_seed_alone() -> None:
    stages = stages_of([20] * 6)
    frequency = frequency_of(120)
    one = control_permutations(stages, frequency, bins=5, seed=1)
    again = control_permutations(stages, frequency, bins=5, seed=1)
    other = control_permutations(stages, frequency, bins=5, seed=2)
    for name in NAMES:
        assert (one[name] == again[name]).all()
        assert name == "reversed" or (one[name] != other[name]).any()
