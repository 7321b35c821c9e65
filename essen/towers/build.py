"""From a configuration to its towers. timm and transformers are imported where a configuration asks for them."""

from essen.config import BackboneConfig, ModelConfig, PatchConfig, TextConfig
from essen.towers.patch import PatchTower
from essen.towers.text import TextTower
from essen.towers.tower import Tower
from essen.towers.vision import VisionTower
from essen.towers.weights import load_own


def build_vision_tower(config: ModelConfig, *, pretrained: bool = True) -> Tower:
    """Return the vision tower of a model.

    Args:
        config: of the whole model.
        pretrained: load the weights that are named; otherwise they are random.

    Raises:
        EssenError: a backbone or its weights cannot be had or do not fit.
    """
    vision = config.vision
    if isinstance(vision, BackboneConfig):
        from essen.towers.backbone import BackboneTower

        return BackboneTower(vision, config.image_size, pretrained=pretrained)
    tower: Tower
    if isinstance(vision, PatchConfig):
        tower = PatchTower(vision, config.image_size, config.dropout)
    else:
        tower = VisionTower(vision, config.image_size, config.dropout)
    return load_own(tower, "vision", vision.weights) if pretrained and vision.weights else tower


def build_text_tower(config: ModelConfig, vocab_size: int, *, pretrained: bool = True) -> tuple[Tower, ModelConfig]:
    """Return the text tower of a model, and the model's configuration with all that is needed to build it again.

    Args:
        config: of the whole model.
        vocab_size: number of word pieces of the tokenizer.
        pretrained: load the weights that are named; otherwise they are random.

    Raises:
        EssenError: an encoder or its weights cannot be had or do not fit.
    """
    text = config.text
    if isinstance(text, TextConfig):
        own = TextTower(text, vocab_size, config.dropout)
        return load_own(own, "text", text.weights) if pretrained and text.weights else own, config
    from essen.towers.pretrained import PretrainedTextTower

    tower = PretrainedTextTower(text, vocab_size, pretrained=pretrained)
    complete = text.model_copy(update={"architecture": tower.architecture})
    return tower, config.model_copy(update={"text": complete})
