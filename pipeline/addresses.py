"""Addresses of files: which are remote, what may stand in a message, and which package a protocol needs.

Credentials come from the environment (what the store's package reads there, or ``FSSPEC_<PROTOCOL>_<NAME>``), never
from an address: addresses stand in logs, recipes and process lists.
"""

import re
from typing import Any

from pipeline.errors import ConfigError

URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# A user's name and password, also one with a slash in it; host:9000/a@b is none.
SECRET = re.compile(r"(?<=://)[^/@\s]*:(?!\d+(?:[/?#\s]|$))\S*@")
WEB = ("http", "https")
# Not remote: this machine's files under another name, archives, caches and wrappers around another address.
# fmt: off
NOT_REMOTE = frozenset((
    "async_wrapper", "asyncwrapper", "asynclocal", "blockcache", "cached", "dask", "data", "dir", "dvc", "file",
    "filecache", "generic", "git", "jlab", "jupyter", "libarchive", "local", "pyscript", "reference", "simplecache",
    "tar", "zip",
))
# fmt: on
EXTRAS = {"s3": "s3", "s3a": "s3"}


def is_url(place: str) -> bool:
    """Tell whether a place is an address, and not a path of this machine."""
    return URL.match(place) is not None


def is_web(url: str) -> bool:
    """Tell whether an address is fetched over HTTP."""
    return url.lower().startswith(tuple(f"{scheme}://" for scheme in WEB))


def shown(url: str) -> str:
    """Return an address as it may stand in a message: without a user's password and without a query."""
    return SECRET.sub("", url).partition("?")[0]


def is_remote(url: str) -> bool:
    """Tell whether an address has a protocol that files are fetched by; its package may be missing."""
    found = URL.match(url)
    protocol = found[1].lower() if found and "::" not in url else ""
    if protocol in ("", *WEB, *NOT_REMOTE):
        return protocol in WEB
    from fsspec import available_protocols

    return protocol in available_protocols()


def check_url(url: str) -> None:
    """Raise where an address is none that files are read from or written to; nothing is asked of anybody.

    Raises:
        ConfigError: its protocol is not known, is not remote, or lacks a package; or it holds a password.
    """
    found = URL.match(url)
    if found is None or any(ord(c) < 33 for c in url):
        raise ConfigError(f"{shown(url)!r} is no address; write it as s3://bucket/folder")
    if SECRET.search(url):
        raise ConfigError(
            f"{shown(url)}: leave the password out of the address, where logs show it; stores read theirs from the "
            "environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or FSSPEC_<PROTOCOL>_PASSWORD)"
        )
    protocol = found[1].lower()
    if protocol in NOT_REMOTE or "::" in url:
        raise ConfigError(f"{shown(url)} is not remote; name a path of this machine as it is, without {protocol}://")
    if protocol not in WEB:
        _system_class(protocol)


def _system_class(protocol: str) -> Any:
    """Return the class of a protocol's file systems.

    Raises:
        ConfigError: there is none, or its package is not installed.
    """
    from fsspec.registry import get_filesystem_class, known_implementations

    try:
        return get_filesystem_class(protocol)
    except ValueError:
        raise ConfigError(f"{protocol}:// is no protocol that is known here; s3, gs, az and sftp are") from None
    except ImportError as error:
        known = known_implementations.get(protocol, {})
        package = str(known.get("class", "")).partition(".")[0]
        if protocol in EXTRAS:
            hint = f"pip install 'essen[{EXTRAS[protocol]}]'"
        elif package not in ("", "fsspec"):
            hint = f"pip install {package}"
        else:
            hint = " ".join(str(known.get("err", error)).split())
        raise ConfigError(f"{protocol}:// needs a package that is not installed: {hint}") from None
