"""Publishing as a person does it, models included: they go where their licence is named, and not otherwise."""

from pathlib import Path

import pytest
from own_folder import RECIPE, TRAINING, essen, write_own_folder

from pipeline.files import files_below, read_json
from pipeline.tables import read_columns


@pytest.mark.slow
def test_models_go_where_their_licence_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPE + TRAINING.replace("warmup_steps: 1", "warmup_steps: 1, snapshots_at_words: [40]")
    own, run, target = write_own_folder(tmp_path, recipe, colours=3), tmp_path / "run", tmp_path / "out"
    assert essen("run", own / "mine.yaml", "--run", run, "--engine", "local", "--until", "evaluate") == 0
    capsys.readouterr()
    assert essen("publish", run) == 2 and "--to FOLDER" in capsys.readouterr().err
    assert essen("publish", run, "--to", target) == 0
    name = next((run / "models").iterdir()).name
    assert f"left out: model {name}: no licence is named" in capsys.readouterr().out
    assert not (target / "models").exists() and (target / "atlas.parquet").is_file()
    assert essen("publish", run, "--to", tmp_path / "bad", "--model-licence", "mine alone") == 2
    shown = capsys.readouterr().err.strip().splitlines()
    assert len(shown) == 1 and "'mine alone' is no SPDX identifier" in shown[0]
    assert not (tmp_path / "bad").exists()
    with monkeypatch.context() as patch:
        patch.setattr("flows.publish._export", lambda *_: pytest.fail("a model is exported to nowhere"))
        assert essen("publish", run, "--to", own / "mine.yaml", "--model-licence", "CC-BY-4.0") == 2
    assert "mine.yaml is a file; name a folder" in capsys.readouterr().err
    assert essen("publish", run, "--to", target, "--model-licence", "CC-BY-4.0") == 0
    model = target / "models" / name
    assert read_json(model / "export.json")["checkpoints"] == ["chck_40"]
    assert {"onnx/image.onnx", "checkpoints/chck_40/model.safetensors"} <= {
        path.relative_to(model).as_posix() for path in files_below(model)
    }
    assert f"[`{name}`](models/{name})" in (target / "README.md").read_text()
    assert essen("verify", target) == 0
    (model / "README.md").write_text("")
    assert essen("verify", target) == 3
    # What it learned from is taken down: the model stays here from now on, and goes from what was published.
    url = read_columns(run / "signals/samples.parquet", ["url"])["url"][0]
    assert essen("takedown", run, "--url", url) == 0
    capsys.readouterr()
    assert essen("publish", run, "--to", target, "--model-licence", "CC-BY-4.0") == 0
    assert "it learned from samples that were taken down since" in capsys.readouterr().out
    assert not (target / "models").exists()
    assert essen("verify", target) == 0
