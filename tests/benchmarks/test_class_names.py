"""Pictures named by ImageNet's classes: the floor for what is trained on pretrained towers."""

import importlib
import re
from pathlib import Path

import pytest
from programs import BENCHMARKS, run


@pytest.mark.slow
def test_every_set_is_scored_without_any_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    importlib.import_module("shapes").stage_shapes(tmp_path / "stages", 48)
    done = run("class_names.py", str(tmp_path), "--size", "64")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any("text_to_image_R@10" in line for line in lines)
    assert all(re.search(r"\d\.\d{3}", line) for line in lines)
