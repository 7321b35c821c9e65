"""Asks other people's servers for pictures: safe against whatever they send, polite in whatever it asks of them.

Guaranteed, for every URL:

- `Client.get` raises nothing for what the network does; it returns a body that is whole, or a reason.
- Only ``http`` and ``https``; only public addresses, unless ``allow_private_hosts``. The address that was checked is
  the one that is connected to, so a name cannot change its mind in between (DNS rebinding). Every redirect is checked
  like the first URL; there are at most ``max_redirects``, and none leads from ``https`` back to ``http``.
- One request with its redirects ends within ``deadline`` seconds, however slowly it drips. What waits for politeness
  (a turn, a delay, a Retry-After, the host's robots.txt) does not count.
- At most ``max_bytes`` of a body are taken, compressed or not. Identity is asked for; gzip and deflate are undone as
  far as that limit, other encodings are refused (``content_encoding``).
- Certificates are checked, except for ``insecure_hosts``.
- robots.txt (RFC 9309) is fetched once for each origin, also by simultaneous calls, and obeyed: 4xx allows all; a 5xx,
  a 429 or no answer forbids all (``robots_unreachable``) for ``rest`` seconds, after which it is asked for anew. A
  chain of more than five redirects counts as 4xx.
- The opt-outs of `pipeline.acquire.net.optout` are obeyed, on redirects too, and named in `Answer.opt_out`. A signal
  that the configuration ignores is still named there, beside the body.
- No more than ``per_host`` requests to a host at a time, their starts ``delay`` apart; 429 and 503 with Retry-After
  stop all requests to that host for that long. Failures that may pass are tried ``attempts`` times, with a jittered
  wait that doubles; a host that fails ``failures`` times in a row, or names that do not resolve, get a rest, in which
  their rows fail as ``host_down`` without a request.
- The User-Agent names the project and a URL. No cookies, credentials or referrers are sent.

Not guaranteed:

- A body that ends with its connection (no Content-Length, not chunked) cannot be told from a cut one. A Content-Length
  that is too short gives a body that is too short. Whoever decodes the picture finds both.
- Up to about 400 KiB beyond ``max_bytes`` may lie in the buffers of a connection when it is closed.
- Limits hold for one Client; two of them, or two processes, do not know of each other. What is known of hosts and
  origins is forgotten beyond the `KEPT` most recent ones.
- Proxies are not used: behind one, addresses could not be checked.
- Opt-outs inside pictures (XMP, IPTC, C2PA), in ``ai.txt`` or on the page that shows a picture are not seen.
"""

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.acquire.net import optout, urls
from pipeline.acquire.net.config import NetConfig as NetConfig
from pipeline.acquire.net.politeness import Clock, Manners, retry_after
from pipeline.acquire.net.site import FETCHED, PASSING, REDIRECTS, Sites, Standing

if TYPE_CHECKING:
    from pipeline.acquire.net.transfer import Headers, Reply, Resolve

PASSING_STATUS = frozenset({408, 425, 429, *range(500, 600)})
LATER = PASSING | {"tls", "host_down", "robots_unreachable"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a URL.

    Attributes:
        url: as it was asked for.
        body: the bytes of the picture, None if there are none.
        reason: one word why there is no body, empty if there is one.
        message: one line about it, for people.
        opt_out: the signal against use that was found, also if the configuration does not obey it.
        retryable: whether another run may have more success.
        requests: how many were made for this URL; those for robots.txt and tdmrep.json are not counted.
        final_url: where the last of them went.
        status: of the last answer, 0 if there was none.
    """

    url: str
    body: bytes | None = None
    reason: str = ""
    message: str = ""
    opt_out: str = ""
    retryable: bool = False
    requests: int = 0
    final_url: str = ""
    status: int = 0


class Client:
    """Fetches URLs; an asynchronous context manager, to be used within one event loop.

    Args:
        resolver: looks up host names instead of the system's resolver; what it returns is checked all the same.
        clock: tells the time and waits, for politeness and between attempts.
    """

    def __init__(self, config: NetConfig, *, resolver: "Resolve | None" = None, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or Clock()
        self._resolver = resolver

    async def __aenter__(self) -> "Client":
        from pipeline.acquire.net.transfer import Transfer

        self._transfer: Transfer = await Transfer(self._config, self._resolver).__aenter__()
        self._manners = Manners(self._config, self._clock, self._transfer)
        self._sites = Sites(self._config, self._clock, self._manners)
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._transfer.__aexit__(*exception)

    async def get(self, url: str) -> Answer:
        """Fetch a URL, with all redirects and attempts."""
        if reason := urls.fault(url, allow_private=self._config.allow_private_hosts):
            return Answer(url, reason=reason)
        jitter = random.Random(url)  # noqa: S311 (spreads attempts, keeps no secret)
        answer, requests = Answer(url), 0
        for attempt in range(self._config.attempts):
            found, reply = await self._follow(url)
            requests += found.requests
            if attempt and found.reason == "host_down":
                break  # why it failed before says more
            answer = found
            if reply is None or not _may_pass(reply):
                break
            asked = retry_after(reply.headers.get("Retry-After", ""), self._clock)
            wait = max(asked, self._config.backoff * 2**attempt * jitter.uniform(0.5, 1.5))
            if attempt + 1 == self._config.attempts or asked > self._config.max_wait:
                break
            await self._clock.sleep(wait)
        return replace(answer, requests=requests)

    async def _follow(self, url: str) -> "tuple[Answer, Reply | None]":
        """Make one attempt at a URL; the reply is the last one, None if the last step asked nothing."""
        at, seconds, seen = urls.fetchable(url), self._config.deadline, set[str]()
        answer = Answer(url)
        while True:
            seen.add(at)
            standing = await self._sites.standing(at)
            answer = replace(answer, opt_out=answer.opt_out or standing.opt_out, final_url=at)
            if standing.reason:
                return _failed(answer, standing.reason, standing.message), None
            reply = await self._ask(at, standing, seconds)
            seconds -= reply.seconds
            answer = replace(answer, status=reply.status, requests=answer.requests + (reply.reason != "host_down"))
            signal, obeyed = self._signal(reply.status, reply.headers, reply.body, standing)
            answer = replace(answer, opt_out=signal or answer.opt_out)
            if reply.reason:
                return _failed(answer, reply.reason, reply.message), reply
            if obeyed:
                return _failed(answer, "opt_out", signal), reply
            if reply.status not in REDIRECTS:
                return _ended(answer, reply), reply
            location = reply.headers.get("Location", "")
            target, reason = urls.redirected(at, location, seen, allow_private=self._config.allow_private_hosts)
            if not reason and len(seen) > self._config.max_redirects:
                reason = "too_many_redirects"
            if reason:
                return _failed(answer, reason, f"redirect to {location}"), None
            at = target

    async def _ask(self, url: str, standing: Standing, seconds: float) -> "Reply":
        def wanted(status: int, headers: "Headers") -> bool:
            return status in FETCHED and not self._signal(status, headers, None, standing)[1]

        return await self._manners.ask(url, seconds=seconds, limit=self._config.max_bytes, wanted=wanted)

    def _signal(self, status: int, headers: "Headers", body: bytes | None, standing: Standing) -> tuple[str, bool]:
        """Return the opt-out of an answer that counts first, empty if there is none, and whether it is obeyed."""
        if status not in FETCHED and status not in REDIRECTS:
            return "", False
        now = self._clock.wall()
        found = list(optout.in_headers(headers, now))
        stated = optout.tdm_reservation(headers.getall("TDM-Reservation", ()))
        if standing.reserved and not stated:  # a header supersedes the file
            found.append(("TDM-Reservation", "tdmrep.json"))
        if body is not None and "html" in headers.get("Content-Type", "").lower() and (words := optout.page(body, now)):
            found.append(("meta", words))
        obeyed = next((words for kind, words in found if self._config.obeys(kind)), "")
        return obeyed or next((words for _, words in found), ""), bool(obeyed)


def _may_pass(reply: "Reply") -> bool:
    """Tell whether another attempt in this run may have more success."""
    return reply.reason in PASSING or (not reply.reason and reply.status in PASSING_STATUS)


def _ended(answer: Answer, reply: "Reply") -> Answer:
    """Return the answer of a reply that is no redirect."""
    if reply.body is not None:
        return replace(answer, body=reply.body)
    return _failed(answer, f"http_{reply.status}", f"status {reply.status}")


def _failed(answer: Answer, reason: str, message: str) -> Answer:
    later = reason in LATER or (reason == f"http_{answer.status}" and answer.status in PASSING_STATUS)
    line = "".join(c if c.isprintable() else "?" for c in " ".join(message.split())[:300])  # it may quote a server
    return replace(answer, reason=reason, message=line, retryable=later)
