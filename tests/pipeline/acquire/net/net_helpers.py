"""A server of raw answers on the loopback, and short ways to ask it."""

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from pipeline.acquire.net.client import Answer, Client, NetConfig
from pipeline.acquire.net.politeness import Clock

PICTURE = b"\x89PNG" + bytes(200)
LOOPBACK = NetConfig(allow_private_hosts=True, backoff=0, robots=False, opt_outs=False)
MANNERED = NetConfig(allow_private_hosts=True, backoff=0)


@dataclass
class Request:
    target: str
    host: str
    headers: dict[str, str]
    at: float


@dataclass
class Page:
    """An answer with a Content-Length, after which the connection stays open."""

    body: bytes = PICTURE
    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    delay: float = 0.0

    async def __call__(self, _: Request, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(self.delay)
        lines = [f"HTTP/1.1 {self.status} Words", *(f"{name}: {value}" for name, value in self.headers)]
        lines.append(f"Content-Length: {len(self.body)}")
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + self.body)
        await writer.drain()
        return True


def redirect(location: str, *headers: tuple[str, str], status: int = 302) -> Page:
    return Page(b"", status, [("Location", location), *headers])


Handler = Callable[[Request, asyncio.StreamWriter], Awaitable[bool]]


@dataclass
class Server:
    """Answers on a thread of its own; what it was asked is in `requests`.

    `pages` has handlers by "host/path" or "/path"; a handler returns whether the connection stays open.
    """

    pages: dict[str, Handler] = field(default_factory=dict)
    address: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    now: int = 0
    most: int = 0

    def __enter__(self) -> "Server":
        started = threading.Event()
        self._loop = asyncio.new_event_loop()

        async def serve() -> None:
            server = await asyncio.start_server(self._serve, self.address, self.port, ssl=self.tls, backlog=512)
            self.port = server.sockets[0].getsockname()[1]
            started.set()

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            self._loop.create_task(serve())
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        async def end() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def url(self, path: str = "/a.png", host: str = "") -> str:
        return f"http{'s' if self.tls else ''}://{host or self.address}:{self.port}{path}"

    def asked(self, path: str) -> int:
        return sum(request.target == path for request in self.requests)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        target, host = head[0].split(" ")[1], headers.get("Host", "").partition(":")[0]
        request = Request(target, host, headers, asyncio.get_running_loop().time())
        self.requests.append(request)
        self.now += 1
        self.most = max(self.most, self.now)
        page = self.pages.get(host + target) or self.pages.get(target) or Page(b"", 404)
        try:
            return await page(request, writer)
        finally:
            self.now -= 1


def cut_off(head: str, *chunks: bytes, reset: bool = False) -> Handler:
    """Send a head and chunks, then close the connection, or reset it."""

    async def handler(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(head.replace("\n", "\r\n").encode() + b"".join(chunks))
        await writer.drain()
        if reset:
            await asyncio.sleep(0.05)
            lingering = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
            writer.transport.abort()
        return False

    return handler


def drip(head: str, chunk: bytes, times: int, pause: float) -> Handler:
    """Send a head, then a chunk again and again with pauses."""

    async def handler(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(head.replace("\n", "\r\n").encode())
        for _ in range(times):
            await writer.drain()
            await asyncio.sleep(pause)
            writer.write(chunk)
        await writer.drain()
        return False

    return handler


class FakeClock(Clock):
    """A clock that jumps to the end of each wait."""

    def __init__(self) -> None:
        self.time = 1_000_000.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.time + 1_790_000_000

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)


class Names:
    """Resolves names by a table, all others to one address; notes what it was asked."""

    def __init__(self, table: dict[str, Sequence[str]] | None = None, default: str = "127.0.0.1") -> None:
        self.table = table or {}
        self.default = default
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        found = self.table.get(host, [self.default])
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found


def get_all(
    urls: Sequence[str],
    config: NetConfig = LOOPBACK,
    *,
    names: Names | None = None,
    clock: Clock | None = None,
    at_once: bool = True,
) -> list[Answer]:
    """Fetch URLs with one client, all at once or one after the other."""

    async def run() -> list[Answer]:
        async with Client(config, resolver=names, clock=clock) as client:
            if at_once:
                return list(await asyncio.gather(*(client.get(url) for url in urls)))
            return [await client.get(url) for url in urls]

    return asyncio.run(run())


def get(url: str, config: NetConfig = LOOPBACK, *, names: Names | None = None, clock: Clock | None = None) -> Answer:
    return get_all([url], config, names=names, clock=clock)[0]
