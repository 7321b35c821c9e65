"""open_clip's own training command, by the script that is published beside the shards."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from environments import client_environment
from readers import Tell

TINY = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49_408, "width": 32, "heads": 1, "layers": 1},
}
STEP = re.compile(r"Train Epoch: (\d+) \[ *(\d+)/(\d+) .* Loss: ([\d.]+|nan)")


@pytest.mark.slow
def test_twenty_steps_over_two_stages(published: Path, tmp_path: Path, tell: Tell) -> None:
    model = tmp_path / "tiny"
    model.mkdir()
    (model / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY, "preprocess_cfg": {}}))
    script = published / "train_open_clip.sh"
    environment = {
        **os.environ,
        "PYTHONPATH": str(client_environment("webdataset==0.2.86")),
        "PYTHON": sys.executable,
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "MODEL": f"local-dir:{model}",
        "BATCH_SIZE": "6",
        "WORKERS": "1",
        "LOGS": str(tmp_path / "logs with a space"),
    }
    options = ["--device", "cpu", "--precision", "fp32", "--log-every-n-steps", "1"]
    done = subprocess.run(
        ["sh", str(script), *options], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    steps = STEP.findall(done.stderr)
    # 64 and 56 samples in batches of 6; a stage's last batch is filled up from its beginning.
    assert [(epoch, total) for epoch, _, total, _ in steps] == [("0", "66")] * 11 + [("1", "60")] * 10
    losses = [float(loss) for *_, loss in steps]
    assert all(map(math.isfinite, losses)) and losses[-1] < losses[0]
    assert "webdataset error" not in done.stderr
    first = tmp_path / "logs with a space/1-one/checkpoints/epoch_1.pt"
    assert f"resuming checkpoint '{first}' (epoch 1)" in done.stderr
    assert (tmp_path / "logs with a space/2-two/checkpoints/epoch_2.pt").is_file()
    tell(None)


def test_the_script_says_what_order_it_knows(published: Path) -> None:
    done = subprocess.run(
        ["sh", str(published / "train_open_clip.sh")],
        env={**os.environ, "ORDER": "backwards"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "ORDER is staged or all, not backwards\n")
