from pathlib import Path

import pytest
import torch

from essen.config import ModelConfig
from essen.errors import EssenError
from essen.export import load_model, save_model
from essen.model import build_model
from essen.tokenizer import train_tokenizer


def save(folder: Path, config: ModelConfig) -> torch.nn.Module:
    tokenizer = train_tokenizer(["red dog", "blue cat"], config.text.vocab_size)
    model = build_model(config, tokenizer.vocab_size, seed=3).to(memory_format=torch.channels_last)
    save_model(model, tokenizer, config, folder)
    return model


@torch.inference_mode()
def test_saved_and_loaded_the_model_gives_the_same_numbers(tiny_model: ModelConfig, tmp_path: Path) -> None:
    model = save(tmp_path, tiny_model).eval()
    again, tokenizer = load_model(tmp_path)
    pixels = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    ids, mask = tokenizer.encode(["red dog", "cat"] * 4, 8)
    for count in (1, 8):
        one = model.encode_images(pixels[:count]), model.encode_texts(ids[:count], mask[:count])
        other = again.encode_images(pixels[:count]), again.encode_texts(ids[:count], mask[:count])
        torch.testing.assert_close(other[0].embedding, one[0].embedding, atol=1e-6, rtol=0)
        torch.testing.assert_close(other[1].embedding, one[1].embedding, atol=1e-6, rtol=0)
        torch.testing.assert_close(again.match(*other), model.match(*one), atol=1e-5, rtol=0)
    assert not again.training and again.config == tiny_model


def test_equal_models_give_equal_bytes(tiny_model: ModelConfig, tmp_path: Path) -> None:
    save(tmp_path / "a", tiny_model)
    save(tmp_path / "b", tiny_model)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["config.json", "model.safetensors", "tokenizer.json"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_missing_or_cut_file_is_one_line(name: str, damage: str, tiny_model: ModelConfig, tmp_path: Path) -> None:
    save(tmp_path, tiny_model)
    path = tmp_path / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(EssenError, match=name) as error:
        load_model(tmp_path)
    assert "\n" not in str(error.value) and error.value.exit_code == 2


def test_weights_of_another_shape_are_refused(tiny_model: ModelConfig, tmp_path: Path) -> None:
    save(tmp_path, tiny_model)
    save(tmp_path / "wide", tiny_model.model_copy(update={"embedding_size": 64}))
    (tmp_path / "wide" / "model.safetensors").replace(tmp_path / "model.safetensors")
    with pytest.raises(EssenError, match="does not hold this model's weights"):
        load_model(tmp_path)
