"""What a whole run costs: seconds of every step, wall time, and the peak memory of all its processes together.

    python benchmarks/demo.py [RECIPE] [--engine prefect|local] [--set key=value ...]

Every run is made in a fresh directory; downloads come from the cache where one is filled.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(session: int) -> int:
    """Return the resident memory of all processes of a session, shared pages counted in each."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session:
            total += int(fields[21]) * PAGE
    return total


def measure(command: list[str]) -> tuple[float, int]:
    """Run a command in a session of its own; return its seconds and the peak resident bytes of its processes."""
    started = time.monotonic()
    process = subprocess.Popen(command, start_new_session=True)
    peak, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.2):
            peak = max(peak, resident_bytes(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    ended.set()
    watcher.join()
    if code != 0:
        sys.exit(f"the run ended with code {code}")
    return time.monotonic() - started, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default="first-words")
    parser.add_argument("--engine", default="prefect")
    parser.add_argument("--mirror")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    options = parser.parse_args()
    essen = str(Path(sys.executable).with_name("essen"))
    with tempfile.TemporaryDirectory() as folder:
        command = [essen, "run", options.recipe, "--run", f"{folder}/run", "--engine", options.engine]
        command += [f"--set={override}" for override in options.overrides]
        command += ["--mirror", options.mirror] if options.mirror else []
        seconds, peak = measure(command)
        records = [json.loads(path.read_text()) for path in Path(folder, "run/steps").glob("*.json")]
    for record in sorted(records, key=lambda record: record["finished"]):
        print(f"{record['step']:<28}{record['seconds']:9.1f} s")
    print(f"{'all steps':<28}{sum(record['seconds'] for record in records):9.1f} s")
    print(f"{'wall':<28}{seconds:9.1f} s")
    print(f"{'peak memory':<28}{peak / 2**30:9.2f} GiB")


if __name__ == "__main__":
    main()
