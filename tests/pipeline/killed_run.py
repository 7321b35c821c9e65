"""Run three steps in a child, kill it at its k-th file operation, run them again, compare; for every k.

Prints how often a child was killed, after which k the outcome differed from an undisturbed run, and after which a
record named a file that was not there or not whole.
"""

import hashlib
import json
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

from kills import in_child

from pipeline import files
from pipeline.shards.verify import verify_run
from pipeline.workspace import Counts, Step, Workspace


def acquire(out: Path) -> Counts:
    """A folder of files, some of them kept from an interrupted attempt."""
    for number in range(3):
        path = out / f"raw/{number}.bin"
        if not path.exists():
            files.write_bytes(path, bytes([number]) * 2000)
    return {"in": 3, "kept": 3, "dropped": {}}


def order(root: Path, out: Path) -> Counts:
    """One file that depends on all of the step before, and one more output."""
    content = b"".join(path.read_bytes() for path in files.files_below(root / "raw"))
    files.write_json(out / "order.json", hashlib.sha256(content).hexdigest())
    files.write_bytes(out / "controls/a/b.bin", content[::-1])
    return {}


def run(root: Path, version: int) -> None:
    workspace = Workspace(root)
    with workspace.lock():
        workspace.run(Step(name="acquire", function=acquire, outputs=("raw",), resumable=True))
        workspace.run(
            Step(
                name="order",
                function=lambda out: order(root, out),
                outputs=("order.json", "controls"),
                inputs=("acquire",),
                version=version,
            )
        )


def content(root: Path) -> dict[str, str]:
    """Hashes of all files but the lock; of records what does not depend on time."""
    found = {}
    for path in files.files_below(root):
        name = path.relative_to(root).as_posix()
        if name == ".lock":
            continue
        if name.startswith("steps/"):
            record = {k: v for k, v in files.read_json(path).items() if k not in ("seconds", "finished")}
            found[name] = files.digest(record)
        else:
            found[name] = files.sha256_file(path)
    return found


def main(folder: Path) -> None:
    run(folder / "reference", 2)
    expected = content(folder / "reference")
    run(folder / "before", 1)
    report: dict[str, Any] = {"killed": 0, "different": [], "unsound": []}
    for start in (folder / "nothing", folder / "before"):
        start.mkdir(exist_ok=True)
        for kill_at in range(1, 10_000):
            root = folder / "run"
            shutil.copytree(start, root)
            # The second version replaces the outputs of the first, so that old ones are there when the kill comes.
            killed = in_child(partial(run, root, 2), kill_at)
            report["killed"] += killed
            problems = verify_run(root) if any((root / "steps").glob("*.json")) else []
            if problems:
                report["unsound"].append([kill_at, problems])
            run(root, 2)
            if content(root) != expected or any((root / ".part").iterdir()):
                report["different"].append(kill_at)
            shutil.rmtree(root)
            if not killed:
                break
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
