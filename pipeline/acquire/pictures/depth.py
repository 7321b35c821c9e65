"""Channels of 16 bits as channels of 8, scaled: 65,535 is 255."""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

ROWS = 64  # at a time, for memory only


def scaled_to_8_bits(picture: "Image.Image") -> "Image.Image":
    """Return a picture of one channel of 16 bits in mode L; Pillow's own conversion cuts off at 255."""
    import numpy as np
    from PIL import Image

    values = np.asarray(picture).clip(0, 65_535).astype(np.uint32)
    values *= 255
    values += 32_767
    values //= 65_535
    return Image.fromarray(values.astype(np.uint8))


def from_16_bits(png: bytes) -> "Image.Image":
    """Return a PNG of 16 bits with colour or opacity, or both, in RGB on white.

    Pillow keeps the high byte of such channels, which is off by up to one level and, under opacity, by two. So the low
    bytes are read as well.
    """
    import numpy as np
    from PIL import Image

    high, low, clear = _bytes_of(png)
    rgb = np.empty((*high.shape[:2], 3), np.uint8)
    for start in range(0, len(high), ROWS):
        values = high[start : start + ROWS].astype(np.uint16) << 8 | low[start : start + ROWS]
        levels = values.astype(np.float64) / 257
        colour, alpha = levels, np.ones_like(levels[..., :1])
        if levels.shape[2] in (2, 4):
            colour, alpha = levels[..., :-1], levels[..., -1:] / 255
        elif clear is not None:
            alpha = 1.0 - (values == clear).all(axis=2, keepdims=True)
        rgb[start : start + ROWS] = (colour * alpha + 255 * (1 - alpha)).round()
    return Image.fromarray(rgb)


def _bytes_of(png: bytes) -> "tuple[np.ndarray, np.ndarray, tuple[int, ...] | None]":
    """Return high and low bytes, (H, W, C) uint8 each, and the one transparent colour, None without one."""
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(png), formats=("PNG",)) as picture:
        stored = str(picture.tile[0].args)
        clear = picture.info.get("transparency")
    if stored == "LA;16B":  # four bytes a pixel, like a channel each
        both = np.asarray(_decoded(png, "RGBA"))
        return both[..., ::2], both[..., 1::2], None
    # As little-endian values the low bytes are the high ones.
    return np.asarray(_decoded(png, stored)), np.asarray(_decoded(png, stored.replace("16B", "16L"))), clear


def _decoded(png: bytes, stored: str) -> "Image.Image":
    """Return a PNG decoded as if its pixels were stored in a raw mode of the same length."""
    from PIL import Image

    picture = Image.open(io.BytesIO(png), formats=("PNG",))
    picture.tile = [tile._replace(args=stored) for tile in picture.tile]
    picture.load()
    return picture
