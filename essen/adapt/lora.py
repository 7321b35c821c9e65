"""LoRA (Hu et al., arXiv 2106.09685) by the library peft."""

from torch import nn

from essen.adapt.select import linear_maps_of
from essen.config import LowRankConfig
from essen.errors import EssenError
from essen.towers.tower import Tower


def add_low_rank(tower: Tower, config: LowRankConfig) -> None:
    """Add a change of low rank, zero at the start, to every linear map and ungrouped convolution of a tower's body.

    Raises:
        EssenError: the library is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise EssenError("model.adapt of kind lora: peft is not installed; pip install 'essen[lora]'") from None
    inside = {id(module) for part in tower.body() if isinstance(part, nn.Module) for module in part.modules()}
    names = [name for name in linear_maps_of(tower) if id(tower.get_submodule(name)) in inside]
    learning = [parameter for parameter in tower.parameters() if parameter.requires_grad]
    inject_adapter_in_model(LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules=names), tower)
    for parameter in learning:  # the library lets nothing but its own learn
        parameter.requires_grad_(True)
