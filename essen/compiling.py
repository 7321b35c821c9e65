"""Compiling the model's parts with ``torch.compile``, where there is a C++ compiler to do it with."""

from collections.abc import Callable

from essen.model import Essen


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
