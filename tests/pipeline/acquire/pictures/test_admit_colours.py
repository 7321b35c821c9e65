"""Every mode, depth and profile becomes the colours that it stands for, on white."""

import struct
import zlib
from collections.abc import Callable

import numpy as np
import profiles
import pytest
from acquire_helpers import encoded, noise
from admit_helpers import admitted, pixels
from bombs import png
from PIL import Image, ImageCms


def on_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Levels of 0 to 255 with an opacity of 0 to 1."""
    return colour * alpha + 255 * (1 - alpha)


def deep_png(values: np.ndarray, *, depth: int = 16, colour: int, extra: bytes = b"") -> bytes:
    """A PNG of (H, W, C) values of 16 bits, or of (H, W, 1) values of fewer."""
    height, width, _ = values.shape
    if depth == 16:
        rows = values.astype(">u2").reshape(height, -1).view(np.uint8)
    else:
        bits = np.unpackbits(values.astype(np.uint8).reshape(height, width, 1), axis=2)[..., 8 - depth :]
        rows = np.packbits(bits.reshape(height, -1), axis=1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    return png(width, height, zlib.compress(data), depth=depth, colour=colour, extra=extra)


def transparent(*values: int) -> bytes:
    body = b"tRNS" + struct.pack(f">{len(values)}H", *values)
    return struct.pack(">I", 2 * len(values)) + body + struct.pack(">I", zlib.crc32(body))


def smooth(channels: int) -> np.ndarray:
    """(32, 32, C) levels that JPEG keeps well."""
    coarse = np.random.default_rng(5).integers(0, 256, (2, 2, channels), dtype=np.uint8)
    bands = [Image.fromarray(coarse[..., c]).resize((32, 32), Image.Resampling.BICUBIC) for c in range(channels)]
    return np.stack([np.asarray(band) for band in bands], axis=2)


def inks(levels: np.ndarray) -> np.ndarray:
    """RGB of (…, 4) inks of 0 to 255."""
    return (255 - levels[..., :3]) * (255 - levels[..., 3:]) / 255


def jpeg(levels: np.ndarray, mode: str) -> bytes:
    picture = Image.fromarray(levels if levels.shape[2] > 1 else levels[..., 0], mode)
    return encoded(picture, "JPEG", quality=100, subsampling=0)


def rgb_jpeg() -> tuple[bytes, np.ndarray]:
    levels = smooth(3)
    return jpeg(levels, "RGB"), levels


def grey_jpeg() -> tuple[bytes, np.ndarray]:
    levels = smooth(1)
    return jpeg(levels, "L"), levels.repeat(3, axis=2)


def cmyk_jpeg() -> tuple[bytes, np.ndarray]:
    levels = smooth(4)
    return jpeg(levels, "CMYK"), inks(levels.astype(float))


def plain_cmyk_jpeg() -> tuple[bytes, np.ndarray]:
    """Inks that are stored as they are, as without Adobe's mark."""
    data, _ = cmyk_jpeg()
    at = data.index(b"\xff\xee")
    return data[:at] + data[at + 16 :], inks(255 - smooth(4).astype(float))


def ycck_jpeg() -> tuple[bytes, np.ndarray]:
    """Inks of which the coloured ones are stored as luminance and chrominance, and black inverted."""
    levels = smooth(4)
    coloured = np.asarray(Image.fromarray(levels[..., :3], "RGB").convert("YCbCr"))
    stored = np.concatenate([coloured, 255 - levels[..., 3:]], axis=2)
    data = bytearray(jpeg(255 - stored, "CMYK"))
    data[data.index(b"\xff\xee") + 15] = 2
    return bytes(data), inks(levels.astype(float))


def of_mode(mode: str) -> Callable[[], tuple[bytes, np.ndarray]]:
    def make() -> tuple[bytes, np.ndarray]:
        picture = noise(2, mode=mode)
        values = np.asarray(picture).astype(float)
        if mode == "L":
            return encoded(picture, "PNG"), values[..., None].repeat(3, axis=2)
        colour, alpha = values[..., :-1], values[..., -1:] / 255
        return encoded(picture, "PNG"), on_white(colour.repeat(3 // colour.shape[2], axis=2), alpha)

    return make


def one_bit() -> tuple[bytes, np.ndarray]:
    picture = noise(2, mode="L").convert("1")
    return encoded(picture, "PNG"), np.asarray(picture.convert("RGB"))


def palette() -> tuple[bytes, np.ndarray]:
    picture = noise(2).quantize(16)
    return encoded(picture, "PNG"), np.asarray(picture.convert("RGB"))


def palette_with_alpha() -> tuple[bytes, np.ndarray]:
    picture = noise(2).quantize(16)
    alpha = np.arange(16) * 17
    clear = alpha[np.asarray(picture)][..., None] / 255
    return encoded(picture, "PNG", transparency=bytes(alpha.tolist())), on_white(
        np.asarray(picture.convert("RGB")).astype(float), clear
    )


def deep(colour: int, channels: int, *, alpha: bool = False) -> Callable[[], tuple[bytes, np.ndarray]]:
    def make() -> tuple[bytes, np.ndarray]:
        values = np.random.default_rng(3).integers(0, 65_536, (16, 24, channels))
        levels = values / 257
        colours = levels[..., :-1] if alpha else levels
        expected = colours.repeat(3 // colours.shape[2], axis=2)
        return deep_png(values, colour=colour), on_white(expected, levels[..., -1:] / 255) if alpha else expected

    return make


def deep_grey_with_a_clear_value() -> tuple[bytes, np.ndarray]:
    values = np.linspace(0, 65_535, 256).astype(np.uint16).reshape(16, 16, 1)
    clear = int(values[3, 3, 0])
    expected = np.where(values == clear, 255, values / 257).repeat(3, axis=2)
    return deep_png(values, colour=0, extra=transparent(clear)), expected


def deep_colours_with_a_clear_one() -> tuple[bytes, np.ndarray]:
    values = np.random.default_rng(3).integers(0, 65_536, (16, 24, 3))
    values[3, 4] = values[3, 3] ^ 1  # alike in the high bytes
    expected = values / 257
    expected[3, 3] = 255
    return deep_png(values, colour=2, extra=transparent(*values[3, 3].tolist())), expected


def two_bits_with_a_clear_value() -> tuple[bytes, np.ndarray]:
    values = np.random.default_rng(3).integers(0, 4, (16, 24, 1))
    expected = np.where(values == 1, 255, values * 85).repeat(3, axis=2)
    return deep_png(values, depth=2, colour=0, extra=transparent(1)), expected


def wide_gamut() -> tuple[bytes, np.ndarray]:
    picture = noise(2)
    return encoded(picture, "PNG", icc_profile=profiles.display_p3()), profiles.from_p3(np.asarray(picture))


def grey_with_profile() -> tuple[bytes, np.ndarray]:
    picture = noise(2, mode="L")
    return encoded(picture, "PNG", icc_profile=profiles.grey_gamma()), profiles.from_grey(np.asarray(picture))


def inks_with_profile() -> tuple[bytes, np.ndarray]:
    picture = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 0), (8, 0, 16, 8))
    picture.paste((0, 0, 0, 128), (0, 8, 16, 16))
    expected = np.empty((16, 16, 3))
    expected[:] = profiles.from_lab(85, -20, -20)
    expected[:8, 8:] = profiles.from_lab(85, 0, 40)
    expected[8:] = profiles.from_lab(100 * 127 / 255, 0, 0)
    data = encoded(picture, "JPEG", quality=100, subsampling=0, icc_profile=profiles.printing())
    return data, expected


@pytest.mark.parametrize(
    ("make", "tolerance"),
    [
        (rgb_jpeg, 4),
        (grey_jpeg, 4),
        (cmyk_jpeg, 4),
        (plain_cmyk_jpeg, 4),
        (ycck_jpeg, 4),
        (inks_with_profile, 4),
        (of_mode("L"), 1),
        (of_mode("LA"), 1),
        (of_mode("RGBA"), 1),
        (one_bit, 1),
        (palette, 1),
        (palette_with_alpha, 1),
        (deep(0, 1), 1),
        (deep(2, 3), 1),
        (deep(4, 2, alpha=True), 1),
        (deep(6, 4, alpha=True), 1),
        (deep_grey_with_a_clear_value, 1),
        (two_bits_with_a_clear_value, 1),
        (deep_colours_with_a_clear_one, 1),
        (wide_gamut, 2),
        (grey_with_profile, 2),
    ],
)
def test_every_mode_becomes_the_documented_colours(make, tolerance):
    data, expected = make()
    error = np.abs(pixels(admitted(data).image) - expected).max()
    print(f"max abs error {error:.2f}")
    assert error <= tolerance


def test_sixteen_bits_keep_their_brightness():
    ramp = np.linspace(0, 65_535, 256).astype(np.uint16).reshape(16, 16)
    assert pixels(admitted(encoded(Image.fromarray(ramp), "PNG")).image).mean() == pytest.approx(127.5, abs=0.5)


def test_transparent_gif_and_webp_are_put_on_white():
    flat = Image.new("P", (4, 4), 0)
    flat.putpalette([0, 0, 0, 255, 0, 0])
    picture = noise(2, mode="RGBA")
    values = np.asarray(picture).astype(float)
    webp = admitted(encoded(picture, "WEBP", lossless=True, exact=True))
    assert (pixels(admitted(encoded(flat, "GIF", transparency=0)).image) == 255).all()
    assert np.abs(pixels(webp.image) - on_white(values[..., :3], values[..., 3:] / 255)).max() <= 1
    assert (webp.ext, webp.note) == ("png", "transparency on white")


def test_a_profile_of_srgb_goes_and_nothing_else_does():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    bare, tagged = (encoded(noise(1), "JPEG", **options) for options in ({}, {"icc_profile": profile}))
    assert admitted(tagged) == admitted(bare)


@pytest.mark.parametrize("profile", [b"no profile at all", profiles.printing()])
def test_a_profile_that_is_broken_or_of_another_kind_is_passed_over(profile):
    assert admitted(encoded(noise(1), "PNG", icc_profile=profile)).image == encoded(noise(1), "PNG")
