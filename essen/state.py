"""All that training needs to go on from the middle, and how it is kept.

A checkpoint is one safetensors file whose name holds the step and the sha256 of the content. It appears by a rename,
so it is whole or absent; a changed byte no longer fits its name, and the one before it is used. Random numbers, batches
and the learning rate are functions of the step, so the step is all that stands for them, beside what a sampler that
asks questions has learnt from the answers.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from essen.errors import EssenError
from essen.export import weights_bytes
from essen.model import Essen
from pipeline import files

KEPT = 2
DIGITS = 32


@dataclass(kw_only=True)
class TrainState:
    """What changes while training.

    Attributes:
        model: the weights that learn.
        average: their exponential moving average, or None.
        optimiser: with one entry for every parameter in the model's order.
        step: finished steps.
        skipped: steps without an update because of a loss or gradient that was no number.
        scored: pairs that the model has looked at for the sampler alone.
        metrics_bytes: length of the metrics file that belongs to `step`.
        failed: rows of the batches without an update right before `step`, as many as `skipped_in_row`.
        sampler: what it has learnt from the answers to its questions, see `essen.sampling.sampler`.
    """

    model: Essen
    average: Essen | None
    optimiser: torch.optim.AdamW
    step: int = 0
    skipped: int = 0
    scored: int = 0
    metrics_bytes: int = 0
    failed: list[list[int]] = field(default_factory=list)
    sampler: dict[str, Any] = field(default_factory=dict)

    @property
    def skipped_in_row(self) -> int:
        """Steps without an update right before `step`."""
        return len(self.failed)


PLAIN = ("step", "skipped", "scored", "metrics_bytes", "failed", "sampler")


def save_checkpoint(state: TrainState, identity: dict[str, Any], folder: Path) -> Path:
    """Write a checkpoint atomically and remove all but the newest two.

    Args:
        identity: what must be equal for a resume to give equal bytes; see `essen.train`.
    """
    header = {"identity": identity, **{name: getattr(state, name) for name in PLAIN}}
    # One metadata entry: the format does not keep the order of several, and the bytes would differ.
    data = weights_bytes(_tensors(state), {"state": files.canonical_json(header)})
    path = folder / f"{state.step:08d}-{files.sha256_bytes(data)[:DIGITS]}.safetensors"
    files.write_bytes(path, data)
    for other in [file for file in _checkpoints(folder) if file != path][KEPT - 1 :]:
        other.unlink()
    return path


def load_checkpoint(
    state: TrainState, identity: dict[str, Any], folder: Path, warn: Callable[[str], None] = lambda _: None
) -> bool:
    """Fill a state from the newest sound checkpoint.

    Args:
        state: as it is at the start of a training of the same configuration.
        identity: what is true now; see `save_checkpoint`.
        folder: of the checkpoints; need not exist.
        warn: told in one line of every checkpoint that is damaged.

    Returns:
        False where there is none, and the state is as it was.

    Raises:
        EssenError: the checkpoint belongs to another configuration, other shards or another kind of machine.
    """
    for path in _checkpoints(folder):
        data = path.read_bytes()
        if files.sha256_bytes(data)[:DIGITS] != path.stem.partition("-")[2]:
            warn(f"{path} is damaged; the checkpoint before it is used")
            continue
        header = _header(data)
        _check_identity(header["identity"], identity, path)
        _restore(state, safetensors.torch.load(data))
        for name in PLAIN:
            setattr(state, name, header[name])
        return True
    return False


def _checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder, the newest first."""
    pattern = re.compile(rf"\d{{8}}-[0-9a-f]{{{DIGITS}}}\.safetensors")
    found = [path for path in folder.glob("*.safetensors") if pattern.fullmatch(path.name)]
    return sorted(found, reverse=True)


def _header(data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    header: dict[str, Any] = json.loads(metadata["state"])
    return header


def _check_identity(then: dict[str, Any], now: dict[str, Any], path: Path) -> None:
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            raise EssenError(
                f"{path} was written with {name} {then.get(name)}, now it is {now.get(name)}: the result would not be "
                f"that of one run; go on with the former, or remove {path.parent} to start again"
            )


def _tensors(state: TrainState) -> dict[str, Tensor]:
    tensors = {f"model.{name}": value for name, value in state.model.state_dict().items()}
    if state.average is not None:
        tensors |= {f"average.{name}": value for name, value in state.average.state_dict().items()}
    for number, entry in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": value for name, value in entry.items()}
    return tensors


def _restore(state: TrainState, tensors: dict[str, Tensor]) -> None:
    state.model.load_state_dict(_part(tensors, "model."))
    if state.average is not None:
        state.average.load_state_dict(_part(tensors, "average."))
    parameters = [parameter for group in state.optimiser.param_groups for parameter in group["params"]]
    entries: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "optimiser.").items():
        number, _, key = name.partition(".")
        like = parameters[int(number)]
        # The fused optimiser walks through memory, so its averages must lie there as the parameter does.
        laid_out = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
        entries.setdefault(int(number), {})[key] = laid_out
    groups = state.optimiser.state_dict()["param_groups"]
    state.optimiser.load_state_dict({"state": entries, "param_groups": groups})


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
