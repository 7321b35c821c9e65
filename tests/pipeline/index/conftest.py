"""A small run with vectors of its pictures and captions, and an index of them."""

import shutil
from pathlib import Path

import pytest

from pipeline.index.config import IndexConfig
from pipeline.index.store import build_index
from pipeline.measure.config import EmbedConfig
from pipeline.measure.measure import embed
from pipeline.measure.text_encoder import MiniLM

ENCODERS = EmbedConfig(image_size=64)


@pytest.fixture(scope="session")
def indexed(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 160 drawings, all of them kept, with ``embeddings/`` and ``index/``; copy it to change it."""
    run = tmp_path_factory.mktemp("indexed") / "run"
    shutil.copytree(small_run, run)
    embed(ENCODERS, run, run)
    build_index(IndexConfig(), ENCODERS, run, run)
    return run


@pytest.fixture(scope="session")
def minilm() -> MiniLM:
    """The encoder of captions, as measuring uses it."""
    return MiniLM()


@pytest.fixture
def own(indexed: Path, tmp_path: Path) -> Path:
    """A copy of the indexed run."""
    return shutil.copytree(indexed, tmp_path / "run", ignore=shutil.ignore_patterns("stages", "curriculum"))
