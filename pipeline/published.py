"""Staged shards at an address: brought into a cache of this machine under their sha256, or verified where they lie.

A set of shards is opened by its manifest; each file that this names is fetched once, whatever sets it belongs to, and
linked into a folder that is read by random access like any other. That folder gets its name, the sha256 of the
manifest, when all of it is there. What broke off goes on from the byte where it ended.
"""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.acquire.packages.cache import cache_folder
from pipeline.errors import ConfigError, DataError
from pipeline.remote import CONNECTIONS, MissingError, Store, Web, fetch_file, open_source
from pipeline.shards.layout import MANIFEST, NOTE
from pipeline.shards.read import file_names, parse_manifest
from pipeline.shards.verify import check_readers, verify_stages
from pipeline.workspace import disk_faults_named

LONGEST_MANIFEST = 256 * 2**20  # bytes
LONGEST_FILE = 2**40


def fetch_stages(url: str) -> Path:
    """Return a folder with the staged shards that lie at an address, fetched unless they are here already.

    The cache is ``$ESSEN_CACHE/stages`` (by default ``~/.cache/essen/stages``). The manifest is always asked for, so
    what has been published anew is noticed.

    Raises:
        ConfigError: the address or the store cannot be used, or the cache cannot be written to.
        DataError: there are no staged shards, or a file is missing or damaged.
    """
    source = open_source(url)
    with _cache() as cache:
        data = _manifest(source, cache)
        manifest = parse_manifest(data, source.place(MANIFEST))
        folder = cache / manifest["sha256"]
        if (folder / MANIFEST).is_file():
            return folder
        part = folder.with_name(folder.name + ".part")
        entries = file_entries(manifest)

        def bring(name: str) -> None:
            sha256, size = entries[name]
            kept = cache / "content" / sha256
            if not kept.is_file() or kept.stat().st_size != size:
                fetch_file(source, name, kept, sha256=sha256, size=size)
            files.remove(part / name)
            files.link(kept, part / name)

        # Equal content under two names is fetched for the first of them only.
        first = {sha256: name for name, (sha256, _) in reversed(entries.items())}
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for names in (first.values(), entries.keys() - first.values()):
                for _ in pool.map(bring, names):
                    pass
        files.write_bytes(part / MANIFEST, data)
        part.replace(folder)
        files.sync_directory(cache)
        return folder


def verify_published(url: str, *, readers: int = 0) -> list[str]:
    """Return what is wrong with the staged shards at an address, one line each; as `pipeline.shards.verify` does.

    All that lies there is read anew, into a temporary folder; the cache is not looked at.

    Args:
        readers: how many each stage must have shards for; see `pipeline.shards.verify.check_readers`.

    Raises:
        ConfigError: the address or the store cannot be used, or there are too few shards.
        DataError: there are no staged shards.
    """
    source = open_source(url)
    with tempfile.TemporaryDirectory(prefix="essen-verify-") as scratch, disk_faults_named(Path(scratch)):
        folder = Path(scratch)
        data = _manifest(source, folder)
        try:
            named = set(file_names(parse_manifest(data, source.place(MANIFEST))))
        except DataError as error:
            return [str(error)]
        files.write_bytes(folder / MANIFEST, data)
        check_readers(folder, readers)
        extra = sorted(source.names() - named - {NOTE})
        lacking: dict[str, str] = {}

        def bring(name: str) -> None:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                source.fetch(name, target, limit=LONGEST_FILE)
            except DataError as error:
                files.remove(target)
                lacking[f"{source.place(name)} is missing"] = str(error)

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for _ in pool.map(bring, sorted(named - {MANIFEST})):
                pass
        problems = [problem.replace(str(folder), str(source)) for problem in verify_stages(folder)]
        problems += [f"{source.place(name)} is not named by the manifest" for name in extra]
        return [lacking.get(problem, problem) for problem in problems]


def file_entries(manifest: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """Return sha256 and length of every file of a stages directory by its name, but for the manifest itself."""
    found = {entry["file"]: (entry["sha256"], entry["bytes"]) for entry in manifest.get("files", ())}
    for entry in (*manifest["stages"], *manifest["evaluation"]):
        for file in (entry["index"], entry["wids"], *entry["shards"]):
            found[f"{entry['path']}/{file['file']}"] = (file["sha256"], file["bytes"])
        sizes = files.pretty_json({shard["file"]: shard["samples"] for shard in entry["shards"]}).encode()
        found[f"{entry['path']}/sizes.json"] = (files.sha256_bytes(sizes), len(sizes))
    return found


def _manifest(source: Store | Web, folder: Path) -> bytes:
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as scratch:
        path = Path(scratch) / MANIFEST
        try:
            source.fetch(MANIFEST, path, limit=LONGEST_MANIFEST)
        except MissingError:
            raise DataError(f"{source} holds no {MANIFEST}; name what `essen publish` has written") from None
        return path.read_bytes()


@contextmanager
def _cache() -> Iterator[Path]:
    """Hold the cache of this machine; another process waits for its turn, and finds what this one has fetched.

    Raises:
        ConfigError: it cannot be written to.
    """
    import filelock

    cache = cache_folder("stages")
    with disk_faults_named(cache):
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(cache / ".lock"):
                yield cache
        except PermissionError as error:
            raise ConfigError(
                f"{error.filename}: permission denied; name another cache directory in ESSEN_CACHE"
            ) from None
