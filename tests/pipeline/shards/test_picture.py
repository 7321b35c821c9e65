import io

import numpy as np
import pytest
from PIL import Image

from pipeline.shards.picture import PictureError, decode_rgb, letterbox, staged_jpeg


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK"])
def test_every_mode_becomes_the_same_colour(mode: str) -> None:
    grey = Image.new("RGB", (8, 8), (0, 0, 0)).convert(mode)
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert np.abs(np.asarray(decode_rgb(encoded(grey, kind))).astype(int)).max() <= 1


def test_transparency_is_white() -> None:
    assert decode_rgb(encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 0)))).getpixel((1, 1)) == (255, 255, 255)
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([10, 20, 30])
    assert decode_rgb(encoded(palette, transparency=0)).getpixel((1, 1)) == (255, 255, 255)


def test_16_bits_are_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65_535, 256).astype(np.uint16).reshape(16, 16)
    found = np.asarray(decode_rgb(encoded(Image.fromarray(ramp))))[..., 0].reshape(-1).astype(int)
    assert np.abs(found - np.arange(256)).max() <= 1


def test_exif_orientation_is_applied() -> None:
    image = Image.new("RGB", (4, 8), "white")
    image.putpixel((0, 0), (0, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = decode_rgb(encoded(image, "PNG", exif=exif))
    assert upright.size == (8, 4)
    assert upright.getpixel((7, 0)) == (0, 0, 0)


@pytest.mark.parametrize("size", [(100, 10), (10, 100), (1, 1), (3, 2000), (64, 64)])
def test_the_whole_picture_is_centred_on_a_white_square(size: tuple[int, int]) -> None:
    square = np.asarray(letterbox(Image.new("RGB", size, "black"), 64))
    assert square.shape == (64, 64, 3)
    dark = np.argwhere(square[..., 0] < 128)
    assert len(dark) > 0
    margins = np.concatenate([dark.min(axis=0), 63 - dark.max(axis=0)])
    assert abs(int(margins[0]) - int(margins[2])) <= 1 and abs(int(margins[1]) - int(margins[3])) <= 1


def test_the_result_is_a_plain_jpeg_without_metadata() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    data = staged_jpeg(encoded(Image.new("RGB", (20, 30), "red"), "JPEG", exif=exif), 32)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (32, 32))
        assert not image.getexif()
        assert image.layer[0][1:3] == (1, 1)  # no chroma subsampling
    assert b"camera" not in data


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", b"%PDF-1.4", b"%!PS-Adobe-3.0 EPSF-3.0\n", bytes(100), encoded(Image.new("L", (2, 2)), "BMP")],
)
def test_what_is_not_a_picture_is_refused(data: bytes) -> None:
    with pytest.raises(PictureError, match="cannot be decoded"):
        decode_rgb(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_cut_pictures_are_refused(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8))
    data = encoded(noise, kind)
    for cut in range(1, len(data), 37):
        with pytest.raises(PictureError):
            decode_rgb(data[:-cut])


def test_too_many_pixels_are_refused_from_the_header() -> None:
    with pytest.raises(PictureError, match="too many"):
        decode_rgb(encoded(Image.new("1", (8_000, 8_000))))
