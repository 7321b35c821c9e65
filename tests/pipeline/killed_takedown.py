"""Publish a run, or take a sample out of it, in a child that is killed at its k-th file operation; again; compare.

Prints how often a child was killed, after which k the outcome differed from an undisturbed call's, and after which the
state that the kill left was unsound.
"""

import json
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

from kills import in_child

from pipeline import files
from pipeline.acquire.tombstones import Tombstones
from pipeline.cards.config import PublishConfig
from pipeline.publish import publish
from pipeline.shards.verify import verify_stages
from pipeline.takedown import Targets, bury, finish, resolve


def content(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): files.sha256_file(path) for path in files.files_below(root)}


def kills_of_publish(run: Path, folder: Path) -> dict[str, Any]:
    """Over an empty folder, at every eleventh operation."""
    publish(PublishConfig(), run, folder / "reference")
    expected = content(folder / "reference")
    report: dict[str, Any] = {"killed": 0, "different": [], "unsound": []}
    for kill_at in range(1, 100_000, 11):
        target = folder / "target"
        killed = in_child(partial(publish, PublishConfig(), run, target), kill_at)
        report["killed"] += killed
        if (target / "manifest.json").exists() and verify_stages(target):
            report["unsound"].append(kill_at)
        publish(PublishConfig(), run, target)
        if content(target) != expected:
            report["different"].append(kill_at)
        files.remove(target)
        if not killed:
            return report
    return report


def kills_of_takedown(run: Path, folder: Path, uid: str) -> dict[str, Any]:
    """Over a copy of the run, at every third operation."""
    tombstones = resolve(run, Targets(uid=(uid,)), Tombstones())

    def take(root: Path) -> None:
        bury(root, tombstones)

    shutil.copytree(run, folder / "reference")
    take(folder / "reference")
    finish(folder / "reference")
    expected = content(folder / "reference")
    report: dict[str, Any] = {"killed": 0, "different": [], "unsound": []}
    for kill_at in range(1, 100_000, 3):
        root = folder / "run"
        shutil.copytree(run, root)
        killed = in_child(partial(take, root), kill_at)
        report["killed"] += killed
        take(root)
        finish(root)
        if content(root) != expected:
            report["different"].append(kill_at)
        shutil.rmtree(root)
        if not killed:
            return report
    return report


if __name__ == "__main__":
    kind, run, folder, *rest = sys.argv[1:]
    Path(folder).mkdir()
    works = {"publish": kills_of_publish, "takedown": kills_of_takedown}
    print(json.dumps(works[kind](Path(run), Path(folder), *rest)))
