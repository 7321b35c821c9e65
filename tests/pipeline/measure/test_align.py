"""The head that says how well a picture and its caption fit: a reference, no peeking, and sense on real drawings."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import files
from pipeline.measure import align as module
from pipeline.measure.align import Rows, align, fit_head, fold_of
from pipeline.measure.config import AlignConfig, EmbedConfig
from pipeline.tables import read_columns, write_table

CONFIG = AlignConfig(folds=3, min_pairs=20, dimensions=4, image_ridge=0.1, text_ridge=0.1)


def paired(number: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return picture (N, 12) and caption (N, 8) vectors of unit length that share four hidden causes."""
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(number, 4))
    sides = [causes @ np.random.default_rng(dim).normal(size=(4, dim)) for dim in (12, 8)]
    noisy = [side + 0.3 * rng.normal(size=side.shape) for side in sides]
    images, texts = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in noisy)
    return images.astype(np.float32), texts.astype(np.float32)


def test_the_head_is_canonical_correlation_analysis() -> None:
    images, texts = (side.astype(np.float64) for side in paired(400))
    config = AlignConfig(dimensions=4, image_ridge=1e-9, text_ridge=1e-9)
    head = fit_head(images, texts, config)
    # The textbook form: the singular values of the whitened cross-covariance are the correlations.
    whitened = [np.linalg.qr(side - side.mean(axis=0))[0] for side in (images, texts)]
    expected = np.linalg.svd(whitened[0].T @ whitened[1], compute_uv=False)[:4]
    x = (images - head.image_mean) @ head.image_projection
    y = (texts - head.text_mean) @ head.text_projection
    found = [np.corrcoef(x[:, axis], y[:, axis])[0, 1] for axis in range(4)]
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_head_of_many_pairs_is_summed_up_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    images, texts = paired(400)
    shuffled = np.random.default_rng(1).permutation(400)
    monkeypatch.setattr(module, "CHUNK", 64)
    parts = fit_head(Rows(images[shuffled], np.argsort(shuffled)), Rows(texts, np.arange(400)), CONFIG)
    monkeypatch.undo()
    whole = fit_head(images, texts, CONFIG)
    assert parts.score(images, texts) == pytest.approx(whole.score(images, texts), abs=1e-9)


@given(
    units=st.lists(st.tuples(*[st.integers(0, 12).map(str)] * 3), min_size=1, max_size=40),
    folds=st.integers(2, 5),
)
def test_pairs_that_share_anything_share_their_fold(units: list[tuple[str, ...]], folds: int) -> None:
    found = fold_of(units, folds)
    assert len(found) == len(units) and found.min() >= 0 and found.max() < folds
    for place in range(3):
        by_name: dict[str, set[int]] = {}
        for unit, fold in zip(units, found, strict=True):
            by_name.setdefault(unit[place], set()).add(int(fold))
        assert all(len(seen) == 1 for seen in by_name.values())


def run_of(folder: Path, number: int = 120, *, swapped: int = 0) -> Path:
    """Write what `align` reads: pairs that fit, of which the first `swapped` have another one's caption."""
    images, texts = paired(number)
    captions = [f"caption {row:04d}" for row in range(number)]
    told = captions[1 : swapped + 1] + captions[:1] + captions[swapped + 1 :] if swapped else captions
    samples = {
        "uid": [f"{row:032x}" for row in range(number)],
        "image_sha256": [f"{row:064x}" for row in range(number)],
        "caption": told,
        "group": [f"group {row}" for row in range(number)],
    }
    write_table(folder / "signals/samples.parquet", samples)
    columns = {"uid": samples["uid"], "tokens": [2] * number, "head_noun": ["caption"] * number}
    write_table(folder / "signals/caption.parquet", columns)
    write_table(folder / "signals/lexicon.parquet", {"uid": samples["uid"], "coverage": [1.0] * number})
    for name, vectors, listing, rows in (
        ("efficientnet-lite0", images, "images.json", samples["image_sha256"]),
        ("minilm", texts, "captions.json", captions),
    ):
        place = folder / "embeddings" / name
        place.mkdir(parents=True)
        np.save(place / ("image.npy" if listing == "images.json" else "text.npy"), vectors)
        files.write_json(place / listing, rows)
    return folder


def test_a_caption_of_another_picture_scores_low(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", swapped=10)
    counts = align(CONFIG, EmbedConfig(), run, tmp_path / "out")
    assert counts == {"samples": 120, "scored": 120, "heads": 3, "clean": 120}
    rows = read_columns(tmp_path / "out/signals/alignment.parquet")
    assert np.median(rows["score"][:11]) < 0.3 < 0.7 < np.median(rows["score"][11:])
    assert np.median(rows["rank"][11:]) > 0.9


def test_no_pair_is_scored_by_a_head_that_saw_it(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    align(CONFIG, EmbedConfig(), run, tmp_path / "out")
    rows = read_columns(tmp_path / "out/signals/alignment.parquet")
    images, texts = paired(120)
    folds = fold_of([[f"{row:064x}", f"caption {row:04d}", f"group {row}"] for row in range(120)], 3)
    for fold in range(3):
        head = fit_head(images[folds != fold], texts[folds != fold], CONFIG)
        own = np.flatnonzero(folds == fold)
        assert [rows["score"][row] for row in own] == pytest.approx(list(head.score(images[own], texts[own])))


def test_too_few_pairs_have_no_score(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", number=12)
    counts = align(CONFIG, EmbedConfig(), run, tmp_path / "out")
    assert (counts["scored"], counts["heads"]) == (0, 0)
    assert set(read_columns(tmp_path / "out/signals/alignment.parquet")["score"]) == {None}


def test_ranks_of_a_large_fold_are_those_among_a_sample_of_its_captions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path / "run", 600)
    ranks = []
    for most in (module.RANKED, 100):
        monkeypatch.setattr(module, "RANKED", most)
        align(CONFIG, EmbedConfig(), run, tmp_path / str(most))
        ranks.append(np.array(read_columns(tmp_path / str(most) / "signals/alignment.parquet", ["rank"])["rank"]))
    among_all, among_some = ranks
    assert among_some.min() >= 0 and among_some.max() <= 1
    assert np.abs(among_some - among_all).mean() < 0.03
    assert not np.array_equal(among_some, among_all)
