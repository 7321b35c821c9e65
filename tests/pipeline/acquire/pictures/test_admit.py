"""What is admitted, what is changed on the way, and why the rest is refused."""

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import profiles
import pytest
from acquire_helpers import encoded, noise
from bombs import metadata_bombs, pixel_bombs, png
from PIL import Image, ImageCms

from pipeline.acquire.pictures.admit import Admitted, Refused, admit

MAX = 1_000_000


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float)


def admitted(data: bytes) -> Admitted:
    verdict = admit(data, max_pixels=MAX)
    assert isinstance(verdict, Admitted), verdict
    return verdict


def reason(data: bytes) -> str:
    verdict = admit(data, max_pixels=MAX)
    assert isinstance(verdict, Refused)
    assert "\n" not in verdict.message
    return verdict.reason


def on_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Levels of 0 to 255 with an opacity of 0 to 1."""
    return colour * alpha + 255 * (1 - alpha)


@pytest.mark.parametrize(
    ("mode", "kind", "ext"),
    [("RGB", "JPEG", "jpg"), ("L", "JPEG", "jpg"), ("RGB", "PNG", "png"), ("L", "PNG", "png"), ("RGB", "WEBP", "webp")],
)
def test_plain_pictures_keep_their_bytes(mode, kind, ext):
    data = encoded(noise(1, mode=mode), kind)
    assert admit(data, max_pixels=MAX) == Admitted(data, ext, 24, 16, 24, 16)


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_palette_pictures_keep_their_bytes(kind):
    data = encoded(noise(1).quantize(16), kind)
    assert admitted(data).image == data


# -- row 39: a table of modes ------------------------------------------------------------------------------------------


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


def test_a_float_picture_is_of_no_allowed_format():
    assert reason(encoded(Image.new("F", (8, 8), 0.5), "TIFF")) == "format_not_allowed"


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


# -- rows 40, 42 -------------------------------------------------------------------------------------------------------

TURNS = Image.Transpose
# The turn that a viewer undoes: the inverse of what the tag asks for.
STORED = {
    1: None,
    2: TURNS.FLIP_LEFT_RIGHT,
    3: TURNS.ROTATE_180,
    4: TURNS.FLIP_TOP_BOTTOM,
    5: TURNS.TRANSPOSE,
    6: TURNS.ROTATE_90,
    7: TURNS.TRANSVERSE,
    8: TURNS.ROTATE_270,
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright_and_its_tag_removed(orientation, kind):
    corners = {(0, 0): (200, 0, 0), (16, 0): (0, 200, 0), (0, 8): (0, 0, 200), (16, 8): (200, 200, 0)}
    upright = Image.new("RGB", (32, 16))
    for (left, top), colour in corners.items():
        upright.paste(colour, (left, top, left + 16, top + 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a camera"
    turn = STORED[orientation]
    picture = upright if turn is None else upright.transpose(turn)
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    verdict = admitted(encoded(picture, kind, exif=exif, **options))
    assert (verdict.width, verdict.height) == (32, 16)
    assert (verdict.original_width, verdict.original_height) == picture.size
    assert np.abs(pixels(verdict.image) - np.asarray(upright)).max() <= 4
    assert not Image.open(io.BytesIO(verdict.image)).getexif()
    assert verdict.note == ("" if orientation == 1 else "turned upright")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_kept_and_noted(kind):
    first, second = Image.new("RGB", (8, 8), (250, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 250))
    options = {"lossless": True} if kind == "WEBP" else {}
    verdict = admitted(encoded(first, kind, save_all=True, append_images=[second], **options))
    assert verdict.animated
    assert verdict.note == "first frame of an animation"
    assert np.abs(pixels(verdict.image) - [250, 0, 0]).max() <= 4
    assert not admitted(encoded(first, kind)).animated


# -- rows 35, 36 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "not_an_image"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "not_an_image"),
        (np.random.default_rng(0).bytes(2_000), "not_an_image"),
        (b'{"error": 404}', "not_an_image"),
        (b"BMW and other cars", "not_an_image"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "not_an_image"),
        (b"%PDF-1.7\n", "format_not_allowed"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "format_not_allowed"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "format_not_allowed"),
        (b'<?xml version="1.0"?>\n<!-- a drawing --><svg/>', "format_not_allowed"),
        (encoded(noise(1), "BMP"), "format_not_allowed"),
        (encoded(noise(1), "TIFF"), "format_not_allowed"),
        (encoded(noise(1), "ICO"), "format_not_allowed"),
        (encoded(noise(1), "EPS"), "format_not_allowed"),
        (encoded(noise(1), "AVIF"), "format_not_allowed"),
    ],
)
def test_what_is_no_picture_of_ours_is_refused_with_the_reason(body, expected):
    assert reason(body) == expected


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"exif": b"Exif\0\0" + encoded(noise(9), "JPEG")}),  # a whole thumbnail does not make a whole picture
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("GIF", {}),
    ],
)
def test_a_cut_file_is_refused_wherever_it_was_cut(kind, options):
    picture = noise(3, size=(80, 60))
    data = encoded(picture.quantize(200) if kind == "GIF" else picture, kind, **options)
    cuts = {len(data) - 1, len(data) - 2, *(len(data) * percent // 100 for percent in range(1, 100))}
    assert len(cuts) >= 60
    assert {reason(data[:cut]) for cut in cuts if cut >= 16} == {"truncated"}


def test_a_wrong_byte_or_no_end_in_a_png_is_refused():
    data = encoded(noise(4), "PNG")
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 0xFF
    checksum = bytearray(data)
    checksum[data.index(b"IEND") - 5] ^= 0xFF
    assert {reason(bytes(flipped)), reason(bytes(checksum)), reason(data[:-12])} == {"truncated"}


def test_a_jpeg_whose_rows_are_missing_before_its_end_is_refused():
    data = encoded(Image.effect_noise((1_000, 900), 50).convert("RGB"), "JPEG", quality=1)
    assert reason(data[:3_000] + b"\xff\xd9") == "truncated"


# -- rows 37, 38 -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def costs(tmp_path_factory) -> dict[str, tuple[str, float, float]]:
    """Reason, milliseconds and growth in MiB of every bomb, admitted in a process of its own."""
    folder = tmp_path_factory.mktemp("bombs")
    for name, body in (*pixel_bombs(), *metadata_bombs()):
        (folder / name).write_bytes(body)
    program = [sys.executable, str(Path(__file__).with_name("bombs.py")), str(folder)]
    ended = subprocess.run(program, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return {name: (reason, *cost) for name, reason, *cost in map(json.loads, ended.stdout.splitlines())}


def test_a_pixel_bomb_is_refused_from_its_header(costs):
    for name, _ in pixel_bombs():
        reason, milliseconds, growth = costs[name]
        print(f"{name:28} {reason:16} {milliseconds:6.1f} ms {growth:6.1f} MiB")
        small = "1x1" in name
        assert reason == ("too_few_pixels" if small else "truncated" if "6000x6000" in name else "too_many_pixels")
        assert growth <= 32
        assert milliseconds < 50


def test_a_bomb_in_the_metadata_costs_next_to_nothing(costs):
    for name, _ in metadata_bombs():
        reason, milliseconds, growth = costs[name]
        print(f"{name:34} {reason:10} {milliseconds:6.1f} ms {growth:6.1f} MiB")
        assert reason == "admitted"
        assert growth <= 32


@pytest.mark.parametrize(("size", "expected"), [((1_000, 1_000), ""), ((1_001, 1_000), "too_many_pixels")])
def test_the_limit_on_pixels_is_exact(size, expected):
    verdict = admit(encoded(Image.new("L", size), "PNG"), max_pixels=MAX)
    assert getattr(verdict, "reason", "") == expected
