"""Staged shards of drawn shapes with captions as long as a sentence, where no other pictures are at hand."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from staging import Pair, write_stage

COLOURS = ("red", "green", "blue", "orange", "purple", "black", "brown", "pink")
SHAPES = ("circle", "square", "triangle")
PLACES = ("left above", "right above", "left below", "right below")
SIZE = 96  # pixels


def stage_shapes(folder: Path, samples: int) -> Path:
    """Write a stage of so many pictures, four shapes in each, and a held-out set of an eighth as many."""
    rng = np.random.default_rng(0)
    pairs = [_pair(rng) for _ in range(samples + max(8, samples // 8))]
    return write_stage(folder, SIZE, pairs[:samples], pairs[samples:])


def _pair(rng: np.random.Generator) -> Pair:
    image, half = Image.new("RGB", (SIZE, SIZE), "white"), SIZE // 2
    pen, words = ImageDraw.Draw(image), []
    for number, place in enumerate(PLACES):
        colour, shape = str(rng.choice(COLOURS)), str(rng.choice(SHAPES))
        left, top = number % 2 * half, number // 2 * half
        corners = [(left + 4, top + half - 4), (left + half - 4, top + half - 4), (left + half // 2, top + 4)]
        box = (left + 4, top + 4, left + half - 4, top + half - 4)
        if shape == "triangle":
            pen.polygon(corners, fill=colour)
        else:
            (pen.ellipse if shape == "circle" else pen.rectangle)(box, fill=colour)
        words.append(f"a {colour} {shape} is seen {place}")
    out = io.BytesIO()
    image.save(out, "JPEG", quality=95)
    return out.getvalue(), ", and ".join(words)
