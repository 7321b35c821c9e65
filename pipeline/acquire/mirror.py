"""A folder of pictures served on the loopback interface, under the paths of their original URLs."""

import contextlib
import mimetypes
import shutil
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from pipeline.errors import ConfigError


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for regular files below one folder, and nothing else."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def __init__(self, *arguments: object, folder: Path, routes: Mapping[str, str]) -> None:
        self.folder = folder
        self.routes = routes
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what failed is in the rows."""

    def _answer(self, *, body: bool) -> None:
        file = resolve(self.path, self.folder, self.routes)
        if file is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with contextlib.suppress(BrokenPipeError, ConnectionResetError), file.open("rb") as content:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", mimetypes.guess_type(file.name)[0] or "application/octet-stream")
            self.send_header("Content-Length", str(file.stat().st_size))
            self.end_headers()
            if body:
                shutil.copyfileobj(content, self.wfile)


def resolve(target: str, folder: Path, routes: Mapping[str, str]) -> Path | None:
    """Return the file that a request names, None if there is none or it lies outside the folder.

    Args:
        target: path and query of the request.
        folder: resolved path.
        routes: file below the folder by path and query; empty where the paths themselves lie below the folder.
    """
    name = routes.get(target) if routes else unquote(urlsplit(target).path).lstrip("/")
    if not name or "\x00" in name:
        return None
    file = (folder / name).resolve()
    return file if file.is_relative_to(folder) and file.is_file() else None


def route(url: str) -> str:
    """Return the part of a URL that its mirror keeps: path and query."""
    parts = urlsplit(url)
    return urlunsplit(("", "", parts.path or "/", parts.query, ""))


@contextlib.contextmanager
def mirror(folder: Path, routes: Mapping[str, str]) -> Iterator[str]:
    """Serve a folder as long as the context lasts, and give the address that takes the place of scheme and host.

    Raises:
        ConfigError: there is no such folder.
    """
    if not folder.is_dir():
        raise ConfigError(f"there is no mirror folder {folder}; give the folder that holds the list and its pictures")
    server = _Server(("127.0.0.1", 0), partial(_Handler, folder=folder.resolve(), routes=routes))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
