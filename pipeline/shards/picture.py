"""A picture as acquired, brought to the one form that the shards hold: a square RGB JPEG on white."""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
MAX_PIXELS = 50_000_000  # refused from the header, before anything is decoded
QUALITY = 92


class PictureError(ValueError):
    """The bytes are not a picture that can be used; the text says why in a few words."""


def staged_jpeg(data: bytes, size: int) -> bytes:
    """Return an encoded picture as a JPEG of `size` × `size` pixels: whole, centred, on white.

    Quality 92 without chroma subsampling, which would blur the thin coloured lines of drawings. No metadata is kept.

    Raises:
        PictureError: the bytes cannot be decoded, or are of another format.
    """
    out = io.BytesIO()
    letterbox(decode_rgb(data), size).save(out, "JPEG", quality=QUALITY, subsampling=0)
    return out.getvalue()


def decode_rgb(data: bytes) -> "Image.Image":
    """Return the first frame as RGB, upright by its EXIF tag, transparency on white, 16 bits scaled to 8.

    Raises:
        PictureError: the bytes cannot be decoded, are of another format, or hold too many pixels.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise PictureError(f"{image.width} × {image.height} pixels are too many")
            image.load()
            return _on_white(ImageOps.exif_transpose(image))
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, PictureError):
            raise
        raise PictureError("cannot be decoded") from error


def letterbox(image: "Image.Image", size: int) -> "Image.Image":
    """Return the RGB picture scaled to fit a white square of `size` pixels, centred."""
    from PIL import Image

    scale = size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    square = Image.new("RGB", (size, size), "white")
    scaled = image.resize((width, height), Image.Resampling.LANCZOS)
    square.paste(scaled, ((size - width) // 2, (size - height) // 2))
    return square


def _on_white(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    if image.mode.startswith("I"):
        return _scaled_to_8_bits(image).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _scaled_to_8_bits(image: "Image.Image") -> "Image.Image":
    """Pillow's own conversion clips 16 bits to 255 instead of scaling them."""
    import numpy as np
    from PIL import Image

    wide = np.asarray(image).astype(np.uint32)
    return Image.fromarray(((wide * 255 + 32_767) // 65_535).clip(0, 255).astype(np.uint8))
