"""What the tests share: real corpora where they can be had, and a clear word where they cannot."""

import os
import shutil
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
    from pipeline.acquire.packages.npm import npm_command

    probe = subprocess.run(
        [*npm_command(), "view", "@iconify-json/fxemoji@1.2.2", "version"],
        cwd=tmp_path_factory.mktemp("npm"),
        capture_output=True,
        timeout=120,
        check=False,
    )
    if probe.returncode != 0:
        pytest.skip("the npm client cannot reach its registry from here")


@pytest.fixture(scope="session")
def debian_archive() -> None:
    """Skip where there is no apt, or its index does not have the packages of the cards."""
    if shutil.which("apt-get") is None:
        pytest.skip("there is no apt-get here to fetch Debian packages with")
    known = subprocess.run(
        ["apt-cache", "policy", "tuxpaint-stamps-default"], capture_output=True, text=True, check=False
    )
    if "2022.06.04-1" not in known.stdout:
        pytest.skip("apt's index does not have the package tuxpaint-stamps-default 2022.06.04-1")
