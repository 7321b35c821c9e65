"""Subsets as DataComp's tools read them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.remnants import remnants
from pipeline.shards.read import open_stages
from pipeline.shards.subset import read_subset, subset_array, write_subset

UIDS = st.lists(st.integers(0, 2**128 - 1).map("{:032x}".format), max_size=40)


def datacomp_key(uid: str) -> np.ndarray:
    """A uid as DataComp's resharder asks for it."""
    return np.array([divmod(int(uid, 16), 2**64)], np.dtype("u8,u8"))


@given(uids=UIDS, others=UIDS)
def test_membership_by_search_is_membership(
    tmp_path_factory: pytest.TempPathFactory, uids: list[str], others: list[str]
) -> None:
    path = tmp_path_factory.mktemp("subset") / "s.npy"
    write_subset(path, uids)
    subset = np.load(path)
    assert subset.dtype == np.dtype("u8,u8")
    assert np.array_equal(subset, np.sort(subset))
    for uid in {*uids, *others}:
        left, right = (np.searchsorted(subset, datacomp_key(uid), side)[0] for side in ("left", "right"))
        assert right - left == (uid in uids)
    assert read_subset(path).tobytes() == subset_array(uids).tobytes()


def test_subsets_of_stages_are_the_keys_of_their_shards(small_run: Path) -> None:
    stages = open_stages(small_run / "stages")
    folder = small_run / "stages/subsets"
    found = {path.stem: {f"{high:016x}{low:016x}" for high, low in np.load(path)} for path in folder.iterdir()}
    own = {part.folder.name: set(part.column("uid")) for part in stages.stages}
    assert found == {**own, "all": set().union(*own.values())}


@pytest.mark.parametrize("kind", ["words", "numbers", "pickle", "table", "cut"])
def test_another_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s.npy"
    write_subset(path, ["0" * 32])
    if kind == "words":
        path.write_text("uid")
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif kind == "pickle":
        np.save(path, np.array([object()]), allow_pickle=True)
    else:
        np.save(path, np.zeros(3) if kind == "numbers" else np.zeros((2, 2), "u8,u8"))
    with pytest.raises(DataError, match=r"s\.npy"):
        read_subset(path)


def test_what_was_taken_down_is_found_in_a_subset(tmp_path: Path) -> None:
    uids = [f"{number:032x}" for number in (1, 2**127, 2**64 + 5)]
    write_subset(tmp_path / "run/subsets/all.npy", uids)
    for uid in uids:
        assert list(remnants(tmp_path / "run", [uid, "0" * 64])) == [tmp_path / "run/subsets/all.npy"]
    assert list(remnants(tmp_path / "run", ["f" * 32, "0" * 64])) == []
