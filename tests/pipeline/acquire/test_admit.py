"""What is admitted, what is changed on the way, and why the rest is refused."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
from acquire_helpers import encoded, noise
from PIL import Image

from pipeline.acquire.admit import Admitted, Refused, admit

MAX = 1_000_000


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG whose header says what it likes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


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
    verdict = admit(data, max_pixels=MAX)
    assert isinstance(verdict, Admitted)
    assert verdict.image == data


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparency_is_put_on_white(kind):
    picture = noise(2, mode="RGBA")
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    verdict = admit(encoded(picture, kind, **options), max_pixels=MAX)
    assert isinstance(verdict, Admitted)
    assert (verdict.ext, verdict.note) == ("png", "transparency on white")
    values = np.asarray(picture).astype(float)
    alpha = values[..., 3:] / 255
    expected = values[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(pixels(verdict.image) - expected).max() <= 1


def test_grey_with_alpha_and_a_transparent_palette_entry_are_put_on_white():
    grey = admit(encoded(Image.new("LA", (4, 4), (0, 0)), "PNG"), max_pixels=MAX)
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    indexed = admit(encoded(palette, "PNG", transparency=0), max_pixels=MAX)
    gif = admit(encoded(palette, "GIF", transparency=0), max_pixels=MAX)
    for verdict in (grey, indexed, gif):
        assert isinstance(verdict, Admitted)
        assert (pixels(verdict.image) == 255).all()


def test_sixteen_bits_are_scaled_and_not_cut_off():
    ramp = np.linspace(0, 65_535, 256).astype(np.uint16).reshape(16, 16)
    verdict = admit(encoded(Image.fromarray(ramp), "PNG"), max_pixels=MAX)
    assert isinstance(verdict, Admitted)
    expected = (ramp.astype(float) * 255 / 65_535)[..., None]
    assert np.abs(pixels(verdict.image) - expected).max() <= 1
    assert pixels(verdict.image).mean() == pytest.approx(127.5, abs=0.5)


def test_cmyk_becomes_rgb():
    picture = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    verdict = admit(encoded(picture, "JPEG", quality=95), max_pixels=MAX)
    assert isinstance(verdict, Admitted)
    assert Image.open(io.BytesIO(verdict.image)).mode == "RGB"
    assert np.abs(pixels(verdict.image) - [255, 0, 0]).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright_and_its_tag_removed(orientation):
    upright = Image.new("RGB", (32, 16), "white")
    upright.paste((200, 0, 0), (0, 0, 16, 8))
    upright.paste((0, 0, 200), (16, 8, 32, 16))
    # The turn that a viewer undoes: the inverse of what the tag asks for.
    turns = Image.Transpose
    stored = {
        1: None,
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_90,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a camera"
    picture = upright if stored is None else upright.transpose(stored)
    data = encoded(picture, "JPEG", exif=exif, quality=95, subsampling=0)
    verdict = admit(data, max_pixels=MAX)
    assert isinstance(verdict, Admitted)
    assert (verdict.width, verdict.height) == (32, 16)
    assert (verdict.original_width, verdict.original_height) == picture.size
    assert np.abs(pixels(verdict.image) - np.asarray(upright).astype(int)).max() <= 4
    if orientation == 1:
        assert verdict.image == data
    else:
        assert not Image.open(io.BytesIO(verdict.image)).getexif()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_kept_and_noted(kind):
    first, second = Image.new("RGB", (8, 8), (250, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 250))
    options = {"lossless": True} if kind == "WEBP" else {}
    verdict = admit(encoded(first, kind, save_all=True, append_images=[second], **options), max_pixels=MAX)
    assert isinstance(verdict, Admitted)
    assert "first frame of an animation" in verdict.note
    assert np.abs(pixels(verdict.image) - [250, 0, 0]).max() <= 4


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
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
    reasons = {admit(data[:cut], max_pixels=MAX).reason for cut in cuts if cut >= 16}  # type: ignore[union-attr]
    assert reasons == {"truncated"}


def test_a_flipped_byte_in_a_png_is_refused():
    data = bytearray(encoded(noise(4), "PNG"))
    data[len(data) // 2] ^= 0xFF
    verdict = admit(bytes(data), max_pixels=MAX)
    assert isinstance(verdict, Refused)
    assert verdict.reason == "truncated"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_an_image"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "not_an_image"),
        (b"\x00\x01\x02\x03" * 50, "not_an_image"),
        (b'{"error": 404}', "not_an_image"),
        (b"%PDF-1.7\n", "format_not_allowed"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "format_not_allowed"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "format_not_allowed"),
        (b'<?xml version="1.0"?>\n<!-- a drawing --><svg/>', "format_not_allowed"),
        (encoded(Image.new("RGB", (4, 4)), "BMP"), "format_not_allowed"),
        (encoded(Image.new("RGB", (4, 4)), "TIFF"), "format_not_allowed"),
        (encoded(Image.new("RGB", (16, 16)), "ICO"), "format_not_allowed"),
    ],
)
def test_what_is_no_picture_of_ours_is_refused_with_the_reason(body, reason):
    verdict = admit(body, max_pixels=MAX)
    assert isinstance(verdict, Refused)
    assert verdict.reason == reason
    assert "\n" not in verdict.message


@pytest.mark.parametrize("size", [(25_000, 25_000), (60_000, 1_000), (2**31 - 1, 2**31 - 1), (1_001, 1_000)])
def test_a_pixel_bomb_is_refused_from_its_header(size):
    started = time.perf_counter()
    verdict = admit(png(*size), max_pixels=MAX)
    assert isinstance(verdict, Refused)
    assert verdict.reason == "too_many_pixels"
    assert time.perf_counter() - started < 1


def test_a_header_that_promises_more_than_there_is_is_refused():
    verdict = admit(png(500, 500, b"\0" * 100), max_pixels=MAX)
    assert isinstance(verdict, Refused)
    assert verdict.reason == "truncated"
