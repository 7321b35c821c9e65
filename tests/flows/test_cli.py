"""The command line as a person meets it: quick, and one clear line with the right code for every mistake."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from flows.cli import app
from pipeline.acquire.card import CARDS

ESSEN = Path(sys.executable).with_name("essen")


def essen(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ESSEN, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_and_imports_stay_light(tmp_path: Path) -> None:
    started = time.monotonic()
    shown = essen("--help", cwd=tmp_path)
    assert shown.returncode == 0
    assert "acquire" in shown.stdout
    assert time.monotonic() - started < 10  # far above a second only on a machine that is busy
    heavy = "import flows.cli, pipeline, essen, sys; print([m for m in {} if m in sys.modules])".format(
        ["torch", "spacy", "faiss", "prefect", "img2dataset", "pyarrow", "PIL", "numpy", "matplotlib"]
    )
    loaded = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert loaded.stdout.strip() == "[]"


def test_no_help_loses_words_that_are_taken_for_markup() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    helps = [str(parameter.help) for command in commands.values() for parameter in command.params]
    assert len(helps) > 50 and not [text for text in helps if "[" in text]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "no-such"], 2, ("no-such", "first-words")),
        (["run"], 2, ("recipe",)),
        (["rum", "first-words"], 2, ("rum",)),
        (["run", "first-words", "--engine", "dusk"], 2, ("dusk", "local")),
        (["run", "first-words", "--set", "train.stepz=3"], 2, ("train.stepz", "steps")),
        (["run", "first-words", "--set", "train.steps=three"], 2, ("train.steps",)),
        (["run", "first-words", "--until", "tea"], 2, ("tea",)),
        (["verify", "nowhere"], 2, ("nowhere",)),
        (["search", "nowhere", "dog"], 2, ("nowhere",)),
        (["search", "nowhere"], 2, ("--image",)),
        (["study", "nowhere.yaml"], 2, ("nowhere.yaml",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_misuse_is_one_line_and_code_2(tmp_path: Path, arguments: list[str], code: int, words: tuple[str, ...]) -> None:
    shown = essen(*arguments, cwd=tmp_path)
    assert shown.returncode == code, shown.stderr
    assert "Traceback" not in shown.stderr
    assert len(shown.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in shown.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_run_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    shown = essen("run", "first-words", "--run", tmp_path / "file" / "run", cwd=tmp_path)
    assert shown.returncode == 2
    assert str(tmp_path / "file") in shown.stderr
    assert "Traceback" not in shown.stderr


def test_without_a_network_the_way_out_is_said(tmp_path: Path) -> None:
    shown = essen(
        "acquire",
        "first-words",
        "--run",
        tmp_path / "run",
        cwd=tmp_path,
        ESSEN_CACHE=str(tmp_path / "empty-cache"),
        npm_config_registry="http://127.0.0.1:9",
        NPM_CONFIG_REGISTRY="http://127.0.0.1:9",
    )
    assert shown.returncode == 2, shown.stderr
    assert "Traceback" not in shown.stderr
    assert "@iconify-json/noto" in shown.stderr
    assert not (tmp_path / "run" / "raw").exists()
    assert not (tmp_path / "run" / "steps").exists()


def test_corpora_are_a_table_that_fits_and_a_json_that_is_complete(tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_text(
        "---\nname: mine\ntitle: Mine\nlicence: CC0-1.0\nattribution: Me\nchild_directed: false\n"
        "redistributable: false\nsource: {engine: folder, path: pictures}\n---\n"
    )
    shown = essen("corpora", "mine.md", "--json", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    *table, last = shown.stdout.splitlines()
    assert max(map(len, table)) <= 120
    found = {entry["name"]: entry for entry in json.loads(last)["corpora"]}
    cards = {path.stem for path in CARDS.glob("*.md") if path.name != "README.md"}
    assert found.keys() == cards | {"mine"}
    starts = {
        line.index(entry["engine"], len(entry["name"]))
        for entry in found.values()
        for line in table
        if line.split()[:1] == [entry["name"]]
    }
    assert len(starts) == 1, "the columns are not aligned"
    assert all(entry[key] for entry in found.values() for key in ("title", "licence", "engine", "attribution"))
    assert all(entry["reachable"] == (entry["reason"] == "") for entry in found.values())
    assert found["mine"]["reason"] == "folder pictures is missing"
    assert any("Not to be passed on" in line for line in table)
