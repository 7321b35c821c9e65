"""URL lists when things go wrong on this machine: processes killed or stopped, too little memory or disk."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from acquire_helpers import Page, encoded, hashes_below, noise

from pipeline.acquire.acquire import acquire
from pipeline.acquire.options import AcquireOptions
from pipeline.errors import ConfigError
from pipeline.workspace import disk_faults_named

ROOT = Path(__file__).resolve().parents[4]
NET = "net: {allow_private_hosts: true, robots: false, per_host: 2, delay: 0.05}"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the processes in /proc"),
    pytest.mark.usefixtures("img2dataset"),
]


def write_list(folder, site, count, size=(24, 16)):
    for number in range(count):
        site.pages[f"/{number}.jpg"] = Page(encoded(noise(number, size=size), "JPEG"))
    lines = [f"{site.address}/{number}.jpg,picture {number}" for number in range(count)]
    (folder / "list.csv").write_text("\n".join(["url,caption", *lines]) + "\n")


def workers(folder: Path) -> list[int]:
    """img2dataset's worker and logger processes that work below a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"spawn_main" in (entry / "cmdline").read_bytes() and str(folder) in str((entry / "cwd").readlink()):
                found.append(int(entry.name))
    return found


@pytest.mark.timeout(900)
def test_killed_at_random_points_it_ends_in_the_same_bytes():
    ways = ["worker", "tree", "SIGTERM", *(["call"] if shutil.which("strace") else [])]
    command = [sys.executable, str(ROOT / "benchmarks" / "kills.py"), "--times", "2", "--ways", *ways]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("2 of 2") == len(ways)


def test_a_worker_that_hangs_is_ended_and_its_part_done_again(site, write_card, tmp_path):
    write_list(tmp_path, site, 20)
    card = write_card(f"{{engine: url_list, list: list.csv, urls_per_part: 10, patience: 3, {NET}}}")

    def stop_one():
        deadline = time.monotonic() + 60
        # The gateway has asked for all of them before a worker begins to write.
        while not any((tmp_path / "run").rglob("0*.tar")) and time.monotonic() < deadline:
            time.sleep(0.01)
        for pid in workers(tmp_path / "run"):
            os.kill(pid, signal.SIGSTOP)

    thread = threading.Thread(target=stop_one)
    thread.start()
    started = time.monotonic()
    assert acquire(card, AcquireOptions(workers=1), tmp_path / "run")["kept"] == 20
    thread.join()
    assert time.monotonic() - started < 60
    acquire(card, AcquireOptions(workers=1), tmp_path / "straight")
    assert hashes_below(tmp_path / "run" / "raw") == hashes_below(tmp_path / "straight" / "raw")
    assert not workers(tmp_path)


def test_with_too_little_memory_it_says_so_in_one_line(site, write_card, tmp_path):
    write_list(tmp_path, site, 2)
    card = write_card(f"{{engine: url_list, list: list.csv, {NET}}}")
    source = card.source.model_copy(update={"memory": 2**26})
    with pytest.raises(ConfigError, match=r"img2dataset ended with .*; its last words: .*; run the same command again"):
        acquire(card.model_copy(update={"source": source}), AcquireOptions(workers=1), tmp_path / "run")
    assert not (tmp_path / "run" / "raw" / "mine").exists() or not list((tmp_path / "run" / "raw" / "mine").iterdir())
    assert acquire(card, AcquireOptions(workers=1), tmp_path / "run")["kept"] == 2


def test_files_that_cannot_be_written_leave_nothing_half_and_the_run_goes_on_later(site, write_card, tmp_path):
    write_list(tmp_path, site, 60)
    card = write_card(f"{{engine: url_list, list: list.csv, urls_per_part: 30, {NET}}}")
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from pipeline.acquire.acquire import acquire; from pipeline.acquire.card import load_card\n"
        "from pipeline.acquire.options import AcquireOptions; from pipeline.errors import PipelineError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))\n"
        "try:\n    acquire(load_card(Path(sys.argv[1])), AcquireOptions(workers=1), Path(sys.argv[2]))\n"
        "except PipelineError as error:\n    sys.exit(error.exit_code)\n"
    )
    command = [sys.executable, "-c", code, str(card.path), str(tmp_path / "run")]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=120).returncode == 2
    assert not list((tmp_path / "run" / "parts" / "mine").iterdir())
    assert acquire(card, AcquireOptions(workers=1), tmp_path / "run")["kept"] == 60


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 3 MiB, and a way to make it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk can only be made as root")
    yield folder, lambda: subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_named_and_the_run_goes_on_when_there_is_room(site, write_card, small_disk, tmp_path):
    folder, enlarge = small_disk
    write_list(tmp_path, site, 60, size=(240, 160))
    net = "net: {allow_private_hosts: true, robots: false, per_host: 16}"
    card = write_card(f"{{engine: url_list, list: list.csv, urls_per_part: 30, {net}}}")
    message = r"disk.*(needs about [\d,]+ bytes and [\d,]+ are free|no space is left)"
    with pytest.raises(ConfigError, match=message), disk_faults_named(folder):
        acquire(card, AcquireOptions(workers=1), folder / "run")
    assert not list((folder / "run" / "raw").rglob("*.parquet"))
    enlarge()
    assert acquire(card, AcquireOptions(workers=1), folder / "run")["kept"] == 60
    acquire(card, AcquireOptions(workers=1), tmp_path / "straight")
    assert hashes_below(folder / "run" / "raw") == hashes_below(tmp_path / "straight" / "raw")
