"""Pictures as the model takes them: this module and what it uses become ``image_processing_essen.py`` of an export."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_processing_base import ImageProcessingMixin

from pipeline.shards.picture import letterbox


class EssenImageProcessor(ImageProcessingMixin):
    """Upright, transparency on white, whole and centred on a white square, 0..1; nothing is cut or stretched.

    Attributes:
        image_size: side of the square, pixels.
    """

    model_input_names = ["pixel_values"]  # noqa: RUF012 - as Transformers declares it

    def __init__(self, image_size: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image_size = image_size

    def __call__(self, images: Image.Image | Sequence[Image.Image], return_tensors: str | None = None) -> BatchFeature:
        """Return ``pixel_values`` (B, 3, S, S) float32 of 0..1.

        Args:
            images: one or more, of 8 bits a channel.
            return_tensors: ``pt`` or ``np``.

        Raises:
            ValueError: a picture has more than 8 bits a channel.
        """
        several = [images] if isinstance(images, Image.Image) else list(images)
        pixels = [np.asarray(self._square(image), np.float32).transpose(2, 0, 1) / 255 for image in several]
        return BatchFeature({"pixel_values": np.stack(pixels)}, tensor_type=return_tensors)

    def _square(self, image: Image.Image) -> Image.Image:
        if image.mode.startswith(("I", "F")):
            raise ValueError(f"a picture of mode {image.mode} has more than 8 bits a channel; scale it to 8 first")
        upright = ImageOps.exif_transpose(image).convert("RGBA")
        white = Image.new("RGBA", upright.size, "white")
        return letterbox(Image.alpha_composite(white, upright).convert("RGB"), self.image_size)
