"""Checkpoints that are damaged, forged, or cut off while they are written: the one before is there and is used."""

import os
import pickle
import random
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from essen.config import ModelConfig, TrainConfig
from essen.model import build_model
from essen.state import TrainState, load_checkpoint, save_checkpoint
from essen.step import build_optimiser

IDENTITY = {"configuration": "one"}
OPERATIONS = ("open", "os.rename", "os.remove")


class Forged:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def state(tiny_model: ModelConfig, one_thread: None) -> TrainState:
    """A training after its first step."""
    model = build_model(tiny_model, 300, seed=0)
    optimiser = build_optimiser(model, TrainConfig())
    sum(parameter.sum() for parameter in model.parameters()).backward()
    optimiser.step()
    return TrainState(model=model, average=None, best=None, bias=None, optimiser=optimiser, step=1)


def advance(state: TrainState, to: int) -> None:
    with torch.no_grad():
        state.model.logit_scale.fill_(to / 10)
    state.step = to


def loaded(state: TrainState, folder: Path) -> tuple[int, list[str]]:
    """Return the step of the checkpoint that is used, its weights looked at, and the warnings."""
    warnings: list[str] = []
    assert load_checkpoint(state, IDENTITY, folder, warnings.append)
    assert state.model.logit_scale.item() == pytest.approx(state.step / 10)
    return state.step, warnings


def damaged(data: bytes, number: int, folder: Path) -> bytes:
    """Return a file cut, with a bit flipped, with other content, or forged: ten of each."""
    draw = random.Random(number)  # noqa: S311
    place = draw.randrange(len(data))
    if number % 4 == 0:
        return data[:place]
    if number % 4 == 1:
        return data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :]
    if number % 4 == 2:
        return draw.randbytes(draw.choice([0, 8, 1000]))
    return pickle.dumps({"model": Forged(folder)})


def test_forty_damaged_files_are_passed_over_and_nothing_is_executed(state: TrainState, tmp_path: Path) -> None:
    for step in (5, 10):
        advance(state, step)
        newest = save_checkpoint(state, IDENTITY, tmp_path)
    data = newest.read_bytes()
    for number in range(40):
        newest.write_bytes(damaged(data, number, tmp_path / "executed"))
        step, warnings = loaded(state, tmp_path)
        assert (step, warnings) == (5, [f"{newest} is damaged; the checkpoint before it is used"]), number
    assert not (tmp_path / "executed").exists()
    newest.write_bytes(data)
    assert loaded(state, tmp_path) == (10, [])


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file grow beyond a size: what a full disk does, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_leaves_the_checkpoint_before(state: TrainState, tmp_path: Path) -> None:
    advance(state, 5)
    size = save_checkpoint(state, IDENTITY, tmp_path).stat().st_size
    for room in range(0, size, size // 20):
        advance(state, 10)
        with room_for(room), pytest.raises(OSError):
            save_checkpoint(state, IDENTITY, tmp_path)
        assert loaded(state, tmp_path) == (5, [])
    advance(state, 10)
    save_checkpoint(state, IDENTITY, tmp_path)
    assert loaded(state, tmp_path) == (10, [])


def test_killed_while_it_saves_it_has_the_checkpoint_before_or_the_new_one(state: TrainState, tmp_path: Path) -> None:
    found = []
    for kill_at in range(1, 20):
        folder = tmp_path / str(kill_at)
        for step in (1, 5):
            advance(state, step)
            save_checkpoint(state, IDENTITY, folder)
        advance(state, 10)
        finished = saved_in_child(state, folder, kill_at)
        step, warnings = loaded(state, folder)
        assert step in (5, 10) and not warnings
        found.append(step)
        if finished:
            break
    assert finished and found[0] == 5 and found[-1] == 10


def saved_in_child(state: TrainState, folder: Path, kill_at: int) -> bool:
    """Save in a child that is killed at its `kill_at`-th file operation; tell whether it came to the end."""
    child = os.fork()
    if child == 0:
        left = kill_at

        def hook(event: str, _: object) -> None:
            nonlocal left
            if event in OPERATIONS:  # and not at every event, of which the kill is one
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        save_checkpoint(state, IDENTITY, folder)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return not os.WIFSIGNALED(status)
