"""Checkouts of public git repositories at one commit: from the cache, from a person's own folder, or through git."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pipeline import files
from pipeline.acquire.packages.cache import cache_folder
from pipeline.acquire.process import last_line, run_watched
from pipeline.acquire.sources import Repository
from pipeline.errors import ConfigError

DEADLINE = 900.0
LISTING_SECONDS = 120
UNREACHABLE = (
    "could not resolve host",
    "failed to connect",
    "couldn't connect",
    "connection refused",
    "connection timed out",
    "network is unreachable",
    "could not resolve proxy",
    "unable to access",
)
UNKNOWN = ("not our ref", "unadvertised object", "couldn't find remote ref", "repository not found")


def cached_checkout(name: str, repository: Repository) -> Path:
    """Return where the checkout of a repository is kept: ``$ESSEN_CACHE/git/<name>-<commit>``, there or not."""
    return cache_folder("git") / f"{name}-{repository.commit}"


def has_git() -> bool:
    """Tell whether there is a git on the PATH."""
    return shutil.which("git") is not None


def obtain_checkout(name: str, repository: Repository, patterns: Sequence[str]) -> Path:
    """Return a checkout of one commit, from the cache or through git, without what the patterns leave out.

    Only that commit is fetched, and of its files only those that are checked out; the others are known by name and
    hash. A checkout that was made elsewhere can be put into the cache by hand.

    Args:
        patterns: files to check out, in the form of ``.gitignore``.

    Raises:
        ConfigError: no git, no network, an unknown repository or commit.
    """
    cached = cached_checkout(name, repository)
    if cached.is_dir():
        return cached
    if not has_git():
        raise ConfigError(f"there is no git to fetch {repository.url}; install it, or put a checkout into {cached}")
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent, prefix=".part-") as folder:
            part = Path(folder, "checkout")
            _clone(repository, patterns, part, cached)
            if not cached.is_dir():  # another run may have been faster
                part.replace(cached)
                files.sync_directory(cached.parent)
    except PermissionError as error:
        raise ConfigError(f"{error.filename}: permission denied; name another cache directory in ESSEN_CACHE") from None
    return cached


def list_files(checkout: Path, pattern: str) -> dict[str, str]:
    """Return files of a checkout, sorted: path in the repository to git's hash of the content.

    In a clone the commit is listed, so files count that were never fetched; elsewhere the files are read.

    Args:
        pattern: of their paths; ``*`` stands for a part of a name and never for a slash.
    """
    if (checkout / ".git").exists() and (listed := _list_commit(checkout)) is not None:
        depth = pattern.count("/")
        return {
            path: listed[path]
            for path in sorted(listed)
            if path.count("/") == depth and PurePosixPath(path).match(pattern)
        }
    found = sorted(path for path in checkout.glob(pattern) if path.is_file())
    return {path.relative_to(checkout).as_posix(): _blob_hash(path) for path in found}


def _clone(repository: Repository, patterns: Sequence[str], part: Path, cached: Path) -> None:
    """Fetch one commit into a new folder.

    Raises:
        ConfigError: git cannot.
    """
    part.mkdir()
    log = part.with_name("git.log")
    for arguments in (
        ["init", "--quiet", "."],
        ["remote", "add", "origin", repository.url],
        ["sparse-checkout", "set", "--no-cone", *patterns],
        ["fetch", "--quiet", "--no-tags", "--depth=1", "--filter=blob:none", "origin", repository.commit],
        ["checkout", "--quiet", "--detach", repository.commit],
    ):
        ended = run_watched(
            ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.symlinks=false", *arguments],
            log=log,
            cwd=part,
            deadline=DEADLINE,
            environment=os.environ | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
        )
        if ended.stopped:
            raise ConfigError(f"git took more than {DEADLINE:.0f} seconds over {repository.url}; run again")
        if ended.code != 0:
            raise ConfigError(_complaint(repository, log, cached))


def _complaint(repository: Repository, log: Path, cached: Path) -> str:
    """Return what git's output means, as one line."""
    text = log.read_text(encoding="utf-8", errors="replace").casefold()
    if any(words in text for words in UNKNOWN):
        return f"{repository.url} has no commit {repository.commit}; check the card"
    if any(words in text for words in UNREACHABLE):
        return f"git cannot reach {repository.url}; connect to the network, or put a checkout into {cached}"
    return f"git cannot fetch {repository.url}: {last_line(log)}"


def _list_commit(checkout: Path) -> dict[str, str] | None:
    """Return the files of a clone's commit, None where git cannot tell."""
    if not has_git():
        return None
    command = ["git", "ls-tree", "-r", "-z", "--full-tree", "HEAD"]
    try:
        listed = subprocess.run(
            command, cwd=checkout, stdin=subprocess.DEVNULL, capture_output=True, timeout=LISTING_SECONDS, check=True
        )
    except subprocess.SubprocessError:
        return None
    entries = (entry.split("\t", 1) for entry in listed.stdout.decode("utf-8", "replace").split("\0") if entry)
    blobs = ((head.split(), path) for head, path in entries)
    return {path: head[2] for head, path in blobs if head[1] == "blob"}


def _blob_hash(path: Path) -> str:
    """Return the SHA-1 that git gives a file's content: of ``blob <size>\\0`` and the content."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
