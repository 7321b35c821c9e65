"""Lines laid over lines: what a copy keeps, and where a frame of a story differs."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance
from real_pictures import encoded

from pipeline.errors import DataError
from pipeline.measure.structure import DIM, read_structure, structure
from pipeline.select.overlay import aligned, in_place
from pipeline.select.transforms import TRANSFORMS

SIDE = 256


def scene(seed: int, hero: int = 40) -> Image.Image:
    """A landscape with houses, trees and somebody who stands at `hero`."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (SIDE, SIDE), "lightblue")
    pen = ImageDraw.Draw(image)
    pen.polygon([(0, 150), *((x, 150 - int(rng.integers(50))) for x in range(30, 256, 32)), (256, 150)], fill="green")
    pen.rectangle((0, 150, 256, 256), fill="khaki")
    for _ in range(8):
        x, y, size = (int(value) for value in rng.integers((0, 90, 15), (230, 190, 45)))
        pen.rectangle((x, y, x + size, y + size), fill=tuple(rng.integers(60, 220, 3).tolist()), outline="black")
        pen.polygon([(x - 4, y), (x + size // 2, y - size // 2), (x + size + 4, y)], fill="brown", outline="black")
    pen.ellipse((hero, 160, hero + 26, 186), fill="peru", outline="black")
    pen.rectangle((hero + 4, 186, hero + 22, 240), fill="red", outline="black")
    return image


def lines(*images: Image.Image) -> np.ndarray:
    squares = [image.convert("RGB").resize((128, 128), Image.Resampling.LANCZOS) for image in images]
    return structure(np.stack([np.asarray(square) for square in squares]))


def compared(first: Image.Image, second: Image.Image, *, mirrored: bool = False) -> tuple[float, float]:
    rows = np.array([0])
    found = aligned(lines(first), lines(second), rows, rows, mirrored=mirrored)
    return float(found.agreement[0]), float(found.weakest[0])


def test_vectors_are_of_unit_length_also_of_blank_pictures() -> None:
    rows = lines(scene(0), Image.new("RGB", (40, 40), "white"), Image.new("RGB", (40, 40), "black"))
    assert rows.shape == (3, DIM) and rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert rows[1] @ rows[2] == pytest.approx(1)
    assert structure(np.zeros((0, 128, 128, 3), dtype=np.uint8)).shape == (0, DIM)


def test_the_number_of_pictures_at_once_changes_nothing() -> None:
    scenes = [scene(seed) for seed in range(40)]
    assert np.array_equal(lines(*scenes), np.concatenate([lines(each) for each in scenes]))


@pytest.mark.parametrize(
    ("name", "agreement", "weakest"),
    [
        ("re-encode q30", 0.99, 0.9),
        ("resize 50 %", 0.99, 0.9),
        ("recolour", 0.8, 0.5),
        ("brightness", 0.9, 0.8),
        ("grey", 0.99, 0.95),
        ("crop 5 %", 0.7, 0.4),
        ("crop 20 %", 0.6, 0.3),
        ("caption strip", 0.6, 0.3),
        ("outline", 0.5, 0.2),
    ],
)
def test_a_copy_agrees_with_its_original(name: str, agreement: float, weakest: float) -> None:
    found = [
        compared(scene(seed), TRANSFORMS[name](scene(seed), np.random.default_rng(seed)))
        for seed in range(10)
    ]  # fmt: skip
    reached = [a >= agreement and w >= weakest for a, w in found]
    assert sum(reached) >= 8, found


def test_a_frame_in_which_somebody_moved_agrees_everywhere_but_there() -> None:
    agreement, weakest = compared(scene(3, hero=20), scene(3, hero=150))
    assert agreement > 0.7 and weakest < 0.4
    brighter = ImageEnhance.Color(scene(3, hero=20)).enhance(2)
    assert compared(scene(3, hero=20), brighter)[1] > 0.8


def test_other_scenes_do_not_agree() -> None:
    found = [compared(scene(seed), scene(seed + 1)) for seed in range(10)]
    assert max(weakest for _, weakest in found) < 0.4


def test_a_mirror_is_looked_into_only_if_asked() -> None:
    image = scene(5)
    turned = TRANSFORMS["flip"](image, np.random.default_rng(0))
    assert compared(image, turned)[0] < 0.7
    assert compared(image, turned, mirrored=True)[0] > 0.99


def test_which_comes_first_changes_nothing_and_none_is_none() -> None:
    first, second = lines(scene(1), scene(2)), lines(scene(1).crop((0, 0, 220, 220)), scene(2).crop((30, 20, 250, 240)))
    rows = np.arange(2)
    there, back = aligned(first, second, rows, rows), aligned(second, first, rows, rows)
    assert np.allclose(there.agreement, back.agreement, atol=1e-5)
    assert np.allclose(there.weakest, back.weakest, atol=1e-5)
    nobody = np.empty(0, dtype=np.int64)
    assert len(in_place(first, second, nobody, nobody).agreement) == 0


def test_every_transform_gives_a_picture_and_the_same_one_again() -> None:
    for name, transform in TRANSFORMS.items():
        for image in (scene(0), Image.new("RGB", (9, 7), "red")):
            once, again = (transform(image, np.random.default_rng(4)) for _ in range(2))
            assert once.mode == "RGB" and encoded(once) == encoded(again), name


def test_structures_of_other_pictures_are_refused(tmp_path: Path) -> None:

    folder = tmp_path
    with pytest.raises(DataError, match=r"structure.npy is missing; remove"):
        read_structure(folder, 2)
    np.save(folder / "structure.npy", lines(scene(0)))
    with pytest.raises(DataError, match="for 2 pictures"):
        read_structure(folder, 2)
    assert read_structure(folder, 1).shape == (1, DIM)
