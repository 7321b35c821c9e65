"""A picture as acquired, brought to the one form that the shards hold: a square RGB JPEG on white."""

import io
import struct
import zlib
from typing import TYPE_CHECKING

from pipeline.acquire.pictures.admit import is_complete, to_rgb
from pipeline.acquire.raw import EXTENSIONS

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 50_000_000  # refused from the header, before anything is decoded
QUALITY = 92


class PictureError(Exception):
    """The bytes are not a picture that can be used; the text says why and goes on from a subject."""


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
    """Return the first frame in RGB, as `pipeline.acquire.pictures.admit.to_rgb` makes it.

    Raises:
        PictureError: the bytes are cut, cannot be decoded, are of another format, or hold too many pixels.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=tuple(EXTENSIONS)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise PictureError(f"has too many pixels ({image.width} × {image.height})")
            if not is_complete(data):
                raise PictureError("is not whole")
            image.load()
            return to_rgb(image)
    except Image.DecompressionBombError:
        raise PictureError("has too many pixels") from None
    except (OSError, SyntaxError, EOFError, struct.error, zlib.error) as error:
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
