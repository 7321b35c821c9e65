"""How torch computes: with how many threads, in which precision, with fixed results or not, compiled or not."""

import contextlib
from collections.abc import Callable, Iterator

import torch

from essen.config import TrainConfig
from essen.model import Essen
from pipeline.memory import kept_memory


@contextlib.contextmanager
def as_configured(config: TrainConfig) -> Iterator[None]:
    """Compute as a training wants it, and as before at the end."""
    with threads(config.threads), determinism(config.deterministic), kept_memory():
        yield


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


def uses_bf16(precision: str) -> bool:
    """Tell whether to compute in bf16: as asked, or for ``auto`` where the processor has instructions for it."""
    if precision == "auto":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
    return precision == "bf16"


@contextlib.contextmanager
def determinism(required: bool) -> Iterator[None]:
    """Let torch refuse operations without a fixed result, where that is asked for."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(required or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def compile_model(model: Essen, warn: Callable[[str], None]) -> bool:
    """Let towers and fusion be compiled at their first use; names and weights stay as they are.

    Returns:
        False where there is no compiler, which `warn` is told in one line; the model is then as it was.
    """
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        warn("train.compile: there is no C++ compiler, so nothing is compiled; install g++ or set it to false")
        return False
    model.vision.compile()
    # Captions and what the fusion sees differ in number and length from step to step.
    model.text.compile(dynamic=True)
    if model.fusion is not None:
        model.fusion.compile(dynamic=True)
    return True
