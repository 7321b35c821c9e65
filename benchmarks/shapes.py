"""Staged shards of drawn shapes with captions as long as a sentence, where no other pictures are at hand."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from pipeline import files
from pipeline.sample import Sample, sample_uid
from pipeline.shards.stage import write_manifest
from pipeline.shards.write import ShardGroup, StagedSample, write_shards

COLOURS = ("red", "green", "blue", "orange", "purple", "black", "brown", "pink")
SHAPES = ("circle", "square", "triangle")
PLACES = ("left above", "right above", "left below", "right below")


def stage_shapes(folder: Path, samples: int, size: int = 96, *, seed: int = 0) -> Path:
    """Write a stage of so many pictures, four shapes in each, and a held-out set of an eighth as many."""
    rng = np.random.default_rng(seed)
    staged = [_sample(rng, size, stage=1, rank=rank) for rank in range(samples)]
    held_out = [_sample(rng, size, stage=0, rank=samples + rank) for rank in range(max(8, samples // 8))]
    stage = _write(staged, folder, "1-shapes") | {"stage": 1, "name": "shapes"}
    evaluation = _write(held_out, folder, "eval-test") | {"split": "test", "name": "eval-test"}
    write_manifest(folder, size, "0" * 64, [stage], [evaluation])
    return folder


def _write(samples: list[StagedSample], folder: Path, path: str) -> dict[str, Any]:
    return {"path": path, **write_shards([ShardGroup(samples, len(samples))], folder / path)}


def _sample(rng: np.random.Generator, size: int, *, stage: int, rank: int) -> StagedSample:
    image, half = Image.new("RGB", (size, size), "white"), size // 2
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
    caption, digest = ", and ".join(words), files.sha256_bytes(out.getvalue())
    sample = Sample(
        uid=sample_uid(digest, caption),
        image_sha256=digest,
        caption=caption,
        lang="en",
        corpus="shapes",
        group=caption,
        licence="CC0-1.0",
        attribution="Drawn by a program",
        url=f"shapes:{rank}",
    )
    return StagedSample(sample=sample, image=out.getvalue(), stage=stage, rank=rank, difficulty=0.0 if stage else None)
