"""Metadata goes at the level of the container, and no pixel changes by it."""

import io
import struct
import zlib

import numpy as np
import pytest
from acquire_helpers import encoded, noise
from bombs import chunk
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from pipeline.acquire.pictures.admit import Admitted, admit
from pipeline.acquire.pictures.containers import BrokenFile, read_container

SECRET = b"SECRET-52.5200N-SN0042"


def exif() -> bytes:
    """Camera, serial number, place and a thumbnail."""
    tags = Image.Exif()
    tags[0x010F] = SECRET.decode()
    tags[0xA431] = SECRET.decode()
    place = tags.get_ifd(0x8825)
    place[1], place[2], place[29] = "N", (52.0, 31.0, 12.0), SECRET.decode()
    thumbnail = encoded(noise(8, size=(16, 16)), "JPEG")
    return tags.tobytes() + SECRET + thumbnail


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg() -> bytes:
    data = encoded(noise(1), "JPEG", exif=exif(), comment=SECRET, xmp=b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>")
    thumbnail = b"JFIF\0\1\2\0\0\1\0\1\4\4" + SECRET + bytes(26)
    rest = data[data.index(b"\xff\xe0") + 18 :]
    iptc, flashpix = segment(0xED, b"Photoshop 3.0\0" + SECRET), segment(0xE2, b"MPF\0" + SECRET)
    return b"\xff\xd8" + segment(0xE0, thumbnail) + segment(0xE0, b"JFXX\0" + SECRET) + iptc + flashpix + rest + SECRET


def png() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", SECRET.decode())
    info.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    info.add(b"tIME", b"\x07\xe8\1\1\1\1\1")
    info.add(b"prVt", SECRET)
    packed = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(SECRET))
    data = encoded(noise(1), "PNG", exif=exif(), pnginfo=info)
    return data[:33] + packed + data[33:] + SECRET


def webp() -> bytes:
    return encoded(noise(1), "WEBP", exif=exif(), xmp=SECRET) + SECRET


def gif() -> bytes:
    data = encoded(noise(1).quantize(16), "GIF", comment=SECRET)
    xmp = b"\x21\xff\x0bXMP DataXMP" + bytes([len(SECRET)]) + SECRET + b"\0"
    return data[:-1] + xmp + b";" + SECRET


@pytest.mark.parametrize("make", [jpeg, png, webp, gif])
def test_no_tag_is_left_and_no_pixel_has_changed(make):
    data = make()
    verdict = admit(data, max_pixels=10_000)
    assert isinstance(verdict, Admitted)
    assert data.count(SECRET) >= 2
    for trace in (SECRET, b"Exif", b"GPS", b"xmp", b"XMP", b"Photoshop", b"JFXX", b"MPF", b"Text", b"eXIf", b"zTXt"):
        assert trace not in verdict.image
    before, after = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(verdict.image))
    assert not after.getexif()
    assert set(after.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "version", "background"} | {
        "loop", "timestamp", "duration"}  # fmt: skip
    assert after.format == before.format
    assert np.array_equal(np.asarray(before.convert("RGB")), np.asarray(after.convert("RGB")))
    assert verdict.note == ""


def framed(kind: str, picture: Image.Image, options: dict[str, object], extra: bytes) -> bytes:
    """An encoded picture with a foreign part in its middle and bytes behind its end."""
    data = encoded(picture, kind, **options)
    if kind == "JPEG":
        inside = data[:2] + segment(0xEB, SECRET + extra) + data[2:]
    elif kind == "PNG":
        inside = data[:33] + chunk(b"teSt", SECRET + extra) + data[33:]
    elif kind == "GIF":
        inside = data[:-1] + b"\x21\xfe" + bytes([len(SECRET)]) + SECRET + b"\0;"
    else:
        body = SECRET + extra
        part = b"UNKN" + struct.pack("<I", len(body)) + body + bytes(len(body) & 1)
        inside = b"RIFF" + struct.pack("<I", len(data) - 8 + len(part)) + data[8:] + part
    return inside + extra


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF"]),
    mode=st.sampled_from(["L", "RGB", "P", "1", "RGBA", "LA", "CMYK"]),
    width=st.integers(2, 40),
    height=st.integers(2, 40),
    flag=st.booleans(),
    extra=st.binary(max_size=300),
)
def test_pixels_before_are_pixels_after(kind, mode, width, height, flag, extra):
    modes = {"JPEG": ("L", "RGB", "CMYK"), "WEBP": ("L", "RGB", "RGBA"), "GIF": ("L", "P", "1")}
    if mode not in modes.get(kind, ("L", "RGB", "P", "1", "RGBA", "LA")):
        mode = "L"
    picture = noise(width * height, mode="RGB" if mode in "P1" else mode, size=(width, height)).convert(mode)
    options = {"JPEG": {"progressive": flag}, "WEBP": {"lossless": flag}, "GIF": {"interlace": flag}}.get(kind, {})
    data = framed(kind, picture, options, extra)
    container = read_container(data)
    assert container is not None and container.plausible
    assert (container.kind, container.width, container.height) == (kind, width, height)
    before, after = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(container.image))
    assert before.mode == after.mode
    assert np.array_equal(np.asarray(before), np.asarray(after))
    assert SECRET not in container.image
    again = read_container(container.image)
    assert again is not None
    assert again.image == container.image


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF"]),
    changes=st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damaged_bytes_end_in_a_verdict(kind, changes):
    data = bytearray(framed(kind, noise(3, mode="L", size=(30, 20)), {}, b"more"))
    for place, value in changes:
        data[place % len(data)] = value
    verdict = admit(bytes(data), max_pixels=10_000)
    if isinstance(verdict, Admitted):
        Image.open(io.BytesIO(verdict.image)).load()
    else:
        assert verdict.reason


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_alone_is_left(kind):
    frames = [noise(seed, size=(20, 12)) for seed in range(3)]
    frames = [frame.quantize(32) for frame in frames] if kind == "GIF" else frames
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    container = read_container(data)
    assert container is not None
    assert container.animated
    assert len(container.image) < len(data) / 2
    before, after = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(container.image))
    assert np.array_equal(np.asarray(before.convert("RGB")), np.asarray(after.convert("RGB")))


def test_a_picture_that_stands_for_an_animation_is_not_its_first_frame_only():
    data = encoded(noise(1), "PNG", save_all=True, append_images=[noise(2), noise(3)], default_image=True)
    container = read_container(data)
    assert container is not None
    assert container.animated
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(container.image))), np.asarray(noise(1)))


@pytest.mark.parametrize(
    "data", [b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x0c\0\0\0WEBP", b"\xff\xd8\xff\xe0", b"GIF89a" + bytes(99)]
)
def test_what_only_starts_like_a_picture_is_broken(data):
    with pytest.raises(BrokenFile):
        read_container(data)
