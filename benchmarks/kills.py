"""Acquisition of a URL list, killed at random points: does it always end, and always in the same bytes?

    python benchmarks/kills.py --times 25                       # each way 25 times
    python benchmarks/kills.py --times 25 --ways worker tree

The ways: ``worker`` kills a process of img2dataset, and the command must finish by itself; ``tree`` kills all processes
at once; ``call`` kills the command in a write, a flush or a renaming (it needs strace); ``SIGINT`` and ``SIGTERM`` ask
the command to end, which it must do within five seconds and with its exit code. After all but the first the command is
given again. Before that no file under its final name may be less than whole; at the end all files must be those of a
run that nobody disturbed.
"""

import argparse
import csv
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from url_list import CARD, ROOT, server, tree

from pipeline.acquire.img2dataset.environment import ensure_environment
from pipeline.acquire.raw import read_raw
from pipeline.tables import read_columns

IMAGES = 120
SLOWLY = "urls_per_part: 30, net: {allow_private_hosts: true, per_host: 2, delay: 0.02}"
COMMAND = """
import sys
from pathlib import Path
from flows.interrupt import Interrupted, Interruption
from pipeline.acquire.acquire import acquire, source_params
from pipeline.acquire.card import load_card
from pipeline.acquire.options import AcquireOptions
from pipeline.workspace import Step, Workspace

if __name__ == "__main__":
    card, options, workspace = load_card(Path(sys.argv[1])), AcquireOptions(), Workspace(Path(sys.argv[2]))
    step = Step(
        name="acquire-bench",
        function=lambda out: acquire(card, options, out),
        outputs=("raw/bench",),
        params=source_params(card, options),
        resumable=True,
    )
    try:
        with Interruption().handled(), workspace.lock():
            Path(sys.argv[3]).touch()
            workspace.run(step)
    except Interrupted as asked:
        sys.exit(asked.exit_code)
"""
ENDS_WITHIN = 5.0
PATIENCE = 120.0
TOO_LATE = "the run was done already; another moment is drawn"


def prepare(folder: Path, address: str) -> None:
    """Write a card with its list, in five parts, and a command that acquires it as a step of a run."""
    source = "source: {engine: url_list, list: list.csv, " + SLOWLY + "}"
    lines = [source if line.startswith("source:") else line for line in CARD.splitlines()]
    (folder / "bench.md").write_text("\n".join(lines) + "\n")
    (folder / "command.py").write_text(COMMAND)
    with (folder / "list.csv").open("w", newline="") as file:
        rows = [(f"{address}/{n}.jpg", f"picture {n}") for n in range(IMAGES)]
        csv.writer(file).writerows([("url", "caption"), *rows, (f"{address}/none.jpg", "gone")])


def start(folder: Path, run: Path, under: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """Start the command, under another program where one is given."""
    (folder / "started").unlink(missing_ok=True)
    command = [sys.executable, str(folder / "command.py"), str(folder / "bench.md"), str(run), str(folder / "started")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen([*under, *command], env=environment, stdout=log, stderr=log, start_new_session=True)


def finish(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait for a command that must succeed."""
    if process.wait(timeout=PATIENCE) != 0:
        raise AssertionError(f"exit code {process.returncode}: {(folder / 'log.txt').read_text()[-2_000:]}")


def digests(run: Path) -> dict[str, str]:
    """Return the sha256 of every file of a finished corpus."""
    files = sorted((run / "raw").rglob("*"))
    return {str(f.relative_to(run)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files if f.is_file()}


def check_whole(run: Path) -> None:
    """Raise unless every file under its final name is whole: published shards, and parts that count as done."""
    if (run / "raw" / "bench").is_dir():
        assert len(list(read_raw(run / "raw" / "bench"))) == IMAGES
    for answers in run.glob(".part/*/parts/bench/*/answers.parquet"):
        if answers.parent.name.startswith("try-"):
            continue
        rows = read_columns(answers)
        assert len(rows["url"]) in (30, 1), len(rows["url"])
        archive = answers.with_name("00000.tar")
        with tarfile.open(archive) as tar:
            assert sum(name.endswith(".jpg") for name in tar.getnames()) == sum(map(bool, rows["sha256"]))
        content = archive.read_bytes()
        for offset, size, sha256 in zip(rows["offset"], rows["size"], rows["sha256"], strict=True):
            assert not sha256 or hashlib.sha256(content[offset : offset + size]).hexdigest() == sha256
    folders = [part for part in run.glob(".part/*/parts/bench/*") if not part.name.startswith("try-")]
    assert all((part / "answers.parquet").is_file() and (part / "00000.tar").is_file() for part in folders)


def command_line(pid: int) -> str:
    """Return what a process was started with, empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def fetchers(process: subprocess.Popen[bytes]) -> list[int]:
    """Return img2dataset's processes below a command, the first one first."""
    leaders = [pid for pid in tree(process.pid) if "fetch_child.py" in command_line(pid)]
    return [pid for leader in leaders for pid in sorted(tree(leader))]


def kill(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def by_worker(folder: Path, run: Path, moment: float, dice: random.Random) -> str:
    """Kill one of the processes that img2dataset has started; the same command must finish."""
    process = start(folder, run)
    deadline = time.monotonic() + PATIENCE
    while len(fetchers(process)) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(moment / 4)  # what comes before is a good part of the time
    children = fetchers(process)[1:]
    kill([dice.choice(children)] if children else [])
    started = time.monotonic()
    finish(process, folder)
    return f"finished {time.monotonic() - started:.1f} s later" if children else TOO_LATE


def by_tree(folder: Path, run: Path, moment: float, _: random.Random) -> str:
    """Kill everything at once, then start again."""
    process = start(folder, run)
    time.sleep(moment)
    pids = list(tree(process.pid))
    if process.poll() is not None:
        return TOO_LATE
    kill(pids)
    process.wait()
    check_whole(run)
    finish(start(folder, run), folder)
    return f"{len(pids)} processes killed, finished by a second run"


def by_signal(number: signal.Signals) -> Callable[[Path, Path, float, random.Random], str]:
    """Ask the command to end, then start again."""

    def ask(folder: Path, run: Path, moment: float, _: random.Random) -> str:
        process = start(folder, run)
        while not (folder / "started").exists():  # the interpreter itself has to be there
            time.sleep(0.01)
        time.sleep(moment)
        below = tree(process.pid)
        if process.poll() is not None:
            return TOO_LATE
        process.send_signal(number)
        started = time.monotonic()
        code = process.wait(timeout=PATIENCE)
        took = time.monotonic() - started
        if (run / "steps" / "acquire-bench.json").is_file():
            return TOO_LATE
        assert code == 128 + number, code
        assert took < ENDS_WITHIN, took
        time.sleep(0.2)
        left = [pid for pid in below if Path(f"/proc/{pid}").exists() and command_line(pid)]
        assert not left, [command_line(pid) for pid in left]
        check_whole(run)
        finish(start(folder, run), folder)
        return f"ended with {code} after {took:.1f} s, finished by a second run"

    return ask


def by_call(folder: Path, run: Path, _: float, dice: random.Random) -> str:
    """Kill the command in the middle of a write, a flush to the disk or a renaming, as a power cut would."""
    call, number = dice.choice((("write", 200), ("fsync", 25), ("rename", 20)))
    number = dice.randint(1, number)
    inject = f"inject={call}:signal=SIGKILL:when={number}"
    process = start(folder, run, ("strace", "-q", "-o", str(folder / "calls"), "-e", f"trace={call}", "-e", inject))
    if process.wait(timeout=PATIENCE) == 0:
        return TOO_LATE
    check_whole(run)
    finish(start(folder, run), folder)
    return f"killed in its {call} number {number}, finished by a second run"


WAYS = {
    "worker": by_worker,
    "tree": by_tree,
    "call": by_call,
    "SIGINT": by_signal(signal.SIGINT),
    "SIGTERM": by_signal(signal.SIGTERM),
}


def trial(way: str, folder: Path, straight: dict[str, str], seconds: float, dice: random.Random) -> bool:
    """Disturb one run at a moment within `seconds`; print what came of it, and return whether all is well."""
    run, words = folder / "run", TOO_LATE
    try:
        while words is TOO_LATE:
            shutil.rmtree(run, ignore_errors=True)
            moment = dice.uniform(0, seconds)
            words = WAYS[way](folder, run, moment, dice)
        check_whole(run)
        assert digests(run) == straight, "other bytes"
        assert not list(run.glob(".part/*")), "something was left behind"
    except (AssertionError, subprocess.TimeoutExpired) as fault:
        print(f"{way:8} at {moment:5.2f} s: FAILED, {fault!r}", flush=True)
        return False
    print(f"{way:8} at {moment:5.2f} s: {words}", flush=True)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=25, help="of each way")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    ensure_environment()
    dice = random.Random(options.seed)  # noqa: S311 - moments, not secrets
    held = 0
    with server() as address, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, address)
        started = time.monotonic()
        finish(start(folder, folder / "straight"), folder)
        seconds = time.monotonic() - started
        straight = digests(folder / "straight")
        print(f"undisturbed: {seconds:.1f} s, {len(straight)} files", flush=True)
        for way in options.ways:
            good = sum(trial(way, folder, straight, seconds, dice) for _ in range(options.times))
            print(f"{way}: {good} of {options.times}", flush=True)
            held += good
    raise SystemExit(0 if held == options.times * len(options.ways) else 1)


if __name__ == "__main__":
    main()
