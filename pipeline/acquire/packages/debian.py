"""Packages of a Debian archive, through apt's own client: downloaded, checked, read as a stream and never installed.

A ``.deb`` is an ``ar`` archive of ``debian-binary``, ``control.tar.*`` and ``data.tar.*``; the files are in the last.
"""

import os
import posixpath
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline import files
from pipeline.acquire.packages.cache import cache_folder, obtained
from pipeline.acquire.process import last_line, run_watched
from pipeline.acquire.sources import DebianPackage
from pipeline.errors import ConfigError

DEADLINE = 900.0
GLANCE = 3.0  # seconds for a question that a person waits for
UNKNOWN = ("Unable to locate package", "was not found", "Can't find a source", "has no installation candidate")
NO_NETWORK = (
    "Could not resolve",
    "Temporary failure resolving",
    "Could not connect",
    "Unable to connect",
    "Cannot initiate",
)
MAGIC, HEADER = b"!<arch>\n", 60  # see deb(5)
MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a package.

    Attributes:
        name: its path, without a leading slash.
        data: its content; empty for a link.
        link: the path that a symbolic or hard link stands for; empty for a file of its own.
    """

    name: str
    data: bytes = b""
    link: str = ""


def obtain(package: DebianPackage) -> Path:
    """Return the file of a package, from the shared cache or the archive; its sha256 is checked either way.

    The cache is ``$ESSEN_CACHE/debian`` (by default ``~/.cache/essen/debian``), with apt's own file names, so a package
    that was downloaded elsewhere can be put there by hand.

    Raises:
        ConfigError: no apt, no network, an unknown package, or a file with another hash.
    """
    cached = _cached(package)
    if cached.is_file() and files.sha256_file(cached) == package.sha256:
        return cached
    return obtained(cached, lambda folder: _download(package, folder))


def debian_availability(package: DebianPackage) -> str:
    """Return why a package cannot be had from here, empty if it is in the cache or apt's index lists it.

    The index is asked and not the network, so it is quick; the package itself is large.
    """
    cached = _cached(package)
    if cached.is_file() and files.sha256_file(cached) == package.sha256:
        return ""
    if shutil.which("apt-get") is None:
        return "needs apt-get"
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "apt.log"
        command = ["apt-get", "download", "--print-uris", _spec(package)]
        ended = run_watched(command, log=log, cwd=Path(folder), deadline=GLANCE, environment=_environment())
        if ended.stopped:
            return "apt does not answer"
        if ended.code != 0:
            return "apt does not have it"
        return "" if package.sha256 in log.read_text(encoding="utf-8", errors="replace").lower() else "apt has another"


def members(deb: Path, wanted: Callable[[str], bool]) -> Iterator[Member]:
    """Yield the regular files and links of a package whose path is `wanted`, in the package's order.

    Nothing is extracted; devices and the like are passed over.

    Raises:
        ConfigError: the package cannot be read, or a file is larger than 64 MiB or has a path outside the package.
    """
    try:
        with deb.open("rb") as file:
            _seek_data(file)
            with tarfile.open(fileobj=file, mode="r|*") as tar:
                for entry in tar:
                    name = posixpath.normpath(entry.name).lstrip("/")
                    if not (entry.isreg() or entry.issym() or entry.islnk()) or not wanted(name):
                        continue
                    if name.startswith("..") or entry.size > MOST_BYTES:
                        raise ConfigError(
                            f"{deb.name}: {name} lies outside the package or is too large; it is not used"
                        )
                    content = tar.extractfile(entry) if entry.isreg() else None
                    yield Member(name, content.read() if content is not None else b"", _target(entry, name))
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise ConfigError(f"{deb.name} cannot be read as a package: {error}") from None


def _target(entry: tarfile.TarInfo, name: str) -> str:
    """Return the path that a link stands for: a symbolic one is seen from where it lies, a hard one from the root."""
    if entry.issym():
        return posixpath.normpath(posixpath.join("/", posixpath.dirname(name), entry.linkname)).lstrip("/")
    return posixpath.normpath(entry.linkname).lstrip("/") if entry.islnk() else ""


def _seek_data(file: BinaryIO) -> None:
    """Go to the first byte of ``data.tar.*``.

    Raises:
        ValueError: there is none.
    """
    if file.read(len(MAGIC)) != MAGIC:
        raise ValueError("it is no ar archive")
    while len(header := file.read(HEADER)) == HEADER:
        name, size = header[:16].decode("ascii").strip().rstrip("/"), int(header[48:58])
        if name.startswith("data.tar"):
            if name.endswith(".zst"):
                raise ValueError("it is compressed with zstd, which is not supported")
            return
        file.seek(size + size % 2, os.SEEK_CUR)
    raise ValueError("it has no data.tar")


def _download(package: DebianPackage, folder: Path) -> Path:
    """Download a package into a folder, and return its path.

    Raises:
        ConfigError: no apt, no network, an unknown package, or a file with another hash.
    """
    spec, log = _spec(package), folder / "apt.log"
    if shutil.which("apt-get") is None:
        raise ConfigError(
            f"there is no apt-get to fetch {spec} with; use a Debian system, or put {_cached(package).name} into "
            "ESSEN_CACHE/debian or ~/.cache/essen/debian"
        )
    # Unsandboxed: apt's own user may not be able to write into the cache.
    command = ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=2", spec]
    ended = run_watched(command, log=log, cwd=folder, deadline=DEADLINE, environment=_environment())
    if ended.stopped:
        raise ConfigError(f"apt took more than {DEADLINE:.0f} seconds to fetch {spec}; check the network and run again")
    found = sorted(folder.glob("*.deb"))
    if ended.code != 0 or not found:
        raise ConfigError(_complaint(spec, log))
    if (sha256 := files.sha256_file(found[0])) != package.sha256:
        raise ConfigError(f"{spec} has the sha256 {sha256} where the card says {package.sha256}; it is not used")
    return found[0]


def _complaint(spec: str, log: Path) -> str:
    """Return what apt's output means, as one line."""
    text = log.read_text(encoding="utf-8", errors="replace")
    if any(words in text for words in UNKNOWN):
        return f"apt has no {spec}; run `apt-get update`, or check the card's package and version"
    if any(words in text for words in NO_NETWORK):
        where = "ESSEN_CACHE/debian or ~/.cache/essen/debian"
        return f"apt cannot reach its archive to fetch {spec}; connect to the network, or put the package into {where}"
    errors = [line.strip() for line in text.splitlines() if line.startswith("E:")]
    return f"apt could not fetch {spec}: {errors[0] if errors else last_line(log)}"


def _cached(package: DebianPackage) -> Path:
    """Return where a package lies once it has been downloaded, under the name that apt gives it."""
    version = package.version.replace(":", "%3a")
    return cache_folder("debian") / f"{package.name}_{version}_{package.architecture}.deb"


def _spec(package: DebianPackage) -> str:
    return f"{package.name}={package.version}"


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}  # its messages are read here
