"""Data parallel training: the processes that ``torchrun`` starts, and what they tell one another (gloo)."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from essen.processes import announced

# A process may wait long for the first one, which prepares the data; torchrun ends all where one of them fails.
PATIENCE = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that train one model together; alone by default, and then nothing is sent.

    Attributes:
        rank: from 0 upwards. Rank 0 writes.
        world: number of processes.
    """

    rank: int = 0
    world: int = 1

    @property
    def writes(self) -> bool:
        """Tell whether this process is the one that writes files."""
        return self.rank == 0

    def share(self, total: int) -> slice:
        """Return this process's part of `total` rows: consecutive, none missed, none twice, at most one more or less.

        Where all parts are equal they are those of `essen.data.rank_rows`.
        """
        return slice(total * self.rank // self.world, total * (self.rank + 1) // self.world)

    def gather(self, own: Tensor, total: int) -> Tensor:
        """Return all processes' rows in the order of their ranks, (total, …), of this one's (its share, …)."""
        if self.world == 1:
            return own
        if 0 in own.shape[1:]:
            return own.new_empty((total, *own.shape[1:]))
        sizes = [(part := Ranks(rank, self.world).share(total)).stop - part.start for rank in range(self.world)]
        padded = own.new_zeros((max(sizes), *own.shape[1:]))
        padded[: len(own)] = own
        # As bytes: gloo need not know the type of the numbers.
        sent = padded.view(torch.uint8)
        received = [torch.empty_like(sent) for _ in range(self.world)]
        dist.all_gather(received, sent)
        return torch.cat([part.view(own.dtype)[:size] for part, size in zip(received, sizes, strict=True)])

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace floating-point tensors by their sums over all processes, to the same bits in each."""
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([tensor.detach().flatten().float() for tensor in tensors])
        dist.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.detach().copy_(part.view(tensor.shape))

    def add_up_gradients(self, tensors: Sequence[Tensor]) -> None:
        """Replace gradients by their sums; a tensor has one afterwards where it had one in any process."""
        if self.world == 1:
            return
        has = torch.tensor([float(tensor.grad is not None) for tensor in tensors])
        dist.all_reduce(has)
        gradients = []
        for tensor, number in zip(tensors, has.tolist(), strict=True):
            if number:
                tensor.grad = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
                gradients.append(tensor.grad)
        self.add_up(gradients)

    def any(self, flag: bool) -> bool:
        """Tell whether a flag is set in any process."""
        if self.world == 1:
            return flag
        flags = torch.tensor([float(flag)])
        dist.all_reduce(flags)
        return bool(flags.item())

    def wait(self) -> None:
        """Return once all processes have come here."""
        if self.world > 1:
            dist.barrier()

    def tell(self, value: Any) -> Any:
        """Return what rank 0 was given, in every process."""
        if self.world == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]


ALONE = Ranks()


@contextlib.contextmanager
def joined() -> Iterator[Ranks]:
    """Join the other processes for as long as the context lasts, or whoever has joined them already."""
    ranks = Ranks(*announced())
    if ranks.world == 1 or dist.is_initialized():
        yield ranks
        return
    dist.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield ranks
    finally:
        dist.destroy_process_group()


class _Sum(torch.autograd.Function):
    """The sum over all processes; so is the gradient's way back."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:  # noqa: ARG004
        total = own.detach().clone().contiguous()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004
        total = gradient.clone().contiguous()
        dist.all_reduce(total)
        return total


def summed(own: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes, with its gradient."""
    total: Tensor = _Sum.apply(own)
    return total
