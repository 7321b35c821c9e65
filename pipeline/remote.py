"""Files at an address: object stores and other file systems by fsspec, and the web by the project's own client.

Content is read in ranges, so a copy that was broken off goes on where it ended, and nothing is taken for whole before
its size and sha256 are what they should be.
"""

import contextlib
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline import files
from pipeline.addresses import SECRET, check_url, is_web, shown
from pipeline.errors import ConfigError, DataError

BLOCK = 8 * 2**20  # bytes of one request
CONNECTIONS = 4  # objects that are copied at a time
PUBLISH_AGAIN = "publish it again"
LONGEST = 2**32  # bytes of a file of which nothing is known
# What stores raise besides OSError; looked up only in modules that are loaded, so nothing is imported for it.
FAULTS = (
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("aiohttp", "ClientError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("azure.core.exceptions", "AzureError"),
    ("paramiko.ssh_exception", "SSHException"),
)


class MissingError(DataError):
    """There is no such file."""


class _Address:
    """A folder at an address; its files have names relative to it, with slashes."""

    def __init__(self, url: str) -> None:
        check_url(url)
        self.url = url.rstrip("/")

    def __str__(self) -> str:
        return shown(self.url)

    def place(self, name: str) -> str:
        """Return a file's address, as it may be shown; that of the folder itself for the empty name."""
        return f"{self}/{name}" if name else str(self)


class Store(_Address):
    """A folder on a file system that fsspec knows.

    One connection, which threads may share. Every fault of the store is raised as one line.

    Raises:
        ConfigError: the address cannot be used, or the store does not let us.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        with self._faults_named():
            import fsspec

            # A cached instance would keep the credentials and the listings of its first use.
            self._system, root = fsspec.core.url_to_fs(self.url, skip_instance_cache=True)
        self._root = str(root).rstrip("/")

    def names(self) -> set[str]:
        """Return the names of all files that are there."""
        with self._faults_named():
            self._system.invalidate_cache()
            try:
                found = self._system.find(self._root)
            except FileNotFoundError:
                return set()
        start = len(self._root) + 1
        return {str(path)[start:] for path in found if len(str(path)) > start and not str(path).endswith("/")}

    def size(self, name: str) -> int | None:
        """Return a file's length in bytes, None where there is none."""
        with self._faults_named():
            self._system.invalidate_cache()  # a listing of before would answer
            try:
                info = self._system.info(self._at(name))
            except FileNotFoundError:
                return None
        return int(info["size"]) if info["type"] == "file" else None

    def blocks(self, name: str, start: int, end: int) -> Iterator[bytes]:
        """Yield a file's bytes between two places, in blocks.

        Raises:
            DataError: it is missing, or ends before that.
        """
        while start < end:
            with self._faults_named():
                try:
                    block = self._system.cat_file(self._at(name), start=start, end=min(start + BLOCK, end))
                except FileNotFoundError:
                    block = b""
            if not block:
                raise DataError(f"{self.place(name)} is missing, or ends at byte {start:,}; run the same command again")
            yield block
            start += len(block)

    def sha256(self, name: str) -> str:
        """Return the sha256 of a file's content as it is read back, in hex; empty where there is none."""
        size = self.size(name)
        if size is None:
            return ""
        found = hashlib.sha256()
        for block in self.blocks(name, 0, size):
            found.update(block)
        return found.hexdigest()

    def fetch(self, name: str, part: Path, *, limit: int, remedy: str = PUBLISH_AGAIN) -> None:
        """Write a file's content to `part`; where that holds its beginning already, the rest.

        Args:
            limit: longest content.
            remedy: what a person can do about a longer one.

        Raises:
            MissingError: there is none.
            DataError: it is longer than `limit` bytes.
        """
        size = self.size(name)
        if size is None:
            raise MissingError(f"{self.place(name)} is missing")
        if size > limit:
            raise DataError(f"{self.place(name)} has {size:,} bytes, more than {limit:,}; {remedy}")
        begun = part.stat().st_size if part.is_file() else 0
        if begun > size:
            begun = 0
        with part.open("ab" if begun else "wb") as file:
            for block in self.blocks(name, begun, size):
                file.write(block)

    def put(self, name: str, source: Path) -> None:
        """Write a file; most stores show it only when it is whole."""
        from fsspec.asyn import AsyncFileSystem

        with self._faults_named():
            # Object stores have no folders: for some of them this would make the bucket.
            if not isinstance(self._system, AsyncFileSystem):
                self._system.makedirs(self._at(name).rpartition("/")[0], exist_ok=True)
            self._system.put_file(str(source), self._at(name))

    def remove(self, name: str) -> None:
        """Remove a file, or do nothing where there is none."""
        with self._faults_named(), contextlib.suppress(FileNotFoundError):
            self._system.rm_file(self._at(name))

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    @contextlib.contextmanager
    def _faults_named(self) -> Iterator[None]:
        """Turn what a store raises into one line.

        Raises:
            ConfigError: with the address, the reason and the way out.
        """
        try:
            yield
        except FileNotFoundError:
            raise ConfigError(f"{self}: there is no such bucket or folder; make it, or correct its name") from None
        except _faults() as error:
            reason = SECRET.sub("", " ".join(str(error).split()))[:300].rstrip(".") or type(error).__name__
            raise ConfigError(
                f"{self} cannot be used: {reason}; check its name, the network, and credentials and endpoint in the "
                "environment"
            ) from None


class Web(_Address):
    """A folder on a web server, to be read from: by the project's own client, which checks where names lead.

    Args:
        allow_private: whether private and loopback addresses are connected to; None: where the address itself is one,
            as when a person names it.
    """

    def __init__(self, url: str, *, allow_private: bool | None = None) -> None:
        super().__init__(url)
        self._allow_private = allow_private

    def names(self) -> set[str]:
        """Return nothing, as web servers list nothing."""
        return set()

    def fetch(self, name: str, part: Path, *, limit: int, remedy: str = PUBLISH_AGAIN) -> None:
        """Write a file's content to `part`; see `Store.fetch`.

        Raises:
            DataError: it cannot be had, or is longer than `limit` bytes.
        """
        from urllib.parse import quote, urlsplit

        from pipeline.acquire.net import urls
        from pipeline.acquire.net.download import download

        url = f"{self.url}/{quote(name)}" if name else self.url
        private = self._allow_private
        if private is None:  # where a public address leads is no decision of who named it
            private = urls.is_private(urlsplit(url).hostname or "")
        download(
            url,
            part,
            max_bytes=limit,
            silence=30,
            deadline=3_600,
            attempts=3,
            allow_private=private,
            remedy=remedy,
        )


def open_source(url: str, *, allow_private: bool | None = None) -> Store | Web:
    """Return a folder that can be read from; see `Web` for `allow_private`.

    Raises:
        ConfigError: the address cannot be used.
    """
    return Web(url, allow_private=allow_private) if is_web(url) else Store(url)


def fetch_file(
    source: Store | Web,
    name: str,
    target: Path,
    *,
    sha256: str = "",
    size: int | None = None,
    limit: int = LONGEST,
    remedy: str = PUBLISH_AGAIN,
) -> None:
    """Bring a file here, where it is `target` only when it is whole.

    A copy that was broken off goes on where the sha256 is known; otherwise it is begun anew, as the file may have
    changed meanwhile.

    Args:
        sha256: that it must have, in hex; empty where nothing is known.
        size: bytes that it must have, None where nothing is known.
        limit: longest content, where the size is not known.
        remedy: what a person can do about a file that is not what it should be.

    Raises:
        ConfigError: the store does not let us.
        DataError: it is missing, or not what it should be.
    """
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not sha256:
        files.remove(part)
    begun = part.is_file()
    limit = limit if size is None else size
    source.fetch(name, part, limit=limit, remedy=remedy)
    if begun and files.sha256_file(part) != sha256:  # what was begun may have been another file's
        part.unlink()
        source.fetch(name, part, limit=limit, remedy=remedy)
    if fault := _fault(part, sha256, size):
        part.unlink()
        raise DataError(f"{source.place(name)} is damaged: {fault}; {remedy}")
    files.sync_file(part)
    part.replace(target)
    files.sync_directory(target.parent)


def _fault(path: Path, sha256: str, size: int | None) -> str:
    found = path.stat().st_size
    if size is not None and found != size:
        return f"it has {found:,} bytes and not {size:,}"
    return f"its sha256 is not {sha256}" if sha256 and files.sha256_file(path) != sha256 else ""


def _faults() -> tuple[type[Exception], ...]:
    """Return what a store may raise that a person can do something about."""
    loaded = [getattr(sys.modules.get(module), name, None) for module, name in FAULTS]
    return (OSError, *(kind for kind in loaded if kind is not None))
