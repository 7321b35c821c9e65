"""A person's own folder of pictures, as the README shows it: no registry, no network, from files to staged shards."""

import json
from pathlib import Path

import pytest
from own_folder import essen, write_own_folder
from PIL import Image
from webdataset import WebDataset


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return write_own_folder(tmp_path, further=[{"file_name": "missing.png", "caption": "not there"}])


def test_a_folder_becomes_staged_shards_that_verify_and_can_be_searched(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = own / "run"
    assert essen("run", own / "mine.yaml", "--run", run, "--engine", "local", "--until", "card") == 0
    funnel = json.loads((run / "selection/funnel.json").read_text())["steps"]
    assert funnel[0]["in"] == 49
    assert sum(funnel[0]["dropped"].values()) == 1
    shards = sorted(str(path) for path in (run / "stages").glob("[0-9]*/*.tar"))
    uids = [sample["__key__"] for sample in WebDataset(shards, shardshuffle=False)]
    manifest = json.loads((run / "stages/manifest.json").read_text())
    assert len(uids) == sum(stage["samples"] for stage in manifest["stages"])
    assert "CC0-1.0" in (run / "card/README.md").read_text()
    assert essen("verify", run) == 0
    capsys.readouterr()

    assert essen("search", run, "red circle", "--json", "--sheet", own / "sheet.png") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["hits"]
    assert "red circle" in found[0]["caption"]
    assert Image.open(own / "sheet.png").width > 300
    assert essen("search", run, "--image", own / "pictures/red-circle-34.png") == 0


def test_a_corpus_without_a_usable_picture_is_exit_3_and_leaves_nothing(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for picture in (own / "pictures").glob("*.png"):
        picture.write_bytes(b"<html>no picture</html>")
    assert essen("run", own / "mine.yaml", "--run", own / "run", "--engine", "local") == 3
    shown = capsys.readouterr().err.strip().splitlines()
    assert len(shown) == 1
    assert "shapes" in shown[0]
    assert not (own / "run/raw").exists()
    assert not (own / "run/steps").exists()


def test_a_missing_folder_is_exit_2(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own / "pictures").rename(own / "elsewhere")
    assert essen("run", own / "mine.yaml", "--run", own / "run", "--engine", "local") == 2
    assert "pictures" in capsys.readouterr().err
