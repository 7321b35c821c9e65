"""What sites say of themselves, fetched once for each origin: may a URL be fetched, and is it reserved?"""

import asyncio
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.acquire.net import urls
from pipeline.acquire.net.config import NetConfig
from pipeline.acquire.net.politeness import KEPT, Clock, Manners
from pipeline.acquire.net.robots import ROBOTS_BYTES, Robots, TdmRules, is_reserved, read_robots, read_tdm_rules

if TYPE_CHECKING:
    from pipeline.acquire.net.transfer import Reply

FETCHED = (200, 203)
REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 5  # RFC 9309, 2.3.1.2
PASSING = frozenset({"timeout", "unknown_host", "no_connection", "incomplete"})
OF_THE_HOST = frozenset({"unknown_host", "no_connection", "tls", "private_address", "host_down"})
TDM_FILE = "/.well-known/tdmrep.json"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a URL stands with its site: a reason not to fetch it, an opt-out, a reservation in tdmrep.json."""

    reason: str = ""
    message: str = ""
    opt_out: str = ""
    reserved: bool = False


@dataclass(slots=True)
class _Site:
    """What is known of one origin."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    robots: Robots | None = None
    tdm: TdmRules | None = None
    failure: Standing = Standing()
    failed_until: float = 0.0


class Sites:
    """Fetches and remembers robots.txt and tdmrep.json; simultaneous questions about one origin wait for one answer."""

    def __init__(self, config: NetConfig, clock: Clock, manners: Manners) -> None:
        self._config, self._clock, self._manners = config, clock, manners
        self._site = lru_cache(KEPT)(lambda _: _Site())

    async def standing(self, url: str) -> Standing:
        """Return how a URL stands with its site."""
        if not self._config.robots and not self._config.obeys("TDM-Reservation"):
            return Standing()
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        site = self._site(origin)
        if not self._is_known(site):
            async with site.lock:
                await self._learn(site, origin, url)
        if site.robots is None:
            return site.failure
        if not site.robots.allows(url):
            return Standing("opt_out", "disallowed by robots.txt", "robots.txt")
        if site.robots.reserves(url):
            words = "robots.txt: Content-Usage"
            return Standing("opt_out" if self._config.obeys("Content-Usage") else "", words, words)
        return Standing(reserved=is_reserved(site.tdm or (), url))

    def _is_known(self, site: _Site) -> bool:
        if site.robots is None:
            return self._clock.now() < site.failed_until
        return site.tdm is not None or not self._config.obeys("TDM-Reservation")

    async def _learn(self, site: _Site, origin: str, url: str) -> None:
        """Fetch what is not known yet; a failure of robots.txt is remembered for a while."""
        if self._is_known(site):
            return
        if site.robots is None:
            await self._learn_robots(site, origin)
        # Where this URL is forbidden, the file can wait for one that is not.
        if site.robots is not None and site.robots.allows(url) and self._config.obeys("TDM-Reservation"):
            site.tdm = await self._tdm_rules(origin) if site.robots.allows(origin + TDM_FILE) else ()

    async def _learn_robots(self, site: _Site, origin: str) -> None:
        if not self._config.robots:
            site.robots = Robots()
            return
        reply = await self._document(f"{origin}/robots.txt")
        if reply.body is not None:
            site.robots = read_robots(reply.body)
            host = self._manners.host(urlsplit(origin).hostname or "")
            host.delay = max(self._config.delay, min(site.robots.delay, self._config.max_delay))
        elif not reply.reason and reply.status < 500 and reply.status != 429:
            site.robots = Robots()
        else:
            site.failed_until = self._clock.now() + self._config.rest
            reason = reply.reason if reply.reason in OF_THE_HOST else "robots_unreachable"
            site.failure = Standing(reason, f"robots.txt: {reply.message or f'status {reply.status}'}")

    async def _tdm_rules(self, origin: str) -> TdmRules:
        """Return the rules of a site's tdmrep.json; none if it cannot be had, as its specification has it."""
        reply = await self._document(origin + TDM_FILE)
        return read_tdm_rules(reply.body) if reply.body is not None else ()

    async def _document(self, url: str) -> "Reply":
        """Fetch a file of a site, with redirects; without an answer, again. A redirect into nowhere is a 404."""
        reply = await self._follow(url)
        for attempt in range(1, self._config.attempts):
            if reply.status or reply.reason not in PASSING:
                break
            await self._clock.sleep(self._config.backoff * 2 ** (attempt - 1))
            again = await self._follow(url)
            if again.reason == "host_down":
                break  # why it failed before says more
            reply = again
        return reply

    async def _follow(self, url: str) -> "Reply":
        from pipeline.acquire.net.transfer import Reply

        at, seconds, seen = url, self._config.deadline, set[str]()
        while len(seen) <= MOST_REDIRECTS:
            seen.add(at)
            reply = await self._manners.ask(
                at, seconds=seconds, limit=ROBOTS_BYTES, cut=True, wanted=lambda status, _: status in FETCHED
            )
            seconds -= reply.seconds
            if reply.reason or reply.status not in REDIRECTS:
                return reply
            location = reply.headers.get("Location", "")
            at, reason = urls.redirected(at, location, seen, allow_private=self._config.allow_private_hosts)
            if reason:
                break
        return Reply(status=404)
