"""The model as Transformers knows models: this module and what it uses become ``modeling_essen.py`` of an export."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils.generic import ModelOutput

from essen.config import ModelConfig
from essen.model import Essen


class EssenConfig(PreTrainedConfig):
    """What ``config.json`` holds.

    Attributes:
        model: the model's own configuration, complete; see `ModelConfig`.
        vocab_size: number of word pieces.
        max_position_embeddings: longest caption, in word pieces.
        image_size: side of the pictures, pixels.
        projection_dim: width of the joint space.
    """

    model_type = "essen"

    def __init__(self, model: dict[str, Any] | None = None, vocab_size: int = 260, **kwargs: Any) -> None:
        about = ModelConfig.model_validate(model or {})
        self.model = about.model_dump(mode="json")
        self.vocab_size = vocab_size
        self.max_position_embeddings = about.text.max_length
        self.image_size = about.image_size
        self.projection_dim = about.embedding_size
        own = {"max_position_embeddings", "image_size", "projection_dim"}
        super().__init__(**{key: value for key, value in kwargs.items() if key not in own})


@dataclass
class EssenOutput(ModelOutput):
    """Of I pictures and T captions, as far as they were given.

    Attributes:
        logits_per_image: (I, T) cosines over the temperature.
        logits_per_text: (T, I) the same.
        image_embeds: (I, E) of unit length.
        text_embeds: (T, E) of unit length.
    """

    logits_per_image: Tensor | None = None
    logits_per_text: Tensor | None = None
    image_embeds: Tensor | None = None
    text_embeds: Tensor | None = None


class EssenModel(PreTrainedModel):
    """Two towers, a joint space, and a fusion that judges pairs."""

    config_class = EssenConfig
    config: EssenConfig
    base_model_prefix = "essen"
    main_input_name = "pixel_values"

    def __init__(self, config: EssenConfig) -> None:
        super().__init__(config)
        # Transformers builds models without memory; some backbones compute constants that no file of weights holds.
        with torch.device("cpu"):
            self.essen = Essen(ModelConfig.model_validate(config.model), config.vocab_size, pretrained=False)
        self._constants = {name: buffer.clone() for name, buffer in _constants(self.essen).items()}
        self.post_init()

    def get_image_features(self, pixel_values: Tensor) -> Tensor:
        """Return (I, E) embeddings of unit length.

        Args:
            pixel_values: (I, 3, S, S) of 0..1; what the tower subtracts and divides by is done inside.
        """
        return self.essen.encode_images(pixel_values).embedding

    def get_text_features(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return (T, E) embeddings of unit length.

        Args:
            input_ids: (T, L) int64, L at most ``config.max_position_embeddings``.
            attention_mask: (T, L), 1 where a token is real; None where all are.
        """
        return self.essen.encode_texts(input_ids, self._mask(input_ids, attention_mask)).embedding

    def match(self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return (B,) logits that picture and caption of each of B pairs belong together, by the fusion module."""
        images = self.essen.encode_images(pixel_values)
        return self.essen.match(images, self.essen.encode_texts(input_ids, self._mask(input_ids, attention_mask)))

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_dict: bool | None = None,
        **_: Any,
    ) -> EssenOutput | tuple[Tensor, ...]:
        """Return embeddings of what is given, and with both pictures and captions the logits of every pair."""
        found = EssenOutput()
        if pixel_values is not None:
            found.image_embeds = self.get_image_features(pixel_values)
        if input_ids is not None:
            found.text_embeds = self.get_text_features(input_ids, attention_mask)
        if found.image_embeds is not None and found.text_embeds is not None:
            scaled = self.essen.logit_scale.exp() * found.text_embeds
            found.logits_per_text = scaled @ found.image_embeds.T
            found.logits_per_image = found.logits_per_text.T
        found = EssenOutput(**{key: value for key, value in vars(found).items() if value is not None})
        return found if return_dict is not False else found.to_tuple()

    def _mask(self, input_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
        longest = self.config.max_position_embeddings
        if input_ids.shape[1] > longest:
            raise ValueError(
                f"captions have {input_ids.shape[1]} word pieces, the model takes {longest}: "
                "tokenise with truncation=True"
            )
        return torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """Load as Transformers does, and put back the constants, which it leaves without values."""
        loaded = super().from_pretrained(*args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        for name, buffer in _constants(model.essen).items():
            buffer.copy_(model._constants[name])
        return loaded


def _constants(model: nn.Module) -> dict[str, Tensor]:
    """Return the buffers that a file of weights does not hold."""
    stored = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name not in stored}
