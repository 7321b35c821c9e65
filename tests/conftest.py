"""What the tests share: real corpora where they can be had, and a clear word where they cannot."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of real corpora, from $ESSEN_CORPORA or beside the checkout."""
    folder = Path(os.environ.get("ESSEN_CORPORA", ROOT.parent / "shared" / "corpora"))
    if not folder.is_dir():
        pytest.skip(f"no corpora at {folder}; set ESSEN_CORPORA to run this test")
    return folder


@pytest.fixture(scope="session")
def npm_registry(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where the npm client cannot reach its registry."""
    from pipeline.acquire.npm import npm_command

    probe = subprocess.run(
        [*npm_command(), "view", "@iconify-json/fxemoji@1.2.2", "version"],
        cwd=tmp_path_factory.mktemp("npm"),
        capture_output=True,
        timeout=120,
        check=False,
    )
    if probe.returncode != 0:
        pytest.skip("the npm client cannot reach its registry from here")
