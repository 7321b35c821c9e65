"""All that training needs to go on from the middle, and how it is kept.

A checkpoint is one safetensors file whose name holds the step and the sha256 of the content. It appears by a rename,
so it is whole or absent; a changed byte no longer fits its name, and the one before it is used. Random numbers, batches
and the learning rate are functions of the step, so the step is all that stands for them, beside what a sampler that
asks questions has learnt from the answers, and how early stopping stands.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from essen.adapt.learning import changing
from essen.errors import EssenError
from essen.export import weights_bytes
from essen.model import Essen
from essen.objectives.contrastive import SigmoidBias
from essen.teacher import QueryKeys
from pipeline import files

KEPT = 2
DIGITS = 32


@dataclass(kw_only=True)
class TrainState:
    """What changes while training.

    Attributes:
        model: the weights that learn.
        average: their exponential moving average, or None.
        best: the weights that did best on the held-out set, or None without early stopping.
        bias: of the sigmoid contrast, or None.
        query_keys: by which towers without attention learn a teacher's, or None.
        optimiser: with one entry for every parameter in the model's order.
        step: finished steps.
        skipped: steps without an update because of a loss or gradient that was no number.
        scored: pairs that the model has looked at for the sampler alone.
        metrics_bytes: length of the metrics file that belongs to `step`.
        failed: rows of the batches without an update right before `step`, as many as `skipped_in_row`.
        anchor: step of the checkpoint to which a roll-back goes, 0 for the initial weights. Where it lies depends on
            the configuration and the training's course, not on where it was interrupted.
        rollbacks: how often that has been.
        best_score, best_step: of `best`; step 0: not examined yet.
        worse: examinations since then.
        stopped: whether training has ended early.
        seen: (n,) bool, which rows there were in any batch; None where that is not known, after an old checkpoint.
        words: of the captions of all batches, repetitions included; None where nobody asks.
        sampler: what it has learnt from the answers to its questions, see `essen.sampling.sampler`.
    """

    model: Essen
    average: Essen | None
    best: Essen | None
    bias: SigmoidBias | None
    optimiser: torch.optim.AdamW
    step: int = 0
    skipped: int = 0
    scored: int = 0
    metrics_bytes: int = 0
    failed: list[list[int]] = field(default_factory=list)
    anchor: int = 0
    rollbacks: int = 0
    best_score: float = 0.0
    best_step: int = 0
    worse: int = 0
    stopped: bool = False
    seen: Tensor | None = None
    words: int | None = None
    sampler: dict[str, Any] = field(default_factory=dict)
    query_keys: QueryKeys | None = None

    @property
    def skipped_in_row(self) -> int:
        """Steps without an update right before `step`."""
        return len(self.failed)

    @property
    def beside(self) -> tuple[nn.Module, ...]:
        """What learns with the model and is no part of it."""
        return tuple(module for module in (self.bias, self.query_keys) if module is not None)

    @property
    def learnt(self) -> Essen:
        """The weights that are worth something: the average, or else the last ones."""
        return self.average or self.model


PLAIN = (
    "step",
    "skipped",
    "scored",
    "metrics_bytes",
    "failed",
    "anchor",
    "rollbacks",
    "best_score",
    "best_step",
    "worse",
    "stopped",
    "sampler",
)


def save_checkpoint(state: TrainState, identity: dict[str, Any], folder: Path) -> Path:
    """Write a checkpoint atomically and remove all but the newest two and the one for a roll-back.

    Args:
        identity: what must be equal for a resume to give equal bytes; see `essen.train`.
    """
    header = {"identity": identity, **{name: getattr(state, name) for name in PLAIN}}
    if state.seen is not None:
        header["seen"] = _packed(state.seen)
    if state.words is not None:
        header["words"] = state.words
    # One metadata entry: the format does not keep the order of several, and the bytes would differ.
    data = weights_bytes(tensors_of(state), {"state": files.canonical_json(header)})
    path = folder / f"{state.step:08d}-{files.sha256_bytes(data)[:DIGITS]}.safetensors"
    files.write_bytes(path, data)
    for other in [file for file in _checkpoints(folder) if file != path][KEPT - 1 :]:
        if _step_of(other) != state.anchor:
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
        data = _sound(path)
        if data is None:
            warn(f"{path} is damaged; the checkpoint before it is used")
            continue
        header = _header(data)
        _check_identity(header["identity"], identity, path)
        tensors = safetensors.torch.load(data)
        restore(state, tensors)
        state.seen = None if state.seen is None or "seen" not in header else _unpacked(header["seen"], len(state.seen))
        state.words = header.get("words")
        if state.best is not None and header["best_step"]:
            _take_over(state.best, _part(tensors, "best."))
        for name in PLAIN:
            setattr(state, name, header[name])
        return True
    return False


def read_anchor(state: TrainState, folder: Path) -> dict[str, Tensor] | None:
    """Return the tensors of the checkpoint for a roll-back; None where it is missing or damaged."""
    for path in _checkpoints(folder):
        if _step_of(path) == state.anchor and (data := _sound(path)) is not None:
            return safetensors.torch.load(data)
    return None


def _packed(rows: Tensor) -> str:
    """Return (n,) bool as text, a digit for four rows."""
    return np.packbits(rows.numpy()).tobytes().hex()


def _unpacked(text: str, count: int) -> Tensor:
    packed = np.frombuffer(bytes.fromhex(text), np.uint8)
    return torch.from_numpy(np.unpackbits(packed, count=count).astype(np.bool_))


def _sound(path: Path) -> bytes | None:
    """Return a checkpoint's content, or None where it does not fit its name."""
    data = path.read_bytes()
    return data if files.sha256_bytes(data)[:DIGITS] == path.stem.partition("-")[2] else None


def _step_of(path: Path) -> int:
    return int(path.stem.partition("-")[0])


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


def tensors_of(state: TrainState) -> dict[str, Tensor]:
    """Return all tensors of a state by name, but what stands still: a configuration makes that again."""
    tensors: dict[str, Tensor] = {}
    named = {
        "model": state.model,
        "average": state.average,
        "best": state.best,
        "bias": state.bias,
        "query_keys": state.query_keys,
    }
    for name, module in named.items():
        if module is not None and (name != "best" or state.best_step):
            kept = changing(module) if isinstance(module, Essen) else module.state_dict()
            tensors |= {f"{name}.{key}": value for key, value in kept.items()}
    for number, entry in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": value for name, value in entry.items()}
    return tensors


def restore(state: TrainState, tensors: dict[str, Tensor]) -> None:
    """Take over what learns, from `tensors_of` a state of the same configuration."""
    _take_over(state.model, _part(tensors, "model."))
    if state.average is not None:
        _take_over(state.average, _part(tensors, "average."))
    if state.bias is not None:
        state.bias.load_state_dict(_part(tensors, "bias."))
    if state.query_keys is not None:
        state.query_keys.load_state_dict(_part(tensors, "query_keys."))
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


def _take_over(model: Essen, tensors: dict[str, Tensor]) -> None:
    model.load_state_dict({**model.state_dict(), **tensors})


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
