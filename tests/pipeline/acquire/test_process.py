"""Programs of others: how their end is known, and that nothing of them stays behind."""

import sys
import time
from pathlib import Path

import pytest

from pipeline.acquire.process import last_line, run_watched, running

FAMILY = "import os, subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "


def group(leader: int) -> list[int]:
    """The living processes of a group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == leader and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def test_a_program_that_ends_says_how(tmp_path):
    ended = run_watched(
        [sys.executable, "-c", "print('a'); print('b '); raise SystemExit(3)"],
        log=tmp_path / "log", cwd=tmp_path, deadline=60,
    )  # fmt: skip
    assert (ended.code, ended.stopped) == (3, "")
    assert last_line(tmp_path / "log") == "b"


def test_a_deadline_ends_it(tmp_path):
    started = time.monotonic()
    ended = run_watched(
        [sys.executable, "-c", "import time; time.sleep(60)"], log=tmp_path / "log", cwd=tmp_path, deadline=0.3
    )
    assert (ended.code, ended.stopped) == (-9, "deadline")
    assert time.monotonic() - started < 5
    assert last_line(tmp_path / "log") == "no output"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the processes in /proc")
def test_nothing_of_its_group_outlives_the_context(tmp_path):
    code = FAMILY + "print(os.getpid(), flush=True); time.sleep(60)"
    with running([sys.executable, "-c", code], log=tmp_path / "log", cwd=tmp_path) as program:
        while not (tmp_path / "log").read_text().endswith("\n"):
            time.sleep(0.02)
        leader = int((tmp_path / "log").read_text())
        assert len(group(leader)) == 2
        assert program.ended() is None
    deadline = time.monotonic() + 5
    while group(leader) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert group(leader) == []
