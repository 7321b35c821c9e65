"""``essen export``: what a person sees."""

import json
from pathlib import Path

import pytest
from own_folder import essen

from essen.config import ModelConfig, NoFusionConfig, PatchConfig, TextConfig
from essen.export import load_model, save_model
from essen.model import build_model
from essen.tokenizer import train_tokenizer


@pytest.fixture
def model(tmp_path: Path) -> Path:
    config = ModelConfig(
        name="small",
        image_size=32,
        vision=PatchConfig(kind="patch", patch=8, width=16, layers=1, pool="class"),
        text=TextConfig(vocab_size=300, width=16, layers=0),
        fusion=NoFusionConfig(kind="none"),
    )
    tokenizer = train_tokenizer(["red", "blue"], 300)
    save_model(build_model(config, tokenizer.vocab_size, seed=0), tokenizer, config, tmp_path / "model")
    return tmp_path / "model"


def test_a_model_becomes_a_folder_that_is_a_model_again(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out"
    assert essen("export", model, "--to", target, "--format", "transformers", "--licence", "MIT", "--json") == 0
    *lines, last = capsys.readouterr().out.splitlines()
    record = json.loads(last)
    assert lines[0] == f"{target}: 8 files" and "transformers: at most" in lines[1]
    assert record["model"] == "small" and load_model(target)[0].config == load_model(model)[0].config


@pytest.mark.slow
def test_the_table_compares_four_forms(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert essen("export", model, "--to", tmp_path / "out", "--table") == 0
    out = capsys.readouterr().out
    assert all(form in out for form in ("| PyTorch float32 |", "| PyTorch bf16 |", "| ONNX float32 |", "| ONNX int8 |"))
    assert "onnx: at most" in out and "int8: 0.0" in out  # MB of a very small model
    names = sorted(path.name for path in (tmp_path / "out/onnx").iterdir())
    assert names == ["image.onnx", "image_int8.onnx", "text.onnx", "text_int8.onnx"]  # it has no fusion


def test_what_cannot_be_done_is_one_line_with_code_2(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, reason in (
        (("--format", "open_clip"), "open_clip cannot build this model"),
        (("--format", "transformers", "--table"), "--table compares with ONNX: add --format onnx"),
        (("--format", "gguf"), "there is no format gguf"),
    ):
        assert essen("export", model, "--to", tmp_path / "out", *options) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and reason in error
    assert essen("export", tmp_path / "none", "--to", tmp_path / "out") == 2
    assert "config.json is missing; name the folder of a trained model" in capsys.readouterr().err
