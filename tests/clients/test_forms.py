"""What lies beside the shards, in the clients that it is for: table, map, evaluation sets, subsets, cards, model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from readers import Read, Samples, Tell, collected, decoded, output, sample, with_table

from essen.export import load_model
from pipeline.files import sha256_bytes
from pipeline.shards.read import ShardReader, open_stages

ATLAS = "embedding-atlas==0.26.0 duckdb==2.0.0 inquirer==3.4.1 readchar==4.2.2 blessed==1.52.0 editor==2.0.1 "
ATLAS += "runs==1.3.0 xmod==1.10.0 wcwidth==0.9.4 jinxed==2.1.0"


@pytest.fixture
def asked(published: Path) -> dict[str, tuple[bytes, str]]:
    """Pictures and captions of the validation set."""
    part = open_stages(published).evaluation["validation"]
    reader = ShardReader(part)
    return {uid: (reader.read(row), part.column("caption")[row]) for row, uid in enumerate(part.column("uid"))}


def test_pandas_reads_the_tables(published: Path, everything: Samples, tell: Tell) -> None:
    import pandas as pd

    table = pd.read_parquet(published / "atlas.parquet")
    found = collected(sample(row.uid, row.image["bytes"], row.caption) for row in table.itertuples())
    assert found == everything == with_table(published / "atlas.parquet")
    described = pd.read_parquet(published / "samples.parquet")
    assert table[list(described)].equals(described)
    assert table[["x", "y"]].notna().all(axis=None) and table[["x", "y"]].std().gt(0).all()
    tell(len(found))


def test_hf_datasets_shows_the_atlas(published: Path, everything: Samples, tmp_path: Path, tell: Tell) -> None:
    from datasets import Image as ImageFeature
    from datasets import load_dataset

    atlas = str(published / "atlas.parquet")
    rows = load_dataset("parquet", data_files=atlas, split="train", cache_dir=str(tmp_path))
    assert rows[0]["image"].size == (32, 32)
    rows = rows.cast_column("image", ImageFeature(decode=False))
    found = collected(sample(row["uid"], row["image"]["bytes"], row["caption"]) for row in rows)
    assert found == everything
    tell(len(found))


@pytest.mark.slow
def test_embedding_atlas(published: Path, everything: Samples, tmp_path: Path, tell: Tell, read_apart: Read) -> None:
    arguments = (published / "atlas.parquet", tmp_path / "page.zip")
    release, found = output(read_apart("with_embedding_atlas", *arguments, packages=ATLAS))
    assert (release, found) == ("0.26.0", everything)
    tell(len(found))


@pytest.mark.slow
def test_clip_benchmark(published: Path, asked: dict[str, tuple[bytes, str]], tell: Tell, read_apart: Read) -> None:
    root = published / "clip_benchmark/validation"
    release, found = output(read_apart("with_clip_benchmark", root, packages="clip_benchmark==1.6.2"))
    wanted = {caption: (sha256_bytes(decoded(picture).tobytes()), caption) for picture, caption in asked.values()}
    assert (release, found) == ("1.6.2", wanted)
    tell(len(found))


def test_numpy_reads_the_subsets_of_datacomp(published: Path, train: Samples, tell: Tell) -> None:
    found = np.load(published / "subsets/all.npy")
    assert found.dtype == np.dtype("u8,u8")
    wanted = np.array([(int(uid[:16], 16), int(uid[16:], 16)) for uid in sorted(train)], np.dtype("u8,u8"))
    assert np.array_equal(found, wanted)
    tell(len(found))


def test_wids(published: Path, train: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tell: Tell) -> None:
    import wids

    monkeypatch.chdir(tmp_path)  # it keeps its lock files beside the copies it makes
    found: Samples = {}
    for stage in ("1-one", "2-two"):
        # A cache for each, as wids knows a shard by its name alone.
        index, cache = str(published / stage / "index.json"), str(tmp_path / stage)
        rows = wids.ShardListDataset(index, cache_dir=cache, transformations=[], keep=True)
        found |= collected(sample(row["__key__"], row[".jpg"].read(), row[".txt"].read()) for row in rows)
    assert found == train
    tell(len(found))


def test_the_cards_of_the_hub(published: Path, tell: Tell) -> None:
    from huggingface_hub import DatasetCard, ModelCard

    data = DatasetCard.load(published / "README.md").data
    assert [each["config_name"] for each in data["configs"]] == ["all", "stage1", "stage2"]
    assert (data["language"], data["license"]) == (["en"], ["cc-by-4.0", "mit"])
    model = ModelCard.load(published / "models/tiny/README.md").data
    assert (model["language"], model["license"], model["library_name"]) == (["en"], "cc-by-4.0", "transformers")
    tell(None)


@torch.inference_mode()
def test_transformers(published: Path, asked: dict[str, tuple[bytes, str]], tell: Tell) -> None:
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    folder = published / "models/tiny"
    model = AutoModel.from_pretrained(folder, trust_remote_code=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=True)
    pictures = [Image.fromarray(decoded(picture)) for picture, _ in asked.values()]
    texts = tokenizer([caption for _, caption in asked.values()], padding=True, truncation=True, return_tensors="pt")
    image, text = vectors_of(folder, asked)
    torch.testing.assert_close(model.get_text_features(**texts), text, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        model.get_image_features(**processor(pictures, return_tensors="pt")), image, atol=1e-5, rtol=0
    )
    tell(len(pictures))


def test_onnx_runtime(published: Path, asked: dict[str, tuple[bytes, str]], tell: Tell) -> None:
    from onnxruntime import InferenceSession

    folder = published / "models/tiny"
    image, text = vectors_of(folder, asked)
    pixels = np.stack([decoded(picture).transpose(2, 0, 1) for picture, _ in asked.values()]).astype(np.float32) / 255
    ids, mask = load_model(folder)[1].encode([caption for _, caption in asked.values()], 8)
    given = {
        "image": {"pixel_values": pixels},
        "text": {"input_ids": ids.numpy(), "attention_mask": mask.long().numpy()},
    }
    for name, wanted in {"image": image, "text": text}.items():
        session = InferenceSession(folder / f"onnx/{name}.onnx", providers=["CPUExecutionProvider"])
        (found,) = session.run([f"{name}_embeds"], given[name])
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4, rtol=0)
    tell(len(pixels))


@torch.inference_mode()
def vectors_of(folder: Path, asked: dict[str, tuple[bytes, str]]) -> tuple[torch.Tensor, torch.Tensor]:
    """What the model itself makes of pictures and captions."""
    model, tokenizer = load_model(folder)
    pixels = torch.stack([torch.from_numpy(decoded(picture)).permute(2, 0, 1) for picture, _ in asked.values()])
    ids, mask = tokenizer.encode([caption for _, caption in asked.values()], 8)
    return model.encode_images(pixels).embedding, model.encode_texts(ids, mask).embedding
