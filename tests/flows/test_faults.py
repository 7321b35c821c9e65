"""What the machine does wrong while a corpus is acquired: failing disks, odd paths, other clocks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from own_folder import CARD, RECIPE, drawn

from pipeline.files import files_below, sha256_file

pytestmark = pytest.mark.slow


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder with a card, a recipe and twelve captioned pictures."""
    folder = tmp_path / "own"
    (folder / "pictures").mkdir(parents=True)
    for colour in ("red", "green", "blue", "purple"):
        for shape in ("circle", "square", "cross"):
            drawn(colour, shape, 30).save(folder / f"pictures/{colour}-{shape}.png")
            (folder / f"pictures/{colour}-{shape}.txt").write_text(f"a {colour} {shape}", encoding="utf-8")
    (folder / "shapes.md").write_text(CARD, encoding="utf-8")
    (folder / "mine.yaml").write_text(RECIPE.replace("shapes.md", "shapes.md\n    workers: 1"), encoding="utf-8")
    return folder


def acquire(corpus: Path, run: Path, *, before: tuple[str, ...] = (), **environment: str) -> tuple[int, str]:
    """Acquire in a process of its own; return its exit code and the last line of its errors."""
    command = [*before, sys.executable, "-m", "flows.cli", "acquire", str(corpus / "mine.yaml"), "--run", str(run)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"} | environment,
        cwd=Path(__file__).resolve().parents[2],
    )
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return done.returncode, lines[-1] if lines else ""


def raw(run: Path) -> dict[str, str]:
    """Return the hash of every raw file of a run; nothing where it has none."""
    folder = run / "raw"
    return (
        {file.relative_to(folder).as_posix(): sha256_file(file) for file in files_below(folder)}
        if folder.is_dir()
        else {}
    )


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_failing_disk_is_named_and_leaves_nothing_half(corpus: Path, tmp_path: Path, call: str) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed; it makes the disk fail")
    assert acquire(corpus, tmp_path / "whole")[0] == 0
    expected = raw(tmp_path / "whole")
    for number in (1, 2, 4, 7):
        run = tmp_path / f"{call}-{number}"
        inject = ("strace", "-f", "-q", "-o", os.devnull, "-e", f"trace={call}")
        inject += ("-e", f"inject={call}:error=EIO:when={number}")
        code, line = acquire(corpus, run, before=inject)
        if code:
            assert code == 2 and "input/output error" in line, line
            assert raw(run) in ({}, expected)
        again, line = acquire(corpus, run)
        assert again == 0, line
        assert raw(run) == expected


@pytest.mark.parametrize("name", ["with spaces in it", "pictures 🐘 ёж", "long" * 50])
def test_any_name_of_a_run_directory_will_do(corpus: Path, tmp_path: Path, name: str) -> None:
    assert acquire(corpus, tmp_path / "plain")[0] == acquire(corpus, tmp_path / name)[0] == 0
    assert raw(tmp_path / name) == raw(tmp_path / "plain") != {}


def test_clocks_and_time_zones_leave_no_trace(corpus: Path, tmp_path: Path) -> None:
    assert acquire(corpus, tmp_path / "here", TZ="UTC")[0] == 0
    for file in files_below(corpus / "pictures"):
        os.utime(file, (1, 1))
    assert acquire(corpus, tmp_path / "there", TZ="Asia/Kathmandu")[0] == 0
    assert raw(tmp_path / "there") == raw(tmp_path / "here") != {}
