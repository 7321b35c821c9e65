"""Small staged shards with real drawings, and a model small enough to train in a second."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from essen.computing import threads
from essen.config import FusionConfig, ModelConfig, SamplingConfig, TextConfig, TrainConfig, VisionConfig
from pipeline import files
from pipeline.sample import Sample, sample_uid
from pipeline.shards.stage import write_manifest
from pipeline.shards.write import ShardGroup, StagedSample, write_shards

COLOURS = ("red", "green", "blue", "orange", "purple", "black", "brown", "pink")
SHAPES = ("circle", "square", "line")
SIZE = 32


def draw(colour: str, shape: str, place: int) -> bytes:
    image = Image.new("RGB", (SIZE, SIZE), "white")
    pen = ImageDraw.Draw(image)
    box = (2 + 3 * place, 4, 16 + 3 * place, 26 - 2 * place)
    if shape == "circle":
        pen.ellipse(box, fill=colour)
    elif shape == "square":
        pen.rectangle(box, fill=colour)
    else:
        pen.line(box, fill=colour, width=3)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=95)
    return out.getvalue()


def staged_sample(caption: str, image: bytes, stage: int, rank: int) -> StagedSample:
    digest = files.sha256_bytes(image)
    sample = Sample(
        uid=sample_uid(digest, caption),
        image_sha256=digest,
        caption=caption,
        lang="en",
        corpus="shapes",
        group=caption,
        licence="MIT",
        attribution="The painters",
        url=f"test:{rank}",
    )
    return StagedSample(sample=sample, image=image, stage=stage, rank=rank, difficulty=rank / 100 if stage else None)


def write_stages(folder: Path, stages: list[list[tuple[str, bytes]]], evaluation: list[tuple[str, bytes]]) -> Path:
    """Write a stages directory of (caption, picture) pairs: the stages, and one evaluation set."""
    entries: list[dict[str, Any]] = []
    rank = 0
    for number, pairs in enumerate(stages, start=1):
        samples = [staged_sample(caption, image, number, rank + k) for k, (caption, image) in enumerate(pairs)]
        rank += len(samples)
        entry = write_shards([ShardGroup(samples, len(samples))], folder / f"{number}-stage")
        entries.append({"stage": number, "name": f"stage{number}", "path": f"{number}-stage", **entry})
    held_out = [staged_sample(caption, image, 0, rank) for rank, (caption, image) in enumerate(evaluation)]
    entry = write_shards([ShardGroup(held_out, len(held_out))], folder / "eval-test")
    sets = [{"split": "test", "name": "eval-test", "path": "eval-test", **entry}]
    write_manifest(folder, SIZE, "0" * 64, entries, sets)
    return folder


@pytest.fixture(scope="session")
def new_stages() -> Callable[..., Path]:
    """`write_stages`."""
    return write_stages


@pytest.fixture(scope="session")
def small_stages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """72 drawings of 24 names in three stages by shape, and 24 more to evaluate on."""
    stages = [[(f"{c} {s}", draw(c, s, place)) for c in COLOURS for place in range(3)] for s in SHAPES]
    evaluation = [(f"{c} {s}", draw(c, s, 4)) for c in COLOURS for s in SHAPES]
    return write_stages(tmp_path_factory.mktemp("small") / "stages", stages, evaluation)


@pytest.fixture(scope="session")
def drawing() -> Callable[[str], bytes]:
    """A function that draws a square of a colour, as JPEG."""
    return lambda colour: draw(colour, "square", 1)


@pytest.fixture(scope="session")
def book_stages(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One stage of 100 real pages of picture books with their sentences."""
    folder, pages = corpora / "picturebooks", []
    for line in (folder / "pages.jsonl").read_text().splitlines():
        page = json.loads(line)
        with Image.open(folder / page["image"]) as image:
            out = io.BytesIO()
            image.convert("RGB").resize((SIZE, SIZE)).save(out, "JPEG", quality=90)
        pages.append((page["text"], out.getvalue()))
        if len(pages) == 100:
            break
    return write_stages(tmp_path_factory.mktemp("books") / "stages", [pages], pages[:10])


@pytest.fixture(scope="session")
def tiny_model() -> ModelConfig:
    return ModelConfig(
        name="tiny",
        image_size=SIZE,
        embedding_size=32,
        dropout=0.1,
        vision=VisionConfig(widths=(8, 16), blocks=(1, 1), layers=1, heads=2),
        text=TextConfig(vocab_size=300, max_length=8, width=16, layers=1, heads=2),
        fusion=FusionConfig(width=16, layers=1, heads=2),
    )


@pytest.fixture(scope="session")
def tiny_training() -> TrainConfig:
    return TrainConfig(
        steps=24,
        batch_size=16,
        warmup_steps=3,
        threads=1,
        checkpoint_every=5,
        log_every=2,
        sampling=SamplingConfig(uniform_from=0.5),
    )


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread of torch: on few pictures and a busy machine, several only wait for one another."""
    with threads(1):
        yield
