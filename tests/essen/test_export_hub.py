"""What Transformers loads, in a process where this project cannot be imported."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from exported import CAPTIONS, KINDS, save_kind
from PIL import Image, ImageDraw

from essen.export import load_model
from essen.export.hub import write_hub_folder
from essen.export.modeling import EssenModel
from essen.export.parity import largest_difference
from essen.export.source import self_contained
from pipeline.shards.picture import letterbox

# Refuses the project, loads a folder and stores what it makes of pictures and captions in batches of 1 to 8.
CLIENT = """
import importlib.abc, json, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("essen", "pipeline", "flows"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
import numpy, torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

*folders, pictures, captions = sys.argv[1:]
captions = json.loads(captions)
for folder in folders:
    model = AutoModel.from_pretrained(folder, trust_remote_code=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=True)
    images = [Image.open(f"{pictures}/{number}.png") for number in range(8)]
    found = {}
    for batch in range(1, 9):
        texts = tokenizer(captions[:batch], padding=True, truncation=True, return_tensors="pt")
        pixels = processor(images[:batch], return_tensors="pt")
        with torch.inference_mode():
            out = model(**texts, **pixels)
            found[f"match{batch}"] = model.match(**pixels, **texts)
        found[f"images{batch}"], found[f"texts{batch}"] = out.image_embeds, out.text_embeds
        found[f"logits{batch}"], found[f"pixels{batch}"] = out.logits_per_image, pixels["pixel_values"]
    model.save_pretrained(f"{folder}/again")
    again = AutoModel.from_pretrained(f"{folder}/again", trust_remote_code=True)
    found["again"] = again.get_image_features(pixels["pixel_values"]).detach()
    numpy.savez(f"{folder}/found.npz", **{key: value.numpy() for key, value in found.items()})
"""


@pytest.fixture(scope="module", autouse=True)
def single_thread() -> Iterator[None]:
    """One thread of torch: models are tiny, and on a busy machine several only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_folder(kind: str, folder: Path) -> None:
    save_kind(kind, folder / "model")
    model, tokenizer = load_model(folder / "model")
    write_hub_folder(model, tokenizer, folder / "model/model.safetensors", folder / "hub")


def paint(folder: Path) -> list[Image.Image]:
    """Draw pictures of several shapes, some of them with transparency."""
    folder.mkdir()
    pictures = []
    for number in range(8):
        picture = Image.new("RGB", (40 + 9 * number, 70 - 6 * number), (20 * number, 90, 200))
        ImageDraw.Draw(picture).ellipse((5, 5, 30, 25), fill="orange")
        pictures.append(picture)
        picture.save(folder / f"{number}.png")
    clear = Image.new("RGBA", (30, 50))
    ImageDraw.Draw(clear).ellipse((5, 5, 25, 25), fill="red")
    clear.save(folder / "7.png")
    white = Image.new("RGB", clear.size, "white")
    white.paste(clear, mask=clear)
    return [*pictures[:7], white]


@pytest.mark.slow
@torch.inference_mode()
def test_it_loads_without_this_project_and_gives_the_same_numbers(tmp_path: Path) -> None:
    kinds = ("convolutions", "pretrained")
    for kind in kinds:
        write_folder(kind, tmp_path / kind)
    pictures, captions = paint(tmp_path / "pictures"), [*CAPTIONS, "red", "dog", "Blue CAT?"]
    folders = [str(tmp_path / kind / "hub") for kind in kinds]
    subprocess.run(
        [sys.executable, "-c", CLIENT, *folders, str(tmp_path / "pictures"), json.dumps(captions)],
        cwd=tmp_path,
        env={
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "HF_MODULES_CACHE": str(tmp_path / "modules"),
        },
        check=True,
        timeout=300,
    )
    for kind in kinds:
        model, tokenizer = load_model(tmp_path / kind / "hub")
        found = np.load(tmp_path / kind / "hub/found.npz")
        squares = np.stack([np.asarray(letterbox(picture, 32)) for picture in pictures])
        pixels = torch.from_numpy(squares).permute(0, 3, 1, 2)
        for batch in range(1, 9):
            ids, mask = tokenizer.encode(captions[:batch], model.config.text.max_length)
            images, texts = model.encode_images(pixels[:batch]), model.encode_texts(ids, mask)
            logits = model.logit_scale.exp() * images.embedding @ texts.embedding.T
            np.testing.assert_array_equal(found[f"pixels{batch}"], pixels[:batch].numpy().astype(np.float32) / 255)
            np.testing.assert_allclose(found[f"images{batch}"], images.embedding.numpy(), atol=1e-6)
            np.testing.assert_allclose(found[f"texts{batch}"], texts.embedding.numpy(), atol=1e-6)
            np.testing.assert_allclose(found[f"logits{batch}"], logits.numpy(), atol=1e-5)
            np.testing.assert_allclose(found[f"match{batch}"], model.match(images, texts).numpy(), atol=1e-5)
        np.testing.assert_allclose(found["again"], found["images8"], atol=1e-6)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_of_model_goes_through_transformers(kind: str, tmp_path: Path) -> None:
    write_folder(kind, tmp_path)
    model, _ = load_model(tmp_path / "model")
    loaded = EssenModel.from_pretrained(tmp_path / "hub", local_files_only=True)
    assert max(largest_difference(model, loaded.essen, model.vocab_size).values()) < 1e-6
    code = (tmp_path / "hub/modeling_essen.py").read_text()
    compile(code, "modeling_essen.py", "exec")
    vision, text = KINDS[kind].vision.kind, KINDS[kind].text.kind
    assert ("import timm" in code) == (vision == "timm") and ("class PretrainedTextTower" in code) == (text != "own")
    assert "from essen" not in code and "from pipeline" not in code


def test_a_caption_that_is_too_long_is_refused(tmp_path: Path) -> None:
    write_folder("convolutions", tmp_path)
    loaded = EssenModel.from_pretrained(tmp_path / "hub", local_files_only=True)
    with pytest.raises(ValueError, match="captions have 9 word pieces, the model takes 8: tokenise with truncation"):
        loaded.get_text_features(torch.ones(2, 9, dtype=torch.int64))


def test_only_what_is_used_is_taken_along() -> None:
    code = self_contained("essen.export.image_processing")
    assert "def letterbox" in code and "def staged_jpeg" not in code and "pipeline" not in code
    assert code == self_contained("essen.export.image_processing")
