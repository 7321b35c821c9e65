"""What of a model learns and what stands still: counted for people, told apart for checkpoints and averages."""

import copy

from torch import Tensor, nn

from essen.adapt.adapters import Adapter
from essen.model import Essen


def count_learning(model: Essen) -> dict[str, int]:
    """Return exact numbers of parameters, a tied one counted once.

    Returns:
        ``parameters``, all; and where not all of them learn: ``trainable``, and of these ``trainable_in_towers``, by
        which the kinds of adaptation differ, and ``projections``, the two maps into the joint space and the
        temperature. The rest are pools, fusion and heads.
    """
    total, trainable = sum(parameter.numel() for parameter in model.parameters()), _learning(model)
    if total == trainable:
        return {"parameters": total}
    vision, text = model.vision, model.text
    return {
        "parameters": total,
        "trainable": trainable,
        "trainable_in_towers": _learning(*vision.body(), *text.body(), vision.added, text.added, model.shared),
        "projections": _learning(model.image_projection, model.text_projection, model.logit_scale),
    }


def changing(model: Essen) -> dict[str, Tensor]:
    """Return the tensors of a model's state that training may change, by name, in the state's order."""
    return _parted(model)[0]


def still(model: Essen) -> dict[str, Tensor]:
    """Return the tensors of a model's state that training never changes, by name; none where all of it learns."""
    return _parted(model)[1]


def copy_model(model: Essen) -> Essen:
    """Return a copy of a model that shares the tensors that training never changes."""
    kept = {id(parameter): parameter for parameter in model.parameters() if not parameter.requires_grad}
    buffers = {id(buffer): buffer for tower in (model.vision, model.text) for buffer in tower.still_buffers()}
    return copy.deepcopy(model, kept | buffers)


def mean_gate(model: nn.Module) -> float | None:
    """Return the mean of σ(g) over the gated adapters; None where there is none."""
    gates = [module.gate for module in model.modules() if isinstance(module, Adapter) and module.gate is not None]
    return sum(gate.sigmoid().item() for gate in gates) / len(gates) if gates else None


def _parted(model: Essen) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the tensors that change and those that do not."""
    buffers = {id(buffer) for tower in (model.vision, model.text) for buffer in tower.still_buffers()}
    moving: dict[str, Tensor] = {}
    standing: dict[str, Tensor] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        stands = not tensor.requires_grad if isinstance(tensor, nn.Parameter) else id(tensor) in buffers
        (standing if stands else moving)[name] = tensor.detach()
    return moving, standing


def _learning(*parts: nn.Module | nn.Parameter) -> int:
    """Return the number of numbers in parts of a model that learn."""
    parameters = {p for part in parts for p in ([part] if isinstance(part, nn.Parameter) else part.parameters())}
    return sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
