"""A folder of pictures in the place of their hosts: each URL has a file below it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.acquire.net.client import Answer
from pipeline.errors import ConfigError


class Mirror:
    """Answers for URLs with files, as `pipeline.acquire.net.client.Client` does with what hosts send."""

    def __init__(self, folder: Path, names: Mapping[str, str], *, max_bytes: int) -> None:
        """Take a folder, and the paths below it by URL; a URL without one has the file that its own path names.

        Raises:
            ConfigError: there is no such folder.
        """
        if not folder.is_dir():
            raise ConfigError(
                f"there is no mirror folder {folder}; give the folder that holds the list and its pictures"
            )
        self._folder = folder.resolve()
        self._names = names
        self._max_bytes = max_bytes

    async def __aenter__(self) -> "Mirror":
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Nothing is open between two calls."""

    async def get(self, url: str) -> Answer:
        """Return the content of a URL's file, or why there is none: ``missing_file`` or ``too_large``."""
        return await asyncio.to_thread(self._get, url)

    def state(self, url: str) -> str:
        """Return a word that changes when the file of a URL does."""
        file = self.file(url)
        if file is None:
            return "mirror"
        found = file.stat()
        return f"mirror {found.st_size} {found.st_mtime_ns}"

    def file(self, url: str) -> Path | None:
        """Return the file of a URL, None if there is none or it lies outside the folder."""
        name = self._names.get(url) or unquote(urlsplit(url).path).lstrip("/")
        if not name or "\x00" in name:
            return None
        try:
            file = (self._folder / name).resolve()
            return file if file.is_relative_to(self._folder) and file.is_file() else None
        except (OSError, RuntimeError):  # a name too long for a file, links in a circle
            return None

    def _get(self, url: str) -> Answer:
        file = self.file(url)
        if file is None:
            return Answer(url, reason="missing_file", message="the mirror has no such file")
        try:
            if file.stat().st_size > self._max_bytes:
                return Answer(
                    url, reason="too_large", message=f"{file.stat().st_size} bytes, {self._max_bytes} allowed"
                )
            return Answer(url, file.read_bytes(), final_url=url)
        except OSError as error:
            message = error.strerror or "it cannot be read"
            return Answer(url, reason="missing_file", message=message, retryable=True)
