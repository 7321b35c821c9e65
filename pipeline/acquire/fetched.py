"""Lists and tables that a card or a recipe names by an address: fetched once a process, checked, and kept.

They lie in ``$ESSEN_CACHE/lists`` (by default ``~/.cache/essen/lists``), a folder for each folder that they come from,
so what stands beside a list stands beside its copy.
"""

from functools import cache
from pathlib import Path, PurePosixPath

from pipeline import files
from pipeline.acquire.net import urls
from pipeline.acquire.net.download import is_reachable
from pipeline.acquire.packages.cache import cache_folder
from pipeline.addresses import is_web, shown
from pipeline.errors import ConfigError, PipelineError
from pipeline.remote import Store, fetch_file, open_source


@cache
def fetched(url: str, name: str, *, sha256: str = "", allow_private: bool = False) -> Path:
    """Return the copy of a file below an address.

    Where its sha256 is known and the copy has it, nobody is asked. Otherwise it is fetched anew in each process, as its
    content decides what is acquired.

    Args:
        url: of the folder.
        name: of the file, relative to it.
        sha256: that it must have, in hex; empty where nothing is known.
        allow_private: whether private and loopback addresses are connected to over HTTP.

    Raises:
        ConfigError: the address cannot be used, or the name leads out of the folder.
        DataError: there is no such file, or it has another sha256.
    """
    if not name or ".." in PurePosixPath(name).parts or name.startswith("/"):
        raise ConfigError(f"{name} lies outside {shown(url)}; name what lies beside the list")
    if is_web(url) and "?" in f"{url}/{name}":
        raise ConfigError(f"{shown(f'{url}/{name}')} has a query, with which nothing is fetched; name a copy of it")
    path = cache_folder("lists") / files.sha256_bytes(url.encode())[:16] / name
    if not (sha256 and path.is_file() and files.sha256_file(path) == sha256):
        source = open_source(url, allow_private=allow_private)
        fetch_file(source, name, path, sha256=sha256, remedy="put the right one there, or correct the data card")
    return path


def reachable(url: str, *, allow_private: bool) -> str:
    """Return why a file at an address cannot be had from here now, empty if it can; nothing of it is read."""
    if is_web(url):
        if urls.fault(url, allow_private=allow_private):
            return f"{shown(url)} is not fetched: a private or bad address"
        return "" if is_reachable(url, seconds=3, allow_private=allow_private) else "no network, or no such file"
    try:
        return "" if Store(url).size("") is not None else f"{shown(url)} is missing"
    except PipelineError as error:
        return str(error).split(";")[0]
