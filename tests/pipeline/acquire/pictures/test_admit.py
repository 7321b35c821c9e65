"""What is admitted, what is changed on the way, and why the rest is refused."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from acquire_helpers import encoded, noise
from admit_helpers import MAX, admitted, pixels
from bombs import metadata_bombs, pixel_bombs
from PIL import Image

from pipeline.acquire.pictures.admit import Admitted, Refused, admit

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


def reason(data: bytes) -> str:
    verdict = admit(data, max_pixels=MAX)
    assert isinstance(verdict, Refused)
    assert "\n" not in verdict.message
    return verdict.reason


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
        (encoded(Image.new("F", (8, 8), 0.5), "TIFF"), "format_not_allowed"),
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
