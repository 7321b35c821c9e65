"""How often and when a host is asked: simultaneous requests, delays, pauses, and rest for those that fail."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.acquire.net.config import NetConfig

if TYPE_CHECKING:
    from pipeline.acquire.net.transfer import Headers, Reply, Transfer

KEPT = 10_000
UNREACHED = frozenset({"timeout", "unknown_host", "no_connection"})


class Clock:
    """The time, and waiting for it."""

    def now(self) -> float:
        """Return seconds on a clock that never goes back."""
        return time.monotonic()

    def wall(self) -> float:
        """Return seconds since 1970, to compare with the dates of servers."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Breaker:
    """Opens after so many failures in a row; lets one trial through after a rest, and closes when it succeeds."""

    def __init__(self, limit: int, rest: float, clock: Clock) -> None:
        self._limit, self._rest, self._clock = limit, rest, clock
        self._failures = 0
        self._until = 0.0

    def is_open(self) -> bool:
        """Tell whether nothing is to be tried now; if not, and it was open, the caller is the trial."""
        if self._failures < self._limit:
            return False
        if self._clock.now() < self._until:
            return True
        self._until = self._clock.now() + self._rest
        return False

    def record(self, *, failed: bool) -> None:
        """Take note of how a trial went."""
        self._failures = self._failures + 1 if failed else 0
        if failed:
            self._until = self._clock.now() + self._rest


class Host:
    """What is known of one host, and the turns in which it is asked."""

    def __init__(self, config: NetConfig, clock: Clock) -> None:
        self.breaker = Breaker(config.failures, config.rest, clock)
        self.delay = config.delay
        self.reached = False  # it has answered
        self.unknown = False
        self._clock = clock
        self._slots = asyncio.Semaphore(config.per_host)
        self._gate = asyncio.Lock()
        self._next_start = 0.0
        self._paused_until = 0.0
        self._max_wait = config.max_wait

    def pause(self, seconds: float) -> None:
        """Ask the host nothing for a while, since it wished so."""
        self._paused_until = max(self._paused_until, self._clock.now() + seconds)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[str]:
        """Wait until the host may be asked, and hold the turn; yields why it may not be, empty if it may."""
        async with self._slots:
            yield await self._start()

    async def _start(self) -> str:
        # One at a time, so that the time between two starts is never shorter than the delay.
        async with self._gate:
            if self.breaker.is_open():
                return "it failed again and again"
            while (wait := max(self._next_start, self._paused_until) - self._clock.now()) > 0:
                if self._paused_until - self._clock.now() > self._max_wait:
                    return f"it wishes to be left alone for more than {self._max_wait:g} s"
                await self._clock.sleep(wait)
            self._next_start = self._clock.now() + self.delay
            return ""


class Manners:
    """Asks hosts in their turns, and notes which of them fail."""

    def __init__(self, config: NetConfig, clock: Clock, transfer: "Transfer") -> None:
        self._clock, self._transfer = clock, transfer
        self._names = Breaker(config.name_failures, config.rest, clock)
        self.host = lru_cache(KEPT)(lambda _: Host(config, clock))

    async def ask(
        self, url: str, *, seconds: float, limit: int, wanted: "Callable[[int, Headers], bool]", cut: bool = False
    ) -> "Reply":
        """Wait for the host's turn, then make one request; see `Transfer.ask`. A host at rest is not asked."""
        from pipeline.acquire.net.transfer import Reply

        host = self.host(urlsplit(url).hostname or "")
        async with host.turn() as refusal:
            if not refusal and not host.reached and self._names.is_open():
                refusal = "no name resolves at present"
            if refusal:
                return Reply(reason="host_down", message=f"not asked: {refusal}")
            reply = await self._transfer.ask(url, seconds=seconds, limit=limit, wanted=wanted, cut=cut)
        self._note(host, reply)
        return reply

    def _note(self, host: Host, reply: "Reply") -> None:
        unknown = reply.reason == "unknown_host"
        if not (unknown and host.unknown):  # many rows of one dead name are one name
            self._names.record(failed=unknown)
        host.unknown = unknown
        host.reached = host.reached or reply.status > 0
        host.breaker.record(failed=reply.reason in UNREACHED and reply.status == 0)
        if reply.status in (429, 503):
            host.pause(retry_after(reply.headers.get("Retry-After", ""), self._clock))


def retry_after(value: str, clock: Clock) -> float:
    """Return the seconds that a Retry-After header asks for, in either of its forms; 0 for anything else."""
    if value.strip().isdecimal():
        return float(value.strip()[:9])
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError):
        return 0.0
    return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - clock.wall())
