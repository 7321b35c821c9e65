"""Pictures named by ImageNet's classes: the floor for what is trained on pretrained towers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}:{BENCHMARKS}", "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_every_set_is_scored_without_any_training(tmp_path: Path) -> None:
    stages = repr(str(tmp_path / "stages"))
    staging = f"import pathlib, shapes; shapes.stage_shapes(pathlib.Path({stages}), 48)"
    subprocess.run([sys.executable, "-c", staging], env=ENVIRONMENT, check=True)
    command = [sys.executable, str(BENCHMARKS / "class_names.py"), str(tmp_path), "--size", "64"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any("text_to_image_R@10" in line for line in lines)
    assert all(re.search(r"\d\.\d{3}", line) for line in lines)
