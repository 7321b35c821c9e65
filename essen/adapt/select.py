"""Which parameters learn: chosen by the type of the module that owns them, never by their name.

The variants follow LilT (arXiv 2303.11866), whose smallest ones train the layer norms or the biases alone. Names differ
from backbone to backbone (a "norm" may be a query norm, a "bias" a table of positions); types do not.
"""

import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from torch import nn

Variant = Literal["projections", "normalisation", "biases", "full"]

NORMALISATION = (
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
)
CONVOLUTION = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
BIASED = (nn.Linear, nn.Bilinear, *CONVOLUTION, *NORMALISATION)


@dataclass(frozen=True, slots=True)
class Selection:
    """The parameters that learn, each once, in the order of the model.

    Attributes:
        trainable: what the optimiser is to hold.
        num_trainable: numbers in `trainable`.
        num_projection: of these, numbers in the projections, to be counted apart (methods differ by less than them).
        num_total: numbers in all parameters of the model.
    """

    trainable: tuple[nn.Parameter, ...]
    num_trainable: int
    num_projection: int
    num_total: int


def select_parameters(
    model: nn.Module, variant: Variant, projections: Iterable[nn.Module | nn.Parameter] = ()
) -> Selection:
    """Choose the parameters that learn, and count them exactly; a tied parameter counts once.

    Args:
        model: any module.
        variant: ``projections`` (these alone), ``normalisation`` (scales and shifts of every normalisation layer),
            ``biases`` (BitFit: every bias of linear, convolutional, attention and normalisation layers) or ``full``.
        projections: modules and parameters that learn in every variant: the projections into the joint space and
            the temperature.

    Raises:
        ValueError: an unknown variant, a projection that is not part of the model, or nothing left to learn.
    """
    everything = list(model.parameters())
    always = {id(parameter) for item in projections for parameter in _parameters(item)}
    if not always <= {id(parameter) for parameter in everything}:
        raise ValueError("a projection to be trained is not a part of the model")
    chosen = always | {id(parameter) for parameter in _of_variant(model, variant)}
    trainable = tuple(parameter for parameter in everything if id(parameter) in chosen)
    if not trainable:
        raise ValueError(f"variant {variant!r} leaves nothing to learn in this model")
    return Selection(
        trainable=trainable,
        num_trainable=sum(parameter.numel() for parameter in trainable),
        num_projection=sum(parameter.numel() for parameter in trainable if id(parameter) in always),
        num_total=sum(parameter.numel() for parameter in everything),
    )


def freeze(model: nn.Module, selection: Selection) -> None:
    """Let only the selected parameters learn, and hold in evaluation mode every module in which none of them lies.

    A frozen module stays in evaluation mode through every later ``train()`` call, so the statistics of its batch norms
    stand still and its dropout is off. Calling this again with another selection replaces the first. The model can be
    copied (`copy.deepcopy`) and saved by its state, but not pickled.
    """
    chosen = {id(parameter) for parameter in selection.trainable}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in chosen)
        if not parameter.requires_grad:
            parameter.grad = None
    for module in model.modules():
        module.__dict__.pop("train", None)
    for module in model.modules():
        if _is_frozen(module):
            module.train = types.MethodType(_stay_in_evaluation, module)  # type: ignore[method-assign]
    model.train(model.training)


def _parameters(item: nn.Module | nn.Parameter) -> Iterator[nn.Parameter]:
    if isinstance(item, nn.Parameter):
        yield item
    else:
        yield from item.parameters()


def _of_variant(model: nn.Module, variant: Variant) -> Iterator[nn.Parameter]:
    if variant == "full":
        yield from model.parameters()
    elif variant == "normalisation":
        for module in model.modules():
            if isinstance(module, NORMALISATION):
                yield from module.parameters(recurse=False)
    elif variant == "biases":
        for module in model.modules():
            yield from _biases(module)
    elif variant != "projections":
        raise ValueError(f"unknown variant {variant!r}: projections, normalisation, biases or full")


def _biases(module: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the biases that a module owns itself, as its type defines them."""
    found: list[object] = []
    if isinstance(module, nn.MultiheadAttention):
        found = [module.in_proj_bias, module.bias_k, module.bias_v]
    elif isinstance(module, BIASED):
        found = [getattr(module, "bias", None)]  # RMSNorm has none
    yield from (bias for bias in found if isinstance(bias, nn.Parameter))


def _is_frozen(module: nn.Module) -> bool:
    """Tell whether a module holds state (parameters or buffers) of which nothing learns."""
    parameters = list(module.parameters())
    if not parameters:
        return next(module.buffers(), None) is not None
    return not any(parameter.requires_grad for parameter in parameters)


def _stay_in_evaluation(module: nn.Module, mode: bool = True) -> nn.Module:  # noqa: ARG001 (the signature of train)
    return type(module).train(module, False)
