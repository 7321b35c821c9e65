"""``essen evaluate``: a model with --on, a recipe without."""

import json
from pathlib import Path

import pytest
from own_folder import essen
from PIL import Image

from essen.config import ModelConfig, TextConfig
from essen.export import save_model
from essen.model import build_model
from essen.tokenizer import train_tokenizer


@pytest.fixture
def model(tmp_path: Path) -> Path:
    config = ModelConfig(name="small", image_size=32, text=TextConfig(vocab_size=300))
    tokenizer = train_tokenizer(["red", "blue"], 300)
    save_model(build_model(config, tokenizer.vocab_size, seed=0), tokenizer, config, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def trials(tmp_path: Path) -> Path:
    for colour in ("red", "blue"):
        Image.new("RGB", (40, 30), colour).save(tmp_path / f"{colour}.png")
    entries = [
        {"id": c, "images": ["red.png", "blue.png"], "texts": [c], "target": k} for k, c in enumerate(("red", "blue"))
    ]
    content = {"format": "essen-trials/1", "name": "colours", "task": "choice", "trials": entries}
    (tmp_path / "trials.json").write_text(json.dumps(content))
    return tmp_path / "trials.json"


def test_a_model_is_scored_and_the_record_written(
    model: Path, trials: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "scores.json"
    assert essen("evaluate", model, "--on", trials, "--to", target, "--set", "resamples=100", "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("small: ") and any("choose_image" in line for line in lines)
    record = json.loads(lines[-1])
    assert record == json.loads(target.read_text())
    assert (record["format"], record["config"]["resamples"]) == ("essen-scores/1", 100)


def test_misuse_is_one_line(model: Path, trials: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, code, said in (
        ([model], 2, "say what to score it on with --on"),
        (["open_clip:ViT-B-32"], 2, "say what to score it on with --on"),
        ([model, "--on", trials, "--set", "seeds=1"], 2, "unknown key seeds"),
        ([model, "--on", trials, "--run", "runs/x"], 2, "belong to a recipe"),
        ([model, "--on", trials, "--engine", "local"], 2, "belong to a recipe"),
        ([model, "--on", trials.parent / "none.json"], 3, "does not exist"),
        (["first-words", "--to", "x.json"], 2, "--to belongs to --on"),
    ):
        assert essen("evaluate", *arguments) == code
        err = capsys.readouterr().err
        assert said in err and err.startswith("essen: ") and err.count("\n") == 1
