"""Benchmarks as a person starts them: programs in an interpreter of their own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"


def run(script: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a benchmark on one thread and return what it wrote."""
    own = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    command = [sys.executable, str(BENCHMARKS / script), *arguments]
    return subprocess.run(command, env=os.environ | own, capture_output=True, text=True, check=False)
