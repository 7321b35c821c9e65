"""How many threads torch computes with for a while."""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def threads(number: int) -> Iterator[None]:
    """Let torch use so many threads, or as many as it did where the number is 0.

    One is right for small fits: products of a few hundred rows gain nothing from a second thread, lose much where other
    programs want it too, and their results depend on how many there are.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
