"""From one machine to another by way of a bucket: a run is published there, verified there and trained on."""

import json
from pathlib import Path

import pytest
from own_folder import RECIPE, TRAINING, essen, write_own_folder

from pipeline.files import files_below, read_json
from pipeline.remote import Store


@pytest.mark.slow
def test_a_run_goes_through_a_bucket(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ESSEN_CACHE", str(tmp_path / "cache"))
    own, url = write_own_folder(tmp_path, RECIPE + TRAINING, colours=3), f"{bucket}/shapes"
    recipe, here, there = own / "mine.yaml", own / "runs/here", own / "runs/there"
    assert essen("run", recipe, "--run", here, "--engine", "local", "--until", "card") == 0
    assert essen("publish", here, "--to", url) == 0
    assert essen("publish", here, "--to", url) == 0
    assert essen("verify", url) == 0
    capsys.readouterr()

    assert essen("train", recipe, "--stages", url, "--run", there) == 0
    record = read_json(there / "steps/train.json")
    published = json.loads(b"".join(Store(url).blocks("manifest.json", 0, Store(url).size("manifest.json") or 0)))
    assert record["params"]["stages"] == published["sha256"] and record["inputs"] == []
    assert {path.stem for path in (there / "steps").glob("*.json")} == {"train"}
    # A folder with the same content is the same training: nothing is done again.
    (cached,) = (path for path in (tmp_path / "cache/stages").iterdir() if (path / "manifest.json").is_file())
    assert essen("evaluate", recipe, "--stages", cached, "--run", there) == 0
    assert read_json(there / "steps/train.json") == record
    assert read_json(there / "reports/evaluation.json")["stages"] == published["sha256"]
    model = next((there / "models").iterdir())
    assert essen("evaluate", model, "--on", url, "--to", own / "scores.json") == 0
    assert {entry["name"] for entry in read_json(own / "scores.json")["sets"]} == {"validation", "test_names"}
    written = b"".join(path.read_bytes() for path in files_below(there))
    assert b"a/secret" not in written and b"somebody" not in written

    Store(url).put("manifest.json", own / "scores.json")
    capsys.readouterr()
    for command in (("verify", url), ("train", recipe, "--stages", url, "--run", there)):
        assert essen(*command) == 3
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert f"{url}" in line


def test_what_cannot_be_reached_ends_a_command_with_one_line(
    tmp_path: Path, bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_own_folder(tmp_path, colours=1) / "mine.yaml"
    for url, code, words in (
        (f"{bucket}/nothing", 3, "holds no manifest.json; name what `essen publish` has written"),
        ("s3://me:my/secret@bucket/a", 2, "leave the password out of the address"),
        ("gs://bucket/a", 2, "pip install gcsfs"),
        ("file:///tmp/a", 2, "without file://"),
    ):
        for command in (("verify", url), ("train", recipe, "--stages", url), ("evaluate", recipe, "--stages", url)):
            assert essen(*command) == code
            (line,) = capsys.readouterr().err.strip().splitlines()
            assert words in line and "secret" not in line
