"""Real things for acquisition: img2dataset's own environment, a web server, small pictures, icon packages."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from acquire_helpers import Page, Site, integrity

from pipeline.acquire.card import Card, load_card


@pytest.fixture(scope="session")
def img2dataset() -> Path:
    """The interpreter of img2dataset's own environment, which is made where it is missing."""
    from pipeline.acquire.img2dataset.environment import ensure_environment

    return ensure_environment()


@pytest.fixture
def site() -> Iterator[Site]:
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked[self.path] += 1
            found.agents.add(self.headers["User-Agent"])
            page = found.pages.get(self.path, Page(status=404))
            time.sleep(page.delay)
            self.send_response(page.status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(page.body)
                while page.drips and not stop.wait(0.2):
                    self.wfile.write(b"\0")
            except (BrokenPipeError, ConnectionResetError):
                return

        log_message = lambda *_: None  # noqa: E731

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Site(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    stop.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def write_card(tmp_path: Path) -> Callable[..., Card]:
    """Write a person's own card with a source given as YAML text, and load it."""

    def write(source: str, *, name: str = "mine", licence: str = "CC0-1.0", extra: str = "") -> Card:
        path = tmp_path / f"{name}.md"
        path.write_text(
            f"---\nname: {name}\ntitle: Mine\nlicence: {licence}\nattribution: Me\nlanguage: en\n"
            f"child_directed: false\nredistributable: true\n{extra}source: {source}\n---\nMy own pictures.\n"
        )
        return load_card(path)

    return write


@pytest.fixture
def icon_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_card: Callable[..., Card]) -> Callable[..., Card]:
    """Put an icon package where downloads are kept, and return a card that names it."""

    def make(
        archive: bytes, *, name: str = "icons", options: str = "", engine: str = "iconify", licence: str = "MIT"
    ) -> Card:
        cache = tmp_path / "cache"
        (cache / "npm").mkdir(parents=True, exist_ok=True)
        (cache / "npm" / f"test-{name}-1.0.0.tgz").write_bytes(archive)
        monkeypatch.setenv("ESSEN_CACHE", str(cache))
        source = (
            f'{{engine: {engine}, package: "@test/{name}", version: 1.0.0, integrity: {integrity(archive)}{options}}}'
        )
        return write_card(source, name=name, licence=licence)

    return make


@pytest.fixture
def debian_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], str]:
    """Put a Debian package where downloads are kept, and return how a source names it."""

    def put(package: bytes, *, name: str = "tiny") -> str:
        cache = tmp_path / "cache"
        (cache / "debian").mkdir(parents=True, exist_ok=True)
        (cache / "debian" / f"{name}_1%3a1.0-1_all.deb").write_bytes(package)
        monkeypatch.setenv("ESSEN_CACHE", str(cache))
        return f"{{name: {name}, version: '1:1.0-1', sha256: {hashlib.sha256(package).hexdigest()}}}"

    return put
