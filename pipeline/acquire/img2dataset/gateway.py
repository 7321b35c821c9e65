"""The only server that img2dataset talks to: on the loopback, it hands each URL of a list on once that was fetched.

img2dataset has no limit on the size or the time of an answer, follows redirects to wherever they lead, knows neither
robots.txt nor a host's patience, and calls itself Firefox. So it is given addresses ``http://127.0.0.1:PORT/TOKEN/N``,
and whoever stands behind the gateway (`pipeline.acquire.net.client.Client`, or a `Mirror`) asks the hosts.

Guaranteed:

- A URL is asked of its origin once, by a client that has every limit; img2dataset opens no other connection.
- What became of a URL is known from the origin's own answer, never read out of img2dataset's messages.
- The bytes of a picture are those that the origin sent: their sha256 is kept here, and is compared with what
  img2dataset wrote before a part counts as done.
- At most `AHEAD_BYTES` of bodies wait for img2dataset, plus those of ``requests`` answers under way.
- Other users of the machine cannot read from it without the token, which is new each time.

Not guaranteed:

- A body is forgotten as soon as it was handed over. If img2dataset dies after that, its URL is asked for a second time.
- The order in which hosts are asked. It is about that of the list; nothing that is written depends on it.
- Whatever the origin does not see: a host that sends different bytes to everybody, or the same wrong ones twice.
"""

import asyncio
import contextlib
import hashlib
import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pipeline.acquire.net.client import Answer

if TYPE_CHECKING:
    from aiohttp import web

AHEAD_BYTES = 64 * 2**20
HOST = "127.0.0.1"
BACKLOG = 512
CLOSING_SECONDS = 3.0


class Origin(Protocol):
    """Where bodies come from; an asynchronous context manager."""

    async def __aenter__(self) -> "Origin": ...

    async def __aexit__(self, *exception: object) -> None: ...

    async def get(self, url: str) -> Answer:
        """Return the body of a URL, or why there is none; raise nothing."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of an answer: all but its body, of which sha256 (in hex) and size in bytes remain."""

    reason: str
    message: str
    opt_out: str
    retryable: bool
    requests: int
    final_url: str
    sha256: str
    size: int


class Gateway:
    """Serves the URLs of a list by their places in it, as long as the context lasts.

    It fetches ahead of what is asked for, in the order of the list, from the moment it is entered.
    """

    def __init__(self, urls: Sequence[str], origin: Callable[[], Origin], *, requests: int) -> None:
        """Take the list.

        Args:
            origin: makes the origin, inside the loop that uses it.
            requests: at most so many at a time that are made ahead.
        """
        self._urls = urls
        self._origin = origin
        self._requests = requests
        self._token = secrets.token_urlsafe(16)
        self._records: dict[int, Record] = {}
        self._under_way: dict[int, asyncio.Task[Answer]] = {}
        self._asked = bytearray(len(urls))
        self._ready: dict[int, Answer] = {}
        self._ready_bytes = 0
        self._started: Future[int] = Future()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)
        self.handed_over = 0
        self.waiting = 0

    def __enter__(self) -> "Gateway":
        self._thread.start()
        self._port = self._started.result()
        return self

    def __exit__(self, *exception: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself, over a fault
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(CLOSING_SECONDS)

    @property
    def address(self) -> str:
        """Where it listens, as ``host:port``."""
        return f"{HOST}:{self._port}"

    def target(self, number: int) -> str:
        """Return the address under which img2dataset gets the URL at a place of the list."""
        return f"http://{self.address}/{self._token}/{number}"

    def record(self, number: int) -> Record | None:
        """Return what became of a URL, None if that is not known yet.

        Raises:
            BaseException: the fault of our own that ended the gateway.
        """
        self.check()
        return self._records.get(number)

    def check(self) -> None:
        """Raise the fault of our own that has ended the gateway, if there was one."""
        if self._fault is not None:
            raise self._fault

    def forget(self, number: int) -> None:
        """Give up the record of a URL that will not be asked for again."""
        self._records.pop(number, None)

    def _run(self) -> None:
        self._loop = asyncio.new_event_loop()
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that asks
            self._fault = error
            if not self._started.done():
                self._started.set_exception(error)
        finally:
            # Not asyncio.run(): that waits for look-ups of names, which know no end.
            self._loop.close()

    async def _serve(self) -> None:
        from aiohttp import web

        self._stop = asyncio.Event()
        self._room = asyncio.Event()
        async with self._origin() as self._source:
            answering = web.Server(self._answer, access_log=None)
            listener = await self._loop.create_server(answering, HOST, 0, backlog=BACKLOG)
            ahead = asyncio.create_task(self._fetch_ahead())
            ahead.add_done_callback(self._note_fault)
            self._started.set_result(listener.sockets[0].getsockname()[1])
            await self._stop.wait()
            listener.close()
            tasks = [ahead, *self._under_way.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await answering.shutdown(0.1)
        if self._fault is not None:
            raise self._fault

    async def _fetch_ahead(self) -> None:
        """Fetch what nobody has asked for yet, as long as there is room for bodies."""
        slots = asyncio.Semaphore(self._requests)
        for number in range(len(self._urls)):
            await slots.acquire()
            while self._ready_bytes > AHEAD_BYTES:
                self._room.clear()
                await self._room.wait()
            if self._asked[number]:
                slots.release()
            else:
                self._start(number).add_done_callback(lambda _: slots.release())

    def _start(self, number: int) -> "asyncio.Task[Answer]":
        self._asked[number] = True
        task = self._loop.create_task(self._fetch(number))
        self._under_way[number] = task
        task.add_done_callback(self._note_fault)
        return task

    async def _fetch(self, number: int) -> Answer:
        """Ask the origin for a URL, and note what it said."""
        answer = await self._source.get(self._urls[number])
        body = answer.body
        self._records[number] = Record(
            answer.reason,
            answer.message,
            answer.opt_out,
            answer.retryable,
            answer.requests,
            answer.final_url,
            hashlib.sha256(body).hexdigest() if body is not None else "",
            len(body) if body is not None else 0,
        )
        if body is not None:
            self._ready[number] = answer
            self._ready_bytes += len(body)
        del self._under_way[number]
        return answer

    def _note_fault(self, task: "asyncio.Task[Answer] | asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fault = error
            self._stop.set()

    async def _answer(self, request: "web.BaseRequest") -> "web.Response":
        """Answer img2dataset: 200 and the body once it is there, 502 if there is none, 404 to a stranger."""
        from aiohttp import web

        _, token, name = (request.path + "//").split("/")[:3]
        if not secrets.compare_digest(token.encode(), self._token.encode()) or not name.isdecimal():
            return web.Response(status=404)
        number = int(name)
        if number >= len(self._urls):
            return web.Response(status=404)
        self.waiting += 1
        try:
            answer = await self._taken(number)
        finally:
            self.waiting -= 1
        self.handed_over += 1
        if answer is None or answer.body is None:
            return web.Response(status=502)
        return web.Response(body=answer.body)

    async def _taken(self, number: int) -> Answer | None:
        """Return the answer for a URL, fetched now if it is not there, and forget its body."""
        record = self._records.get(number)
        if record is not None and record.reason:
            return None
        if number not in self._ready:
            await asyncio.shield(self._under_way.get(number) or self._start(number))
        answer = self._ready.pop(number, None)
        if answer is not None and answer.body is not None:
            self._ready_bytes -= len(answer.body)
            self._room.set()
        return answer
