"""What is measured of a picture, against pictures whose values are known."""

import hashlib
import io
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image
from real_pictures import corpus, encoded, picture, row

from pipeline.errors import ConfigError
from pipeline.files import sha256_file
from pipeline.measure.catalogue import unique_images, write_catalogue
from pipeline.measure.image import SIGNALS, cell_colours, measure_picture, write_image_signals
from pipeline.tables import read_columns


def flat(colour: tuple[int, int, int], size: tuple[int, int] = (40, 20)) -> bytes:
    return encoded(Image.new("RGB", size, colour))


def test_flat_pictures_hold_no_information() -> None:
    white = measure_picture(flat((255, 255, 255)))
    assert set(white) == set(SIGNALS)
    assert (white["width"], white["height"], white["aspect"]) == (40, 20, 2.0)
    assert (white["entropy"], white["colourfulness"], white["edge_density"], white["sharpness"]) == (0, 0, 0, 0)
    assert white["brightness"] == pytest.approx(1.0)
    assert measure_picture(flat((0, 0, 0)))["brightness"] == 0.0


def test_half_black_half_white_is_one_bit() -> None:
    pixels = np.zeros((40, 40, 3), dtype=np.uint8)
    pixels[:, 20:] = 255
    signals = measure_picture(encoded(Image.fromarray(pixels)))
    assert signals["entropy"] == pytest.approx(1.0)
    assert signals["brightness"] == pytest.approx(0.5)
    assert signals["edge_density"] == pytest.approx(1 / 39)


def test_colourfulness_is_that_of_the_paper() -> None:
    rgb = np.asarray(Image.open(_file(picture(3, side=64)))).astype(float)
    red_green, yellow_blue = rgb[..., 0] - rgb[..., 1], (rgb[..., 0] + rgb[..., 1]) / 2 - rgb[..., 2]
    expected = np.hypot(red_green.std(), yellow_blue.std()) + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean())
    assert measure_picture(picture(3, side=64))["colourfulness"] == pytest.approx(expected)


def test_blur_lowers_sharpness_and_keeps_the_perceptual_hash_near() -> None:
    checks = np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((8, 8))).astype(np.uint8) * 255
    image = Image.fromarray(checks).convert("RGB")
    blurred = image.resize((16, 16), Image.Resampling.BOX).resize((64, 64), Image.Resampling.BICUBIC)
    assert measure_picture(encoded(blurred))["sharpness"] < measure_picture(encoded(image))["sharpness"]
    assert measure_picture(picture(1))["phash"] == str(imagehash.phash(Image.open(_file(picture(1)))))


def test_the_pixel_hash_sees_through_the_file_format_but_not_through_the_size() -> None:
    image = Image.open(_file(picture(5))).convert("RGB")
    png, webp = encoded(image), encoded_lossless(image)
    assert png != webp
    assert measure_picture(png)["pixel_sha256"] == measure_picture(webp)["pixel_sha256"]
    expected = hashlib.sha256(b"40x40" + image.tobytes()).hexdigest()
    assert measure_picture(png)["pixel_sha256"] == expected
    wide, tall = flat((9, 9, 9), (20, 10)), flat((9, 9, 9), (10, 20))
    assert measure_picture(wide)["pixel_sha256"] != measure_picture(tall)["pixel_sha256"]


def test_the_colours_of_a_cell_are_its_mean_and_are_no_signal() -> None:
    pixels = np.zeros((32, 64, 3), dtype=np.uint8)
    pixels[:16, :32] = (200, 100, 50)
    cells = np.frombuffer(cell_colours(Image.fromarray(pixels)), np.uint8).reshape(16, 16, 3)
    assert (cells[:8, :8] == (200, 100, 50)).all()
    assert (cells[8:] == 0).all() and (cells[:, 8:] == 0).all()
    assert not any(isinstance(value, bytes) for value in measure_picture(encoded(Image.fromarray(pixels))).values())


def test_a_transparent_drawing_is_measured_on_white() -> None:
    clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    assert measure_picture(encoded(clear))["brightness"] == pytest.approx(1.0)


@pytest.mark.parametrize("data", [b"", b"<html>", picture(1)[:60]])
def test_bytes_that_are_no_picture_have_no_signals(data: bytes) -> None:
    assert measure_picture(data) == {}


def test_rows_follow_the_catalogue_and_the_bytes_do_not_depend_on_the_workers(tmp_path: Path) -> None:
    rows = [row(f"drawing {n}", picture(n % 50)) for n in range(90)] + [row("broken", b"no picture")]
    raw = corpus(tmp_path, "a", rows)
    samples = tmp_path / "signals/samples.parquet"
    write_catalogue({"a": raw}, samples, max_characters=100)
    images = unique_images(tmp_path, tmp_path)
    assert len(images) == 51
    for workers in (1, 2):
        assert write_image_signals(samples, images, tmp_path / f"{workers}.parquet", workers=workers) == 1
    assert sha256_file(tmp_path / "1.parquet") == sha256_file(tmp_path / "2.parquet")
    measured, catalogue = read_columns(tmp_path / "1.parquet"), read_columns(samples)
    assert measured["uid"] == catalogue["uid"]
    for caption, phash in zip(catalogue["caption"], measured["phash"], strict=True):
        number = caption.removeprefix("drawing ")
        assert phash == (measure_picture(picture(int(number) % 50))["phash"] if number.isdigit() else None)


def _file(data: bytes) -> io.BytesIO:
    return io.BytesIO(data)


def encoded_lossless(image: Image.Image) -> bytes:
    out = _file(b"")
    image.save(out, "WEBP", lossless=True)
    return out.getvalue()


def test_regions_and_clutter_rise_with_what_there_is_to_see() -> None:
    pixels = np.full((64, 64, 3), 255, dtype=np.uint8)
    one = measure_picture(encoded(Image.fromarray(pixels)))
    assert (one["regions"], one["clutter"]) == (1, 0.0)
    pixels[12:28, 12:28] = (200, 0, 0)
    pixels[12:28, 44:60] = (0, 0, 200)
    three = measure_picture(encoded(Image.fromarray(pixels)))
    assert three["regions"] == 3
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert one["clutter"] < three["clutter"] < measure_picture(encoded(Image.fromarray(noise)))["clutter"]


def test_grey_pictures_are_told_from_coloured_ones() -> None:
    ramp = np.tile(np.arange(64, dtype=np.uint8)[:, None, None] * 4, (1, 64, 3))
    assert measure_picture(encoded(Image.fromarray(ramp)))["grey"]
    ramp[:, :8] = (255, 0, 0)
    assert not measure_picture(encoded(Image.fromarray(ramp)))["grey"]


def test_a_plug_in_says_how_much_is_text() -> None:
    assert measure_picture(flat((255, 0, 0)))["text_share"] is None
    assert measure_picture(flat((255, 0, 0)), "numpy:mean")["text_share"] == pytest.approx(85)
    with pytest.raises(ConfigError, match="cannot be loaded"):
        measure_picture(flat((255, 0, 0)), "no_such_module:text")
    with pytest.raises(ConfigError, match="named as module:function"):
        measure_picture(flat((255, 0, 0)), "numpy.mean")


def test_perceptual_hashes_are_those_of_imagehash() -> None:
    for number in range(40):
        data = picture(number, side=90)
        assert measure_picture(data)["phash"] == str(imagehash.phash(Image.open(_file(data)).convert("RGB"))), number
