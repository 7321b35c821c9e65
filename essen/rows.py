"""A forward pass of some rows of a batch that is what it would be if all rows went through together.

Dropout then depends on the row and not on its neighbours, and batch norms see the rows of all processes. What other
random numbers a library may draw depends on the pass, so the same pass again draws the same.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from essen.distributed import ALONE, Ranks, summed
from essen.randomness import DROPOUT

# One number for each kind of forward pass of a step, so that no two share their random numbers.
IMAGES, TEXTS, MATCHING, WORDS = range(4)


@dataclass(frozen=True, kw_only=True, slots=True)
class Passes:
    """How rows go through the model at one step.

    Attributes:
        seed, step: decide every draw.
        bf16: whether towers and fusion compute in bfloat16.
        micro_batch: most rows at once; 0: all.
        ranks: the processes among which the rows are divided.
        by_row: whether dropout goes by row. It takes longer than torch's own, so a model without any does without.
    """

    seed: int
    step: int
    bf16: bool
    micro_batch: int = 0
    ranks: Ranks = ALONE
    by_row: bool = False

    @property
    def in_parts(self) -> bool:
        """Tell whether a batch does not go through in one pass of one process."""
        return self.micro_batch > 0 or self.ranks.world > 1

    def parts(self, total: int) -> list[slice]:
        """Return this process's share of `total` rows in micro-batches; none where it has no share."""
        own = self.ranks.share(total)
        size = self.micro_batch or max(1, own.stop - own.start)
        return [slice(start, min(start + size, own.stop)) for start in range(own.start, own.stop, size)]

    def precision(self) -> contextlib.AbstractContextManager[object]:
        """Return the context in which towers and fusion compute."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bf16)

    @contextlib.contextmanager
    def forward(self, use: int, rows: slice) -> Iterator[None]:
        """Let some rows of one kind of pass go through the model."""
        stream = (self.seed, self.step, DROPOUT, use)
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.precision())
            stack.enter_context(torch.random.fork_rng(devices=[]))
            torch.manual_seed(int(_numbers((*stream, rows.start), 1)[0]))
            if self.by_row or self.ranks.world > 1:
                stack.enter_context(_RowWise(stream, rows, self.ranks))
            yield


def drops_out(model: nn.Module) -> bool:
    """Tell whether a model has dropout."""
    return any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules())


class _RowWise(TorchFunctionMode):
    """Takes the place of torch's dropout and batch norm as long as it is entered."""

    def __init__(self, stream: tuple[int, ...], rows: slice, ranks: Ranks) -> None:
        super().__init__()
        self._stream, self._rows, self._ranks = stream, rows, ranks
        self._calls = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute one function of torch."""
        if func is F.dropout:
            return self._dropout(*args, **(kwargs or {}))
        if func is F.batch_norm and self._ranks.world > 1:
            return _batch_norm(self._ranks.world, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _dropout(self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        count = self._rows.stop - self._rows.start
        if not training or p == 0 or len(x) != count:
            return F.dropout(x, p, training, inplace)
        self._calls += 1
        seeds = _numbers((*self._stream, self._calls), self._rows.stop)[self._rows]
        kept = torch.empty(x.shape, dtype=torch.float32)
        generator = torch.Generator()
        for row, seed in zip(kept, seeds.tolist(), strict=True):
            row.bernoulli_(1 - p, generator=generator.manual_seed(seed))
        return x * kept.div_(1 - p).to(x.dtype)


def _batch_norm(
    world: int,
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return `F.batch_norm` with the mean and variance over the rows of all processes, which hold equally many."""
    if not training:
        return F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
    across = (1, -1, *(1 for _ in x.shape[2:]))
    values = x.float()
    count = world * values.numel() // values.shape[1]
    axes = [0, *range(2, x.ndim)]
    mean = summed(values.sum(axes)) / count
    centred = values - mean.view(across)
    variance = summed(centred.square().sum(axes)) / count
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean, momentum)
            running_var.lerp_(variance * count / max(1, count - 1), momentum)
    normal = centred * (variance + eps).rsqrt().view(across)
    if weight is not None and bias is not None:
        normal = normal * weight.view(across) + bias.view(across)
    return normal.to(x.dtype).contiguous(memory_format=torch.channels_last if x.ndim == 4 else torch.contiguous_format)


def _numbers(stream: tuple[int, ...], count: int) -> np.ndarray:
    """Return `count` whole numbers below 2**63 that follow from a stream; the first of them are those of less."""
    return np.random.SeedSequence(stream).generate_state(count, np.uint64) >> np.uint64(1)
