"""The folder that clip-retrieval opens: the same row everywhere is the same sample."""

from pathlib import Path

import faiss
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ConfigError
from pipeline.index.config import IndexConfig
from pipeline.index.export import export_index
from pipeline.measure.embed import read_embeddings
from pipeline.measure.text_encoder import read_caption_embeddings
from pipeline.tables import read_columns


def test_rows_agree_in_every_file(indexed: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    counts = export_index(IndexConfig(), indexed, target)
    assert counts == {"samples": 160, "image_features": 1280, "text_features": 384}
    assert sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()) == [
        "image.index", "img_emb/img_emb_0.npy", "metadata/metadata_0.parquet", "text.index", "text_emb/text_emb_0.npy",
    ]  # fmt: skip
    metadata = pq.read_table(target / "metadata").to_pylist()  # clip-retrieval reads the whole folder
    samples = read_columns(indexed / "signals/samples.parquet")
    assert [row["uid"] for row in metadata] == samples["uid"]
    names, pictures = read_embeddings(indexed / "embeddings/efficientnet-lite0")
    captions, texts = read_caption_embeddings(indexed / "embeddings/minilm")
    images, words = np.load(target / "img_emb/img_emb_0.npy"), np.load(target / "text_emb/text_emb_0.npy")
    for side, vectors in (("image", images), ("text", words)):
        index = faiss.read_index(str(target / f"{side}.index"))
        scores, found = index.search(vectors, 1)
        assert index.ntotal == 160 and index.metric_type == faiss.METRIC_INNER_PRODUCT
        np.testing.assert_allclose(scores[:, 0], 1, atol=1e-5)
        np.testing.assert_allclose(vectors[found[:, 0]], vectors, atol=1e-5)
    for row, sample in enumerate(metadata):
        assert (images[row] == pictures[names.index(sample["image_sha256"])]).all()
        assert (words[row] == texts[captions.index(sample["caption"])]).all()
        assert sample["image_path"] == sample["uid"] and sample["url"] == samples["url"][row]


def test_a_folder_that_holds_something_is_left_alone(indexed: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    with pytest.raises(ConfigError, match="holds something already; name a new folder"):
        export_index(IndexConfig(), indexed, tmp_path / "full")
    (tmp_path / "empty").mkdir()
    assert export_index(IndexConfig(), indexed, tmp_path / "empty")["samples"] == 160
