"""A person's own folder of pictures: coloured shapes in two sizes with captions, a card and a recipe."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from flows.cli import main

COLOURS = ("red", "green", "blue", "orange", "purple", "black")
SHAPES = ("circle", "square", "triangle", "cross")
CARD = """---
name: shapes
title: Shapes
licence: CC0-1.0
attribution: Drawn by the test
language: en
child_directed: true
imagery: drawings
redistributable: true
source: {engine: folder, path: pictures}
---
Coloured shapes on white.
"""
RECIPE = """name: mine
corpora:
  - card: shapes.md
select:
  split: {validation: 0.1, test: 0.1}
stage: {image_size: 32}
"""
# A model and a training that take seconds; behind RECIPE.
TRAINING = """model:
  image_size: 32
  vision: {widths: [16, 32, 32], blocks: [1, 1, 1]}
  text: {width: 32, layers: 1}
  fusion: {width: 32}
  embedding_size: 32
train: {steps: 4, batch_size: 8, warmup_steps: 1}
evaluate: {resamples: 100}
"""


def essen(*arguments: str | Path) -> int:
    """Run the command line in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def write_own_folder(
    folder: Path, recipe: str = RECIPE, further: Iterable[dict[str, str]] = (), colours: int = len(COLOURS)
) -> Path:
    """Write ``pictures``, eight of each colour, their captions and some further ones, ``shapes.md``, ``mine.yaml``."""
    pictures = folder / "pictures"
    pictures.mkdir()
    lines = []
    for colour in COLOURS[:colours]:
        for shape in SHAPES:
            for size, side in (("small", 20), ("big", 34)):
                name = f"{colour}-{shape}-{side}.png"
                drawn(colour, shape, side).save(pictures / name)
                caption = f"a {size} {colour} {shape}"
                lines.append({"file_name": name, "caption": caption, "group": f"{colour} {shape}"})
    (pictures / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines, *further]))
    (folder / "shapes.md").write_text(CARD)
    (folder / "mine.yaml").write_text(recipe)
    return folder


def drawn(colour: str, shape: str, side: int) -> Image.Image:
    """Return a picture of 96 pixels with a shape that reaches `side` pixels from its middle."""
    picture = Image.new("RGB", (96, 96), "white")
    pen = ImageDraw.Draw(picture)
    low, high = 48 - side, 48 + side
    if shape == "circle":
        pen.ellipse((low, low, high, high), fill=colour)
    elif shape == "square":
        pen.rectangle((low, low, high, high), fill=colour)
    elif shape == "triangle":
        pen.polygon(((48, low), (low, high), (high, high)), fill=colour)
    else:
        pen.line((low, low, high, high), fill=colour, width=9)
        pen.line((low, high, high, low), fill=colour, width=9)
    return picture
