"""Pictures as vectors: the real encoder, unit length, the same bytes again, and vectors that cannot be used refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from real_pictures import corpus, encoded, picture, row

from pipeline.files import read_json
from pipeline.measure.catalogue import unique_images, write_catalogue
from pipeline.measure.config import EmbedConfig
from pipeline.measure.embed import EfficientNetLite0, embed_images, read_embeddings, stretched
from pipeline.measure.measure import embed
from pipeline.shards.picture import decode_rgb


@pytest.fixture(scope="module")
def encoder() -> EfficientNetLite0:
    return EfficientNetLite0(64)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    raw = corpus(tmp_path, "a", [row(f"drawing {n}", picture(n % 6)) for n in range(9)])
    write_catalogue({"a": raw}, tmp_path / "signals/samples.parquet", max_characters=100)
    return tmp_path


def test_vectors_are_of_unit_length_and_do_not_depend_on_their_neighbours(encoder: EfficientNetLite0) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    vectors = encoder.encode_images(pixels)
    assert vectors.shape == (5, encoder.dim) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(encoder.encode_images(pixels[3:4]), vectors[3:4], atol=1e-5)


def test_a_picture_saved_anew_stays_close_and_another_one_does_not(encoder: EfficientNetLite0) -> None:
    original, other = (decode_rgb(picture(seed, side=128)) for seed in (1, 2))
    again = decode_rgb(encoded(original, "JPEG"))
    vectors = encoder.encode_images(np.stack([stretched(image, 64) for image in (original, again, other)]))
    assert vectors[0] @ vectors[1] > 0.95 > vectors[0] @ vectors[2]


def test_an_encoder_sees_the_whole_picture_stretched_to_a_square() -> None:
    halves = Image.new("RGB", (90, 30), "black")
    halves.paste("white", (45, 0, 90, 30))
    seen = stretched(halves, 30)
    assert seen.shape == (30, 30, 3)
    assert (seen[:, :12] == 0).all() and (seen[:, 18:] == 255).all()


def test_the_step_writes_one_vector_a_picture_and_the_same_bytes_again(run: Path, tmp_path: Path) -> None:
    config = EmbedConfig(image_size=32, batch_size=4)
    for name in ("one", "two"):
        assert embed(config, run, run / name) == {"pictures": 6, "vectors": 6, "captions": 9}
    folder = run / "one/embeddings/efficientnet-lite0"
    for file in ("image.npy", "images.json", "header.json"):
        assert (folder / file).read_bytes() == (run / "two/embeddings/efficientnet-lite0" / file).read_bytes()
    names, vectors = read_embeddings(folder)
    assert names == sorted(unique_images(run, run))
    assert vectors.shape == (6, 1280)
    header = read_json(folder / "header.json")
    assert (header["encoder"], header["dim"], header["rows"]) == ("efficientnet-lite0", 1280, 6)
    assert len(header["weights_sha256"]) == 64


def test_another_encoder_of_the_same_form_will_do(run: Path) -> None:
    class Colours:
        name, dim, image_size = "colours", 3, 8
        identity: dict[str, Any] = {"encoder": "colours", "dim": 3}  # noqa: RUF012

        def encode_images(self, pixels: np.ndarray) -> np.ndarray:
            mean = pixels.reshape(len(pixels), -1, 3).mean(axis=1).astype(np.float32) + 1
            return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    assert embed_images(Colours(), unique_images(run, run), run / "vectors", batch_size=4) == 6
    names, vectors = read_embeddings(run / "vectors")
    assert vectors.shape == (6, 3) and len(names) == 6


def test_pictures_that_cannot_be_decoded_have_no_vector(tmp_path: Path) -> None:
    raw = corpus(tmp_path, "a", [row("a cat", picture(1)), row("broken", b"no picture")])
    write_catalogue({"a": raw}, tmp_path / "signals/samples.parquet", max_characters=100)
    assert embed(EmbedConfig(image_size=32), tmp_path, tmp_path) == {"pictures": 2, "vectors": 1, "captions": 2}
