"""Pictures without information are told apart by what is measured of them, and a rule can find them."""

import itertools

import numpy as np
import pytest
from PIL import Image
from real_pictures import encoded

from pipeline.acquire.pictures.admit import Admitted, admit
from pipeline.measure.image import cell_colours, measure_picture
from pipeline.select.config import DuplicateConfig
from pipeline.shards.picture import decode_rgb


def blank(level: int, *, noise: int) -> Image.Image:
    """An even picture, or one whose levels stray a little as in a scan of an empty page."""
    levels = np.full((64, 64, 3), level) + np.random.default_rng(level).integers(-noise, noise + 1, (64, 64, 1))
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("noise", [0, 1, 3])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_white_grey_and_black_are_three_pictures(kind, noise):
    measured, colours = [], []
    for level in (255, 128, 0):
        verdict = admit(encoded(blank(level, noise=noise), kind), max_pixels=10_000)
        assert isinstance(verdict, Admitted)
        measured.append(measure_picture(verdict.image))
        colours.append(cell_colours(decode_rgb(verdict.image)))
    for one, other in itertools.combinations(measured, 2):
        assert one["pixel_sha256"] != other["pixel_sha256"]
    for one, other in itertools.combinations(colours, 2):
        cells = [np.frombuffer(each, np.uint8).astype(int) for each in (one, other)]
        assert np.abs(cells[0] - cells[1]).max() / 255 > DuplicateConfig().difference
    if noise == 0:
        assert max(signals["entropy"] for signals in measured) < DuplicateConfig().blank_entropy
