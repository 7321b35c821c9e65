"""Vectors are read back as they were written, or what is wrong with them is named."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import files
from pipeline.errors import DataError
from pipeline.measure import vectors as module
from pipeline.measure.vectors import (
    CAPTIONS,
    IMAGES,
    Side,
    appended,
    check_vectors,
    gathered,
    read_vectors,
    write_vectors,
)

HEADER = {"encoder": "toy"}


@pytest.mark.parametrize("side", [IMAGES, CAPTIONS])
def test_what_is_written_is_read_back(side: Side, tmp_path: Path) -> None:
    assert write_vectors(side, tmp_path / "new", ["a", "b"], np.eye(2, 3), HEADER) == 2
    names, vectors = read_vectors(side, tmp_path / "new")
    assert names == ["a", "b"] and np.array_equal(vectors, np.eye(2, 3, dtype=np.float32))
    assert files.read_json(tmp_path / "new/header.json") == {"encoder": "toy", "dim": 3, "rows": 2}
    assert write_vectors(side, tmp_path / "none", [], np.zeros((0, 3), np.float32), HEADER) == 0
    assert read_vectors(side, tmp_path / "none")[1].shape == (0, 3)


def test_a_vector_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    vectors = np.eye(3, dtype=np.float32)
    vectors[1, 1] = np.nan
    with pytest.raises(DataError, match=r"the encoder toy gave no finite vector for 1 pictures: b$"):
        write_vectors(IMAGES, tmp_path, ["a", "b", "c"], vectors, HEADER)
    assert not list(tmp_path.iterdir())


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    write_vectors(IMAGES, tmp_path, ["a", "b"], np.eye(2), HEADER)
    np.save(tmp_path / "image.npy", np.eye(3, dtype=np.float32))
    with pytest.raises(DataError, match=r"3 vectors for 2 pictures; remove .* and run the recipe again"):
        read_vectors(IMAGES, tmp_path)
    (tmp_path / "image.npy").write_bytes((tmp_path / "image.npy").read_bytes()[:-4])
    with pytest.raises(DataError, match=r"image\.npy is damaged"):
        read_vectors(IMAGES, tmp_path)


def test_a_complaint_names_twenty_and_counts_the_rest() -> None:
    with pytest.raises(DataError, match=r"30 vectors are .*: 0, 1, .*, 19 and 10 more$"):
        check_vectors(np.zeros((30, 2), np.float32), range(30))


def broken() -> dict[str, tuple[np.ndarray, str]]:
    good = np.eye(8, dtype=np.float32)[:6]
    nan, inf, zero, long = (good.copy() for _ in range(4))
    nan[2, 1], inf[2, 1] = np.nan, np.inf
    nan[4], zero[2], long[2] = np.nan, 0, good[2] * 2
    return {
        "NaN": (nan, "2 vectors are not finite or not of unit length: uid-2, uid-4$"),
        "infinite": (inf, "1 vectors are not finite or not of unit length: uid-2$"),
        "zero": (zero, "1 vectors are not finite or not of unit length: uid-2$"),
        "not of unit length": (long, "1 vectors are not finite or not of unit length: uid-2$"),
        "dimension": (good[:, :7], "vectors have 7 features and not 8"),
        "float64": (good.astype(np.float64), "must be a float32 matrix, not float64"),
        "Fortran order": (np.asfortranarray(good), "must lie row by row"),
        "rows": (good[:5], "there are 5 vectors for 6 names"),
    }


@pytest.mark.parametrize("kind", broken())
def test_vectors_that_are_none_are_refused_with_their_uids(kind: str) -> None:
    vectors, complaint = broken()[kind]
    with pytest.raises(DataError, match=complaint):
        check_vectors(vectors, [f"uid-{row}" for row in range(6)], dim=8)


@pytest.mark.parametrize("rows", [0, 1, 9, 10, 1_000])
def test_rows_that_are_written_as_they_come_are_the_file_that_numpy_writes(rows: int, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)
    with appended(tmp_path / "parts.npy", 3) as append:
        for start in range(0, rows, 7):
            append(vectors[start : start + 7])
    np.save(tmp_path / "whole.npy", vectors)
    assert (tmp_path / "parts.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_many_copies_lie_in_a_file_that_nobody_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, rows = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32), np.array([4, 49, 4, 0])
    few = gathered(vectors, rows, tmp_path)
    monkeypatch.setattr(module, "LARGE", 1)
    monkeypatch.setattr(module, "CHUNK", 3)
    many = gathered(vectors, rows, tmp_path)
    assert np.array_equal(few, many) and np.array_equal(many, vectors[rows])
    many[0] = 0  # a copy, which may be written to
    assert vectors[4].any() and not list(tmp_path.iterdir())


def test_lengths_are_checked_in_every_block(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.eye(8, dtype=np.float32)
    vectors[6] = np.inf
    monkeypatch.setattr(module, "CHUNK", 3)
    with pytest.raises(DataError, match=r"^1 vectors are .*: 6$"):
        check_vectors(vectors, range(8))
