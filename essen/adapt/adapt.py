"""From a configuration to adapted towers: what is added to them, and which of their weights learn.

LilT (arXiv 2303.11866) aligns two pretrained towers by training few of their weights. Here every kind but ``full``
freezes the bodies of the towers first, and then lets something in them, or beside them, learn. Whatever is added leaves
the towers' function as it is at the start.
"""

from collections.abc import Callable, Iterator
from itertools import zip_longest

from torch import nn

from essen.adapt.adapters import Adapter, insert, zeroed
from essen.adapt.select import biases_of, normalisation_of
from essen.config import AdapterConfig, AnyAdapt, DeepConfig, GatedConfig, LowRankConfig, SharedConfig
from essen.errors import EssenError
from essen.towers.tower import Tower
from essen.towers.transformer import TransformerLayer


def adapt_towers(vision: Tower, text: Tower, config: AnyAdapt, *, frozen: tuple[bool, bool]) -> nn.ModuleList:
    """Adapt a pair of towers in place.

    Args:
        vision, text: the towers, their pretrained weights loaded.
        config: how.
        frozen: whether vision, and whether text, stands still whatever the kind.

    Returns:
        What belongs to both towers, for their owner to keep; empty but for ``shared``.

    Raises:
        EssenError: both towers stand still, or what is to be added has no place or does not fit.
    """
    if config.kind == "full":
        return nn.ModuleList()
    towers = [tower for tower, stands in zip((vision, text), frozen, strict=True) if not stands]
    if config.kind == "locked":
        towers = [tower for tower in towers if tower is vision]
    for tower in towers:
        tower.freeze(*tower.body())
    if config.kind in ("projections", "locked"):
        return nn.ModuleList()
    if len(towers) < (2 if config.kind == "shared" else 1):
        raise EssenError(f"model.adapt: a tower that {config.kind} is to work on is frozen; set its freeze to false")
    for tower in towers:
        _adapt(tower, config)
    return _add_shared(vision, text, config) if isinstance(config, SharedConfig) else nn.ModuleList()


def _adapt(tower: Tower, config: AnyAdapt) -> None:
    """Let something learn in, or beside, the frozen body of one tower."""
    if config.kind == "normalisation" or (isinstance(config, AdapterConfig) and config.normalisation):
        _let_learn(tower, normalisation_of)
    elif config.kind == "biases":
        _let_learn(tower, biases_of)
    if isinstance(config, AdapterConfig | GatedConfig):
        for place in tower.places():
            inside = max(1, place.width // config.reduction)
            insert(place, Adapter(place, inside, gated=isinstance(config, GatedConfig)))
    elif isinstance(config, DeepConfig):
        _add_block(tower, config.heads)
    elif isinstance(config, LowRankConfig):
        from essen.adapt.lora import add_low_rank

        add_low_rank(tower, config)


def _let_learn(tower: Tower, parameters_of: Callable[[nn.Module], Iterator[nn.Parameter]]) -> None:
    for part in tower.body():
        if isinstance(part, nn.Module):
            for parameter in parameters_of(part):
                parameter.requires_grad_(True)


def _add_block(tower: Tower, heads: int) -> None:
    """Put a block on top of the body that changes nothing yet, and let the last norm learn."""
    if tower.width % heads:
        raise EssenError(f"model.adapt.heads ({heads}) must divide the widths of both towers; one is {tower.width}")
    block = TransformerLayer(tower.width, heads)
    for last in (block.out, block.feed_forward[-1]):
        assert isinstance(last, nn.Linear)
        zeroed(last)
    tower.added.append(block)
    for part in tower.body():
        if isinstance(part, nn.LayerNorm):
            part.requires_grad_(True)


def _add_shared(vision: Tower, text: Tower, config: SharedConfig) -> nn.ModuleList:
    """Put adapters into both towers, and return what pairs of them share, from the top downwards."""
    common = nn.ModuleList()
    for pair in zip_longest(reversed(vision.places()), reversed(text.places())):
        places = [place for place in pair if place is not None]
        both = zeroed(nn.Linear(config.width, config.share)) if len(places) == 2 else None
        if both is not None:
            common.append(both)
        for place in places:
            if both is not None and place.width < config.share:
                raise EssenError(
                    f"model.adapt.share ({config.share}) is more than the width of a place for an adapter; make it at "
                    f"most {place.width}"
                )
            insert(place, Adapter(place, config.width, shared=both))
    return common
