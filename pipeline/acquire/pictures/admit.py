"""Whether the bytes that arrived are a picture that can be used, and the change that some pictures need.

What is not pixels goes: place, camera, comments, thumbnails, anything after the end. Otherwise bytes are kept as they
are unless something has to change. A picture that is turned by its EXIF tag, transparent, of 16 bits, in CMYK, in
colours other than sRGB's or animated becomes a PNG in RGB: upright, on white, scaled to 8 bits, its first frame.

CMYK without a profile is (255 − ink) × (255 − black) / 255. A PNG's ``gAMA`` and ``cHRM`` are not applied, as no reader
of training data does.
"""

import io
import re
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.acquire.pictures.colour import is_srgb, to_srgb
from pipeline.acquire.pictures.containers import BrokenFile, Container, read_container
from pipeline.acquire.pictures.depth import from_16_bits, scaled_to_8_bits
from pipeline.acquire.raw import EXTENSIONS

if TYPE_CHECKING:
    from PIL import Image

VERSION = 2  # raised when the same bytes get another verdict or become other bytes
MIN_SIDE, MAX_SIDE = 2, 16_384  # pixels: a counting pixel is no picture, and nothing sensible is 60,000 × 1
PLAIN_MODES = frozenset({"1", "L", "P", "RGB"})
WIDE_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
OTHER_FORMATS = re.compile(
    rb"%PDF|%!PS|\xc5\xd0\xd3\xc6|BM.{4}\x00{4}|II[*+]\x00|MM\x00[*+]|\x00\x00\x01\x00|8BPS|.{4}ftyp|\xff\x0a"
    rb"|\x00\x00\x00\x0c(jP|JXL) |\s*(<\?xml[^>]*>\s*)?(<!DOCTYPE svg[^>]*>\s*)?(<!--.*?-->\s*)*<svg",
    re.S,
)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A picture that can be used.

    Attributes:
        image: encoded picture, in a format of `pipeline.acquire.raw.EXTENSIONS`, without metadata.
        ext: its file extension without the dot.
        width, height: in pixels.
        original_width, original_height: of the picture as it arrived, before it was turned upright.
        note: what was changed of the pixels, for a person; empty where they were kept.
        animated: whether it is the first of several frames.
    """

    image: bytes
    ext: str
    width: int
    height: int
    original_width: int
    original_height: int
    note: str = ""
    animated: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A picture that cannot be used.

    Attributes:
        reason: ``not_an_image``, ``format_not_allowed``, ``too_many_pixels``, ``too_few_pixels``, ``truncated`` (the
            file is cut or damaged) or ``decoder_crash`` (out of memory).
        message: for a person.
    """

    reason: str
    message: str


def admit(data: bytes, *, max_pixels: int) -> Admitted | Refused:
    """Decide on the bytes of one picture.

    Args:
        max_pixels: width × height above which a picture is refused from its header, before anything is decoded.
    """
    from PIL import Image

    try:
        container = read_container(data)
        if container is None:
            return _unidentified(data)
        if refused := _wrong_size(container.width, container.height, max_pixels):
            return refused
        if not container.plausible:
            return Refused("truncated", f"it holds fewer than {container.width} × {container.height} pixels")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(container.image), formats=(container.kind,)) as picture:
                return _wrong_size(*picture.size, max_pixels) or _load(container, picture)
    except Image.DecompressionBombError as error:
        return Refused("too_many_pixels", str(error))
    except MemoryError:
        return Refused("decoder_crash", "out of memory")
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        return Refused("truncated", _one_line(error))


def is_complete(data: bytes) -> bool:
    """Tell whether an encoded picture has its end; decoders forgive a missing one and make up the last pixels."""
    try:
        read_container(data)
    except BrokenFile:
        return False
    return True


def to_rgb(picture: "Image.Image") -> "Image.Image":
    """Return a loaded picture in RGB: 16 bits scaled to 8, transparency on white, upright by its EXIF orientation.

    The picture that is given is turned itself.
    """
    from PIL import Image, ImageOps

    ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode in WIDE_MODES:
        return scaled_to_8_bits(picture).convert("RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


def _wrong_size(width: int, height: int, max_pixels: int) -> Refused | None:
    size = f"{width} × {height} pixels"
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        return Refused("too_many_pixels", size)
    return Refused("too_few_pixels", size) if min(width, height) < MIN_SIDE else None


def _load(container: Container, picture: "Image.Image") -> Admitted:
    """Decode a picture, and encode it again where it has to change."""
    picture.load()
    width, height = picture.size
    coloured = bool(container.profile) and not is_srgb(container.profile, _colour_mode(picture))
    changes = [
        word
        for word, needed in (
            ("turned upright", container.orientation != 1),
            ("transparency on white", picture.has_transparency_data),
            (f"converted from {picture.mode}", picture.mode not in PLAIN_MODES and not picture.has_transparency_data),
            ("colours by its profile", coloured),
            ("first frame of an animation", container.animated),
        )
        if needed
    ]
    ext, note = EXTENSIONS[container.kind], ", ".join(changes)
    if not changes:
        return Admitted(container.image, ext, width, height, width, height)
    rgb = _upright(_on_white(picture, container, coloured), container.orientation)
    rgb.info.clear()
    out = io.BytesIO()
    rgb.save(out, format="PNG", compress_level=6)
    return Admitted(out.getvalue(), "png", *rgb.size, width, height, note=note, animated=container.animated)


def _colour_mode(picture: "Image.Image") -> str:
    """Return the mode in which a picture's colours are handed to its profile: L, RGB or CMYK."""
    if picture.mode in ("1", "L", "LA") or picture.mode in WIDE_MODES:
        return "L"
    return "CMYK" if picture.mode == "CMYK" else "RGB"


def _on_white(picture: "Image.Image", container: Container, coloured: bool) -> "Image.Image":
    """Return the decoded picture in sRGB on white."""
    from PIL import ImageChops

    if container.depth == 16 and picture.mode in ("RGB", "RGBA") and not coloured:
        return from_16_bits(container.image)
    alpha = _alpha(picture, container.depth)
    picture.info.pop("transparency", None)
    mode = _colour_mode(picture)
    if picture.mode in WIDE_MODES:
        picture = scaled_to_8_bits(picture)
    elif picture.mode == "CMYK" and "adobe" not in picture.info:
        picture = ImageChops.invert(picture)  # Pillow takes every CMYK for Adobe's, which is stored inverted
    plain = picture if picture.mode == mode else picture.convert(mode)
    rgb = to_srgb(plain, container.profile) if coloured else plain.convert("RGB")
    if alpha is None:
        return rgb
    rgb.putalpha(alpha)
    return to_rgb(rgb)


def _alpha(picture: "Image.Image", depth: int) -> "Image.Image | None":
    """Return a picture's opacity in mode L, None where it has none.

    Args:
        depth: bits of a channel in the file, in which a PNG names its one transparent value.
    """
    import numpy as np
    from PIL import Image

    if not picture.has_transparency_data:
        return None
    clear = picture.info.get("transparency")
    if picture.mode in WIDE_MODES:
        return Image.fromarray(np.where(np.asarray(picture) == clear, 0, 255).astype(np.uint8))
    if picture.mode == "L" and isinstance(clear, int) and depth < 8:
        picture.info["transparency"] = clear * 255 // ((1 << depth) - 1)
    elif picture.mode == "RGB" and isinstance(clear, tuple) and depth == 16:
        picture.info["transparency"] = tuple(value >> 8 for value in clear)
    return picture.convert("RGBA").getchannel("A")


def _upright(picture: "Image.Image", orientation: int) -> "Image.Image":
    from PIL import Image

    turn = Image.Transpose
    turns = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_270,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_90,
    }
    return picture.transpose(turns[orientation]) if orientation in turns else picture


def _unidentified(data: bytes) -> Refused:
    if OTHER_FORMATS.match(data):
        return Refused("format_not_allowed", f"none of {', '.join(EXTENSIONS)}")
    start = data[:16].decode("ascii", errors="replace").split()
    return Refused("not_an_image", f"it starts with {' '.join(start)!r}" if data else "it is empty")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
