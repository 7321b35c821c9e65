"""Whether the bytes that arrived are a picture that can be used, and the change that some pictures need.

Bytes are kept as they are unless something has to change. A picture that is turned by its EXIF tag, transparent, of 16
bits, in CMYK or animated becomes a PNG in RGB without metadata: upright, on white, scaled to 8 bits, its first frame.
"""

import io
import re
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.acquire.raw import EXTENSIONS

if TYPE_CHECKING:
    from PIL import Image

PLAIN_MODES = frozenset({"1", "L", "P", "RGB"})
WIDE_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
OWN_FORMATS = re.compile(rb"\xff\xd8\xff|\x89PNG|GIF8|RIFF.{4}WEBP", re.S)
OTHER_FORMATS = re.compile(
    rb"%PDF|%!PS|BM|II\*\x00|MM\x00\*|\x00\x00\x01\x00|8BPS|.{4}ftyp|\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<svg", re.S
)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A picture that can be used.

    Attributes:
        image: encoded picture, in a format of `pipeline.acquire.raw.EXTENSIONS`.
        ext: its file extension without the dot.
        width, height: in pixels.
        original_width, original_height: of the picture as it arrived, before it was turned upright.
        note: what was changed, for a person; empty where the bytes were kept.
    """

    image: bytes
    ext: str
    width: int
    height: int
    original_width: int
    original_height: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A picture that cannot be used: ``not_an_image``, ``format_not_allowed``, ``too_many_pixels`` or ``truncated``."""

    reason: str
    message: str


def admit(data: bytes, *, max_pixels: int) -> Admitted | Refused:
    """Decide on the bytes of one picture.

    Args:
        max_pixels: width × height above which a picture is refused from its header, before anything is decoded.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=tuple(EXTENSIONS))
    except Image.DecompressionBombError as error:
        return Refused("too_many_pixels", str(error))
    except UnidentifiedImageError:
        return _unidentified(data)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        return Refused("truncated", _one_line(error))
    width, height = picture.size
    if width * height > max_pixels:
        return Refused("too_many_pixels", f"{width} × {height} pixels")
    if not is_complete(data):
        return Refused("truncated", "the end of the file is missing")
    try:
        return _load(data, picture)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, MemoryError) as error:
        return Refused("truncated", _one_line(error))


def is_complete(data: bytes) -> bool:
    """Tell whether an encoded picture has its end; decoders forgive a missing one and make up the last pixels."""
    if data.startswith(b"\xff\xd8"):  # JPEG: the end marker comes after the last start of a scan
        return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
    if data.startswith(b"\x89PNG"):
        return b"IEND\xaeB`\x82" in data
    if data.startswith(b"GIF8"):
        return data.rstrip(b"\x00").endswith(b";")
    if data.startswith(b"RIFF"):
        return len(data) >= 8 + int.from_bytes(data[4:8], "little")
    return True


def to_rgb(picture: "Image.Image") -> "Image.Image":
    """Return a loaded picture in RGB: 16 bits scaled to 8, transparency on white, upright by its EXIF orientation."""
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode in WIDE_MODES:
        return _scaled_to_8_bits(picture).convert("RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


def _load(data: bytes, picture: "Image.Image") -> Admitted:
    """Decode a picture, and encode it again where it has to change."""
    frames = getattr(picture, "n_frames", 1)
    picture.seek(0)
    picture.load()
    width, height = picture.size
    changes = [
        word
        for word, needed in (
            ("turned upright", picture.getexif().get(0x0112, 1) not in (0, 1)),
            ("transparency on white", picture.has_transparency_data),
            (f"converted from {picture.mode}", picture.mode not in PLAIN_MODES and not picture.has_transparency_data),
            ("first frame of an animation", frames > 1),
        )
        if needed
    ]
    if not changes:
        return Admitted(data, EXTENSIONS[picture.format or ""], width, height, width, height)
    rgb = to_rgb(picture)
    rgb.info.clear()
    out = io.BytesIO()
    rgb.save(out, format="PNG", compress_level=6)
    return Admitted(out.getvalue(), "png", *rgb.size, width, height, note=", ".join(changes))


def _scaled_to_8_bits(picture: "Image.Image") -> "Image.Image":
    """Return a picture of 16 bits as one of 8, white as white; Pillow's own conversion cuts off at 255."""
    import numpy as np
    from PIL import Image

    values = np.asarray(picture).astype(np.int64).clip(0, 65_535)
    return Image.fromarray(((values * 255 + 32_767) // 65_535).astype(np.uint8))


def _unidentified(data: bytes) -> Refused:
    if OWN_FORMATS.match(data):
        return Refused("truncated", "its header is broken")
    if OTHER_FORMATS.match(data):
        return Refused("format_not_allowed", f"none of {', '.join(EXTENSIONS)}")
    start = data[:16].decode("ascii", errors="replace").split()
    return Refused("not_an_image", f"it starts with {' '.join(start)!r}" if data else "it is empty")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
