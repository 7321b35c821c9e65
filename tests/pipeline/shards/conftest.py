"""Staged shards of a test's own."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def stages(small_run: Path, tmp_path: Path) -> Path:
    """A copy of the small run's stages, to be changed."""
    return Path(shutil.copytree(small_run / "stages", tmp_path / "stages"))
