"""Two processes of torchrun: the batches and losses of one, files of rank 0 alone, the same bytes after a kill."""

from pathlib import Path

import numpy as np
import pytest
from trainings import checkpoints, logged, outcome, start_two, train_in_two

from essen.config import ModelConfig, TrainConfig
from essen.data import rank_rows
from essen.distributed import Ranks
from essen.errors import EssenError
from essen.train import train

EXACT = 1e-5


@pytest.fixture(scope="module")
def training(tiny_training: TrainConfig) -> TrainConfig:
    """Six steps in fp32, with checkpoints on the way."""
    change = {"steps": 6, "precision": "fp32", "log_every": 1, "checkpoint_every": 2}
    return tiny_training.model_copy(update=change)


def test_shares_are_all_rows_once_and_those_of_the_batch() -> None:
    for total in (1, 2, 5, 16):
        for world in (1, 2, 3):
            parts = [list(range(total))[Ranks(rank, world).share(total)] for rank in range(world)]
            assert [row for part in parts for row in part] == list(range(total))
            if total % world == 0:
                rows = np.arange(total)
                assert parts == [rank_rows(rows, rank, world).tolist() for rank in range(world)]
    with pytest.raises(EssenError, match="multiple of 3"):
        rank_rows(np.arange(16), 0, 3)


@pytest.mark.slow
def test_two_processes_train_as_one_does(
    small_stages: Path, tiny_model: ModelConfig, training: TrainConfig, tmp_path: Path
) -> None:
    train(tiny_model, training, small_stages, tmp_path / "one")
    train_in_two(tiny_model, training, small_stages, tmp_path / "two")
    one, two = logged(tmp_path / "one"), logged(tmp_path / "two")
    assert [line["step"] for line in two] == list(range(1, 7))
    for ours, theirs in zip(one, two, strict=True):
        assert theirs == pytest.approx(ours, abs=EXACT)
    assert [name[:8] for name in checkpoints(tmp_path / "two")] == ["00000004", "00000006"]


@pytest.mark.slow
def test_two_processes_read_kept_tokens_as_one_does(
    small_stages: Path, tiny_model: ModelConfig, training: TrainConfig, tmp_path: Path
) -> None:
    model = ModelConfig.model_validate({**tiny_model.model_dump(), "adapt": {"kind": "projections"}})
    cached = TrainConfig.model_validate({**training.model_dump(), "augment": "none", "cache": {"towers": "both"}})
    train(model, cached, small_stages, tmp_path / "one")
    train_in_two(model, cached, small_stages, tmp_path / "two")
    for ours, theirs in zip(logged(tmp_path / "one"), logged(tmp_path / "two"), strict=True):
        assert theirs == pytest.approx(ours, abs=EXACT)


KILLED = """
import os, signal, sys
from pathlib import Path
from essen.config import ModelConfig, TrainConfig
from essen.train import train
model, training, stages, out, last = sys.argv[1:]
def report(step, values):
    if step == int(last) and os.environ["RANK"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
model, training = ModelConfig.model_validate_json(model), TrainConfig.model_validate_json(training)
train(model, training, Path(stages), Path(out), report=report)
"""


@pytest.mark.slow
def test_killed_two_processes_go_on_and_end_in_the_same_bytes(
    small_stages: Path, tiny_model: ModelConfig, training: TrainConfig, tmp_path: Path
) -> None:
    objectives = training.objectives.model_copy(update={"contrast": "sigmoid"})
    cached = training.model_copy(update={"micro_batch": 3, "objectives": objectives})
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    train_in_two(tiny_model, cached, small_stages, straight)
    texts = tiny_model.model_dump_json(), cached.model_dump_json(), str(small_stages), str(killed)
    process = start_two(KILLED, *texts, "5")
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert checkpoints(killed)[-1].startswith("00000004") and not (killed / "models").exists()
    train_in_two(tiny_model, cached, small_stages, killed)
    assert outcome(killed) == outcome(straight)
    with pytest.raises(EssenError, match="processes 2"):
        train(tiny_model, cached, small_stages, killed)
