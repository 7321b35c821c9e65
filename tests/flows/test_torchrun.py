"""``essen train`` under torchrun: one process does the run, two train."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from own_folder import RECIPE, write_own_folder

TINY = """train: {steps: 4, batch_size: 8, warmup_steps: 0, log_every: 1, precision: fp32}
model:
  name: small
  image_size: 32
  vision: {widths: [8, 16], blocks: [1, 1]}
  text: {vocab_size: 300, width: 16, heads: 2}
  fusion: {width: 16, heads: 2}
"""


def in_two(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={port}"]
    command = [*torchrun, "-m", "flows.cli", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=180, check=False, env=environment, cwd=folder
    )


@pytest.mark.slow
def test_two_processes_train_what_one_has_prepared(tmp_path: Path) -> None:
    own = write_own_folder(tmp_path, RECIPE + TINY)
    run = own / "runs/mine"
    done = in_two(own, "train", "mine.yaml")
    assert done.returncode == 0, done.stderr
    record = json.loads((run / "steps/train.json").read_text())
    assert record["counts"]["processes"] == 2 and record["counts"]["steps"] == 4
    again = in_two(own, "train", "mine.yaml")
    assert again.returncode == 0, again.stderr
    assert json.loads((run / "steps/train.json").read_text()) == record
    refused = in_two(own, "train", "mine.yaml", "--set", "train.batch_size=7")
    assert refused.returncode != 0 and "multiple of 2" in refused.stderr
    assert "Traceback" not in refused.stderr.split("torch/distributed")[0]
