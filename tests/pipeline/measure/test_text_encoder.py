"""Captions as vectors: parity with the model's own recipe, and the files that are written."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.measure.text_encoder import MiniLM, embed_captions, read_caption_embeddings


@pytest.fixture(scope="module")
def encoder() -> MiniLM:
    return MiniLM(batch_size=3)


def test_a_vector_depends_on_its_text_alone(encoder: MiniLM) -> None:
    texts = ["a red ball", "Once upon a time there was a hare who would not sleep.", "hen", "a red ball", ""]
    together = encoder.encode_texts(texts)
    alone = np.concatenate([encoder.encode_texts([text]) for text in texts])
    assert together.shape == (5, 384) and together.dtype == np.float32
    assert np.abs(together - alone).max() < 1e-5
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(5), abs=1e-5)


def test_like_texts_lie_close(encoder: MiniLM) -> None:
    dog, puppy, lorry = encoder.encode_texts(["a dog", "a puppy", "a lorry on the motorway"])
    assert dog @ puppy > 0.6 > 0.4 > dog @ lorry


def test_written_vectors_are_read_back_or_refused(encoder: MiniLM, tmp_path: Path) -> None:
    assert embed_captions(encoder, ["a cat", "two cats"], tmp_path) == 2
    captions, vectors = read_caption_embeddings(tmp_path)
    assert captions == ["a cat", "two cats"] and vectors.shape == (2, 384)
    np.save(tmp_path / "text.npy", vectors[:1])
    with pytest.raises(DataError, match="1 vectors for 2 captions"):
        read_caption_embeddings(tmp_path)
