"""The greedy leader against brute force, in any order; and pictures that look alike and are not the same."""

import csv
import io
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from real_pictures import encoded, picture

from pipeline.errors import DataError
from pipeline.measure.embed import EfficientNetLite0, stretched
from pipeline.measure.image import measure_picture
from pipeline.select.config import DuplicateConfig
from pipeline.select.duplicates import (
    Pair,
    Partner,
    Picture,
    check_guarantee,
    close_pairs,
    greedy_leader,
    is_duplicate,
    leader_order,
)
from pipeline.shards.picture import decode_rgb

LOOSE = DuplicateConfig(cosine=0.95, floor=0.8, hamming=64, difference=1, blank_entropy=0)


def planted(count: int, seed: int, dim: int = 32) -> tuple[list[Picture], np.ndarray]:
    """Pictures whose vectors form chains and clusters of near-copies, some with equal pixels."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, dim))
    for row in range(1, count):
        if rng.random() < 0.5:  # a near-copy of an earlier one, which may itself be a copy
            vectors[row] = vectors[rng.integers(row)] + rng.normal(size=dim) * rng.uniform(0.05, 0.5)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pictures = [
        Picture(f"{row:04d}", f"{rng.integers(row + 1) if rng.random() < 0.05 else row:04d}", 0, 5.0, size, b"\0")
        for row, size in enumerate(rng.integers(1, 4, count).tolist())
    ]
    return pictures, vectors.astype(np.float32)


def removed(config: DuplicateConfig, pictures: list[Picture], vectors: np.ndarray) -> dict[str, tuple[str, float]]:
    """What the rule drops, by hash, with the partner's hash and the score."""
    rows = {picture.sha256: row for row, picture in enumerate(pictures)}
    ordered = leader_order(pictures)
    vectors = vectors[[rows[picture.sha256] for picture in ordered]]
    dropped = greedy_leader(config, ordered, close_pairs(ordered, vectors, config.floor))
    return {ordered[row].sha256: (ordered[p.row].sha256, p.cosine) for row, p in dropped.items()}


def brute_force(config: DuplicateConfig, pictures: list[Picture], vectors: np.ndarray) -> set[str]:
    """The rule as it is told: walk once, drop what is a duplicate of one that stayed."""
    cosine = np.round(vectors.astype(np.float64) @ vectors.T.astype(np.float64), 6)
    order = sorted(range(len(pictures)), key=lambda row: (-pictures[row].pixels, pictures[row].sha256))
    kept: list[int] = []
    for row in order:
        same = (pictures[row].pixel_sha256 == pictures[other].pixel_sha256 for other in kept)
        if not any(equal or cosine[row, other] >= config.cosine for equal, other in zip(same, kept, strict=True)):
            kept.append(row)
    return {picture.sha256 for picture in pictures} - {pictures[row].sha256 for row in kept}


def test_the_same_as_brute_force_on_2000_planted_near_copies() -> None:
    pictures, vectors = planted(2_000, seed=0)
    dropped = removed(LOOSE, pictures, vectors)
    assert set(dropped) == brute_force(LOOSE, pictures, vectors)
    assert len(dropped) > 300
    assert all(partner not in dropped for partner, _ in dropped.values())


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(0.81, 0.999))
def test_the_same_as_brute_force_whatever_is_planted(seed: int, count: int, cosine: float) -> None:
    config = DuplicateConfig(**{**LOOSE.model_dump(), "cosine": cosine})
    pictures, vectors = planted(count, seed)
    assert set(removed(config, pictures, vectors)) == brute_force(config, pictures, vectors)


def test_twenty_permutations_give_the_same_drops_partners_and_scores() -> None:
    pictures, vectors = planted(300, seed=1)
    expected = removed(LOOSE, pictures, vectors)
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(pictures))
        assert removed(LOOSE, [pictures[row] for row in order], vectors[order]) == expected


def test_the_number_of_threads_changes_nothing() -> None:
    import faiss

    pictures, vectors = planted(500, seed=2, dim=128)
    threads = faiss.omp_get_max_threads()
    try:
        found = []
        for number in (1, 2):
            faiss.omp_set_num_threads(number)
            found.append(close_pairs(pictures, vectors, 0.5))
    finally:
        faiss.omp_set_num_threads(threads)
    assert found[0] == found[1] and len(found[0]) > 100


def test_a_higher_threshold_needs_no_new_search() -> None:
    pictures, vectors = planted(400, seed=3)
    pictures = leader_order(pictures)
    vectors = vectors[[int(picture.sha256) for picture in pictures]]
    stored = close_pairs(pictures, vectors, 0.8)
    for cosine in (0.85, 0.95, 0.99):
        config = DuplicateConfig(**{**LOOSE.model_dump(), "cosine": cosine, "floor": cosine})
        assert greedy_leader(config, pictures, stored) == greedy_leader(
            config, pictures, close_pairs(pictures, vectors, cosine)
        )


def test_none_one_and_all_the_same() -> None:
    pictures, vectors = planted(1, seed=0)
    assert removed(LOOSE, pictures, vectors) == {}
    assert removed(LOOSE, [], np.zeros((0, 4), dtype=np.float32)) == {}
    copies = [Picture(f"{row:04d}", "same", 0, 5.0, 1, b"\0") for row in range(30)]
    dropped = removed(LOOSE, copies, np.repeat(vectors, 30, axis=0))
    assert len(dropped) == 29 and {partner for partner, _ in dropped.values()} == {"0000"}


def test_a_broken_guarantee_is_noticed() -> None:
    chain = [Pair(0, 1, 0.96, 0, 0.0, False), Pair(1, 2, 0.96, 0, 0.0, False)]
    with pytest.raises(DataError, match="1 duplicates were dropped without a partner that stays"):
        check_guarantee({1: Partner(0, 0.96, False), 2: Partner(1, 0.96, False)}, chain)
    with pytest.raises(DataError, match="1 duplicates were dropped without a partner that stays"):
        check_guarantee({2: Partner(0, 0.96, False), 1: Partner(0, 0.96, False)}, chain)
    with pytest.raises(DataError, match="1 pairs of duplicates stayed together"):
        check_guarantee({1: Partner(0, 0.96, False)}, [*chain, Pair(0, 2, 0.97, 0, 0.0, False)])


@pytest.fixture(scope="module")
def encoder() -> EfficientNetLite0:
    return EfficientNetLite0(128)


def measured(images: list[bytes], encoder: EfficientNetLite0) -> tuple[list[Picture], np.ndarray]:
    """Real pictures, measured and encoded as a run does; the first byte string has hash 0000, and so on."""
    pictures, squares = [], []
    for number, data in enumerate(images):
        s = measure_picture(data)
        pixels = s["width"] * s["height"]
        phash = int(s["phash"], 16)
        pictures.append(Picture(f"{number:04d}", s["pixel_sha256"], phash, s["entropy"], pixels, s["thumbnail"]))
        squares.append(stretched(decode_rgb(data), 128))
    vectors = [encoder.encode_images(np.stack(squares[start : start + 32])) for start in range(0, len(squares), 32)]
    return pictures, np.concatenate(vectors)


def clock(hour: int) -> bytes:
    image = Image.new("RGB", (128, 128), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((8, 8, 120, 120), outline="steelblue", width=8)
    angle = np.deg2rad(30 * hour - 90)
    pen.line((64, 64, 64 + 36 * np.cos(angle), 64 + 36 * np.sin(angle)), fill="black", width=6)
    pen.line((64, 64, 64, 22), fill="black", width=3)
    return encoded(image)


def disc(colour: str) -> bytes:
    image = Image.new("RGB", (128, 128), "white")
    ImageDraw.Draw(image).ellipse((8, 8, 120, 120), fill=colour, outline="black", width=4)
    return encoded(image)


def test_drawings_that_differ_in_what_matters_stay(encoder: EfficientNetLite0) -> None:
    images = [*(clock(hour) for hour in range(12)), *(disc(c) for c in ("red", "brown", "orange", "gold"))]
    pictures, vectors = measured(images, encoder)
    cosines = vectors @ vectors.T
    assert np.sum(np.triu(cosines, 1) >= 0.95) > 5  # embeddings alone would merge them
    assert removed(DuplicateConfig(blank_entropy=0), pictures, vectors) == {}


def test_blank_pictures_are_never_merged(encoder: EfficientNetLite0) -> None:
    shades = [(255, 255, 255), (254, 254, 254), (250, 250, 250), (0, 0, 0), (2, 2, 2)]
    pictures, vectors = measured([encoded(Image.new("RGB", (64, 64), shade)) for shade in shades], encoder)
    assert removed(DuplicateConfig(), pictures, vectors) == {}


def test_copies_of_a_picture_go_and_the_larger_one_stays(encoder: EfficientNetLite0) -> None:
    large = decode_rgb(picture(7, side=200))
    half = encoded(large.resize((100, 100), Image.Resampling.BICUBIC))
    jpeg = io.BytesIO()
    large.save(jpeg, "JPEG", quality=90)
    packed = io.BytesIO()
    large.save(packed, "PNG", compress_level=0)
    images = [half, jpeg.getvalue(), packed.getvalue(), encoded(large), picture(8, side=200)]
    pictures, vectors = measured(images, encoder)
    ordered = leader_order(pictures)
    dropped = removed(DuplicateConfig(), pictures, vectors)
    assert set(dropped) == {"0000", "0002" if ordered[0].sha256 != "0002" else "0001", "0003"}
    assert all(partner == ordered[0].sha256 for partner, _ in dropped.values())


def test_stories_keep_their_frames_and_lose_their_copies(corpora: Path, encoder: EfficientNetLite0) -> None:
    """Modified copies made by people, and consecutive pages that only look alike."""
    pages = [json.loads(line) for line in (corpora / "picturebooks/pages.jsonl").open(encoding="utf-8")]
    with (corpora / "neardup-truth/pairs.csv").open(encoding="utf-8", newline="") as file:
        truth = [row for row in csv.DictReader(file) if row["id"].startswith("gsn-0210")]
    image_of = {page["id"]: page["image"] for page in pages}
    frames = [page for page in pages if page["story"] in ("0001", "0210", "0046", "0252")][:60]
    names = list(dict.fromkeys([*(image_of[row["dup_of"]] for row in truth), *(page["image"] for page in frames)]))
    copies = [corpora / "neardup-truth" / row["image"] for row in truth]
    data = [path.read_bytes() for path in [*(corpora / "picturebooks" / name for name in names), *copies]]
    pictures, vectors = measured(data, encoder)
    pairs = {(p.first, p.second): p for p in close_pairs(pictures, vectors, 0.8)}
    merged = {place for place, pair in pairs.items() if is_duplicate(DuplicateConfig(), pictures, pair)}
    rows = {name: row for row, name in enumerate(names)}
    consecutive = {
        (rows[a["image"]], rows[b["image"]])
        for a, b in pairwise(frames)
        if a["story"] == b["story"] and a["image"] != b["image"]
    }
    assert len(consecutive) > 20
    assert not merged & consecutive
    expected = {(rows[image_of[row["dup_of"]]], len(names) + place) for place, row in enumerate(truth)}
    assert merged & {(a, b) for a, b in pairs if b >= len(names)} <= expected
    assert len(merged & expected) >= 1
