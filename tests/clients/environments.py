"""Packages that cannot live beside the others: installed once, below the environment of the tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock


def client_environment(requirements: str) -> Path:
    """Return a folder with some packages, without what they depend on, to be put in front of ``PYTHONPATH``.

    Skips the test where pip cannot fetch them.

    Args:
        requirements: with spaces between them; the folder is called after the first.
    """
    folder = Path(sys.prefix) / "clients" / requirements.split()[0].replace("==", "-")
    folder.parent.mkdir(exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            _install(requirements, folder)
    return folder


def _install(requirements: str, folder: Path) -> None:
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(part), *requirements.split()]
    done = subprocess.run([sys.executable, *install], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        pytest.skip(f"pip cannot fetch {requirements} from here: {done.stderr.strip().splitlines()[-1]}")
    part.rename(folder)
