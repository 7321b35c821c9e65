"""Models kept by the words that they have seen: named as BabyLM names them, the same after a kill, loadable."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from essen.config import ModelConfig, TrainConfig
from essen.errors import StopRequested
from essen.export import load_model
from essen.export.export import export_model
from essen.snapshots import snapshot_name, word_marks
from essen.train import train
from pipeline.files import files_below, sha256_file


def with_marks(config: TrainConfig, *marks: int, **changes: Any) -> TrainConfig:
    return TrainConfig.model_validate({**config.model_dump(), "snapshots_at_words": list(marks), **changes})


def tree(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files_below(folder)}


def test_names_and_marks_are_those_of_babylm() -> None:
    names = [snapshot_name(words) for words in word_marks(TrainConfig(snapshots_at_words="babylm"))]
    assert names[:11] == [*(f"chck_{n}M" for n in range(1, 11)), "chck_20M"]
    assert names[-10:] == ["chck_100M", *(f"chck_{n}00M" for n in range(2, 11))]
    assert [snapshot_name(words) for words in (250_000, 1_234)] == ["chck_250K", "chck_1234"]


@pytest.mark.parametrize(
    ("marks", "words"), [([20, 10], "higher"), ([10, 10], "higher"), ([0, 10], "greater than 0"), ("all", "'babylm'")]
)
def test_marks_that_do_not_rise_are_refused(marks: object, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TrainConfig.model_validate({"snapshots_at_words": marks})


def test_a_model_is_kept_when_its_words_are_reached(
    small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    words = 2 * tiny_training.batch_size  # of a step: every caption has two
    config = with_marks(tiny_training, 1, words + 1, 3 * words, 1_000_000, steps=4)
    counts = train(tiny_model, config, small_stages, tmp_path / "whole")
    assert counts["words"] == counts["seen"] * 2 == 4 * words
    folder = tmp_path / "whole/models/tiny"
    kept = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert kept == sorted(f"chck_{number}" for number in (1, words + 1, 3 * words))
    weights = {name: sha256_file(folder / "checkpoints" / name / "model.safetensors") for name in kept}
    assert len({*weights.values(), sha256_file(folder / "model.safetensors")}) == 4
    # The model after one step is the model of a training that has come no further.
    asked = iter((False, False, True))
    with pytest.raises(StopRequested):
        train(tiny_model, config, small_stages, tmp_path / "part", should_stop=lambda: next(asked))
    assert train(tiny_model, config, small_stages, tmp_path / "part") == counts
    assert tree(tmp_path / "part/models/tiny") == tree(folder)


def test_without_marks_nothing_of_it_is_there(
    small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    config = tiny_training.model_copy(update={"steps": 1})
    assert "words" not in train(tiny_model, config, small_stages, tmp_path)
    assert not (tmp_path / "models/tiny/checkpoints").exists()
    assert "snapshots_at_words" not in config.model_dump(mode="json")


def test_exported_checkpoints_are_models_of_transformers(
    small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path: Path
) -> None:
    from transformers import AutoModel, AutoTokenizer

    train(tiny_model, with_marks(tiny_training, 10, steps=2), small_stages, tmp_path)
    folder, target = tmp_path / "models/tiny", tmp_path / "exported"
    record = export_model(folder, target, ("transformers",))
    assert {"checkpoints/chck_10/model.safetensors", "README.md"} <= {entry["file"] for entry in record["files"]}
    assert "`chck_10`" in (target / "README.md").read_text()
    early = AutoModel.from_pretrained(target / "checkpoints/chck_10", trust_remote_code=True)
    ids = AutoTokenizer.from_pretrained(target / "checkpoints/chck_10")(["red line"], return_tensors="pt").input_ids
    own, _ = load_model(folder / "checkpoints/chck_10")
    assert early.get_text_features(ids).allclose(own.encode_texts(ids, ids > -1).embedding, atol=1e-5)
