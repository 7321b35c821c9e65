"""Whole runs of a tiny recipe on real drawings: what two engines, two attempts and many kills have in common."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import files

ESSEN = Path(sys.executable).with_name("essen")
TINY = Path(__file__).resolve().parents[1] / "recipes" / "tiny.yaml"
UNORDERED = ("steps", ".prefect", ".part", ".lock")  # clocks, locks and the orchestrator's own files

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("npm_registry")]


def command(run: Path, *options: str, recipe: Path = TINY) -> list[str]:
    return [str(ESSEN), "run", str(recipe), "--run", str(run), *options]


def essen(run: Path, *options: str, recipe: Path = TINY) -> str:
    done = subprocess.run(
        command(run, *options, recipe=recipe), capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def contents(run: Path) -> dict[str, str]:
    """Return the hash of every file of a run that is to be the same in all of them."""
    return {
        path.relative_to(run).as_posix(): files.sha256_file(path)
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.relative_to(run).parts[0] not in UNORDERED
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run made in one go, without Prefect."""
    run = tmp_path_factory.mktemp("finished") / "run"
    essen(run, "--engine", "local")
    return run


def test_prefect_gives_the_same_bytes_and_leaves_no_process(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "a run with spaces"
    essen(run, "--engine", "prefect")
    assert contents(run) == contents(finished)
    assert servers(run) == []


def test_a_finished_run_is_found_finished(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    shown = essen(finished, "--engine", "local")
    steps = [line for line in shown.splitlines() if line and not line.startswith(" ")]
    assert len(steps) == len(list((finished / "steps").iterdir()))
    assert all("unchanged" in line for line in steps)
    changed = {path.name for path, time_ in before.items() if path.stat().st_mtime_ns != time_}
    assert changed <= {"recipe.yaml", ".lock"}


def test_verify_passes_on_a_run_and_names_a_flipped_byte(finished: Path, tmp_path: Path) -> None:
    assert subprocess.run([ESSEN, "verify", finished], capture_output=True, check=False).returncode == 0
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", finished, copy], check=True)
    shard = next((copy / "stages").rglob("00000.tar"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    shown = subprocess.run([ESSEN, "verify", copy], capture_output=True, text=True, check=False)
    assert shown.returncode == 3
    assert shard.relative_to(copy).as_posix().removeprefix("stages/") in shown.stdout


def test_a_changed_threshold_redoes_that_step_and_what_follows(finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", finished, copy], check=True)
    shown = essen(copy, "--engine", "local", "--until", "card", "--set", "select.duplicates.hamming=0")
    redone = {line.split()[0] for line in shown.splitlines() if " s  " in line}
    assert "select" in redone
    assert redone <= {"select", "index", "order", "stage", "card"}


@pytest.mark.parametrize("engine", ["local", "prefect"])
def test_a_gate_that_fails_is_one_line_and_code_3(finished: Path, tmp_path: Path, engine: str) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", finished, copy], check=True)
    nothing = "select.filters=[{column: caption.tokens, min: 99, reason: too_short}]"
    options = ["--engine", engine, "--set", nothing]
    shown = subprocess.run(command(copy, *options), capture_output=True, text=True, check=False)
    assert shown.returncode == 3
    assert "Traceback" not in shown.stderr
    last = shown.stderr.strip().splitlines()[-1]
    assert last.startswith("essen: nothing is left")
    after, before = contents(copy), contents(finished)
    assert after.pop("recipe.yaml") != before.pop("recipe.yaml")
    assert after == before


def test_two_runs_in_one_directory_do_not_meet(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = subprocess.Popen(command(run, "--engine", "local"), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: (run / "recipe.yaml").is_file())
        second = subprocess.run(command(run, "--engine", "local"), capture_output=True, text=True, check=False)
        assert second.returncode == 4
        assert len(second.stderr.strip().splitlines()) == 1
        assert str(run) in second.stderr
    finally:
        first.kill()
        first.wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("engine", ["local", "prefect"])
def test_a_signal_during_training_saves_and_says_so(
    finished: Path, tmp_path: Path, number: signal.Signals, code: int, engine: str
) -> None:
    run = tmp_path / "run"
    subprocess.run(["cp", "-r", finished, run], check=True)
    longer = ["--engine", engine, "--set", "train.steps=4000"]
    process = subprocess.Popen(command(run, *longer), stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(lambda: any((run / ".part").glob("train-*/training/*.safetensors")))
    started = time.monotonic()
    process.send_signal(number)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == code, shown
    assert time.monotonic() - started < 30
    assert "goes on from here" in shown
    assert "Traceback" not in shown
    assert servers(run) == []


@pytest.mark.timeout(1800)
def test_killed_at_random_moments_a_run_ends_in_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    seconds = sum(json.loads(path.read_text())["seconds"] for path in (finished / "steps").glob("*.json"))
    generator = random.Random(20_261_122)  # noqa: S311
    kills = 0
    for _ in range(8):
        process = subprocess.Popen(
            command(run, "--engine", generator.choice(["local", "prefect"])),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(timeout=generator.uniform(1, seconds / 2))
            break
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            assert not [path for path in run.rglob("*.part") if path.is_file() and ".part" not in path.parts[:-1]]
    assert kills > 0
    essen(run, "--engine", "local")
    assert contents(run) == contents(finished)
    assert subprocess.run([ESSEN, "verify", run], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root to mount a small file system")
def test_a_full_disk_is_named_and_the_run_goes_on_when_there_is_room(finished: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", small], check=False)
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        options = ["--engine", "local", "--until", "card"]
        shown = subprocess.run(command(small / "run", *options), capture_output=True, text=True, check=False)
        assert shown.returncode == 2
        assert "no space is left" in shown.stderr
        assert "Traceback" not in shown.stderr
        assert not list((small / "run" / "steps").glob("measure.json"))
        subprocess.run(["mount", "-o", "remount,size=200m", small], check=True)
        essen(small / "run", *options)
        wanted = {name: sha for name, sha in contents(finished).items() if name.startswith("stages/")}
        assert {name: sha for name, sha in contents(small / "run").items() if name.startswith("stages/")} == wanted
    finally:
        subprocess.run(["umount", small], check=True)


def servers(run: Path) -> list[str]:
    """Return the processes that are Prefect servers of a run."""
    home = f"PREFECT_HOME={run / '.prefect'}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if home in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().decode().replace("\0", " "))
        except OSError:
            continue
    return [line for line in found if "uvicorn" in line]


def wait_for(condition, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.05)
