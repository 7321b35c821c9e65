"""Staged shards as another hand would leave them: changed, and with a manifest that agrees with the change."""

import hashlib
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.files import digest, read_json, write_json
from pipeline.shards.wids import wids_index
from pipeline.shards.write import file_entry
from pipeline.tar import add_member, new_tar

Member = tuple[str, bytes]


def resign(stages: Path, /, **changes: Any) -> None:
    """Make the manifest agree with the files again, as another hand would, with some of its values changed."""
    manifest = read_json(stages / "manifest.json") | changes
    for entry in (*manifest["stages"], *manifest["evaluation"]):
        folder = stages / entry["path"]
        for named in entry["shards"]:
            named["md5"] = hashlib.md5((folder / named["file"]).read_bytes(), usedforsecurity=False).hexdigest()
            named |= file_entry(folder / named["file"])
        write_json(folder / "index.json", wids_index(entry["path"], entry["shards"]))
        for name in ("index", "wids"):
            entry[name] = file_entry(folder / entry[name]["file"])
    manifest["files"] = [file_entry(stages / entry["file"], stages) for entry in manifest["files"]]
    del manifest["sha256"]
    write_json(stages / "manifest.json", {**manifest, "sha256": digest(manifest)})


def rewrite(path: Path, change: Callable[[list[Member]], list[Member]]) -> None:
    """Write an archive again with other members."""
    with tarfile.open(path) as tar:
        members = [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]
    with new_tar(path) as tar:
        for name, data in change(members):
            add_member(tar, name, data)
