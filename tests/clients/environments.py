"""Packages whose versions cannot live beside the others: installed once, below the environment of the tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock


def client_environment(requirement: str) -> Path:
    """Return a folder with one package, without what it depends on, to be put in front of ``PYTHONPATH``.

    Skips the test where pip cannot fetch it.
    """
    folder = Path(sys.prefix) / "clients" / requirement.replace("==", "-")
    folder.parent.mkdir(exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            _install(requirement, folder)
    return folder


def _install(requirement: str, folder: Path) -> None:
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(part), requirement]
    done = subprocess.run([sys.executable, *install], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        pytest.skip(f"pip cannot fetch {requirement} from here: {done.stderr.strip().splitlines()[-1]}")
    part.rename(folder)
