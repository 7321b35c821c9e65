"""One request on the wire: to checked addresses only, within a time, a body no longer than allowed, no exception."""

import asyncio
import socket
import ssl
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from pipeline.acquire.net.address import is_public
from pipeline.acquire.net.config import NetConfig

CHUNK = 65_536
LOOKUPS = 32
NAMES_KEPT_SECONDS = 300
Headers = CIMultiDictProxy[str]
NO_HEADERS: Headers = CIMultiDictProxy(CIMultiDict())

# Returns the numeric addresses of a host name; raises OSError if it has none.
Resolve = Callable[[str], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What one request brought: a status and headers, and a body if it was wanted; or why not, as one word."""

    status: int = 0
    headers: Headers = field(default_factory=lambda: NO_HEADERS)
    body: bytes | None = None
    reason: str = ""
    message: str = ""
    seconds: float = 0.0


class PrivateAddressError(OSError):
    """A name leads to addresses that are not public, and to no other."""


class TooLargeError(Exception):
    """A body is longer than allowed."""


class EncodingError(Exception):
    """A body is compressed in a way that was not asked for and is not understood."""


class Transfer:
    """The open connections of a client; an asynchronous context manager."""

    def __init__(self, config: NetConfig, resolve: Resolve | None = None) -> None:
        self._config = config
        self._resolve = resolve
        self._insecure = frozenset(host.lower() for host in config.insecure_hosts)

    async def __aenter__(self) -> "Transfer":
        self._resolver = _CheckedResolver(self._config, self._resolve)
        connector = aiohttp.TCPConnector(
            limit=0,  # callers and turns limit it
            resolver=self._resolver,
            ttl_dns_cache=NAMES_KEPT_SECONDS,
            ssl=ssl.create_default_context(),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._config.connect_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"User-Agent": self._config.user_agent, "Accept-Encoding": "identity"},
        )
        # It would send a request twice, unseen by those who count and space requests; there is no public switch.
        self._session._retry_connection = False
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._session.close()
        await self._resolver.close()

    async def ask(
        self, url: str, *, seconds: float, limit: int, wanted: Callable[[int, Headers], bool], cut: bool = False
    ) -> Reply:
        """Make one GET request, follow nothing.

        Args:
            url: in ASCII, its host checked if it is an address.
            seconds: for all of it, from the look-up of the name to the last byte.
            limit: longest body in bytes, decoded or not.
            wanted: whether the body is to be read, by status and headers.
            cut: return the first `limit` bytes of a longer body instead of refusing it.
        """
        target = URL(url, encoded=True)
        secure = target.host not in self._insecure
        status, headers, body, fault = 0, NO_HEADERS, None, None
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            async with (
                asyncio.timeout(seconds),
                self._session.get(target, allow_redirects=False, ssl=secure) as response,
            ):
                status, headers = response.status, response.headers
                body = await _body(response, limit, cut) if wanted(status, headers) else None
        except (aiohttp.ClientError, OSError, TooLargeError, EncodingError, zlib.error, ValueError) as error:
            fault = error
        taken = loop.time() - start
        if fault is not None:
            return Reply(status, headers, None, _reason(fault), self._message(fault), taken)
        return Reply(status, headers, body, seconds=taken)

    def _message(self, error: Exception) -> str:
        """Return one line about what went wrong, the same in every run."""
        if isinstance(error, TimeoutError) and not str(error):
            return f"no complete answer within {self._config.deadline:g} s"
        text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
        return " ".join(text.split())[:200] or type(error).__name__


async def _body(response: aiohttp.ClientResponse, limit: int, cut: bool) -> bytes:
    """Read a body and undo a compression of it, at most `limit` bytes of either."""
    decoder = _Decoder(response.headers)
    declared = response.headers.get("Content-Length", "")
    if not cut and declared.isdecimal() and int(declared[:20]) > limit:
        raise TooLargeError(f"{declared[:20]} bytes are announced, {limit} allowed")
    taken, found = 0, bytearray()
    while chunk := await response.content.read(min(CHUNK, limit + 1 - taken)):
        taken += len(chunk)
        found += decoder.decode(chunk, limit + 1 - len(found))
        if max(taken, len(found)) > limit:
            if cut:
                return bytes(found[:limit])
            raise TooLargeError(f"more than {limit} bytes")
    if not decoder.is_complete:
        raise aiohttp.ClientPayloadError("the compressed body is cut")
    return bytes(found)


class _Decoder:
    """Undoes gzip and deflate, never further than the room that is left."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        encoding = headers.get("Content-Encoding", "").strip().lower() or "identity"
        if encoding not in ("identity", "gzip", "x-gzip", "deflate"):
            raise EncodingError(f"Content-Encoding: {encoding}")
        self._inflate = None if encoding == "identity" else zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)

    def decode(self, chunk: bytes, room: int) -> bytes:
        return chunk if self._inflate is None else self._inflate.decompress(chunk, room)

    @property
    def is_complete(self) -> bool:
        return self._inflate is None or self._inflate.eof


class _CheckedResolver(AbstractResolver):
    """Gives the connector the public addresses of a name, so that what was checked is what is connected to."""

    def __init__(self, config: NetConfig, resolve: Resolve | None) -> None:
        self._config = config
        self._threads = ThreadPoolExecutor(LOOKUPS, "names")
        self._resolve = resolve or self._ask_system

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        try:
            async with asyncio.timeout(self._config.connect_timeout):
                found = await self._resolve(host)
        except TimeoutError as error:
            raise OSError(f"no answer about the name {host} in {self._config.connect_timeout:g} s") from error
        allowed = [a for a in found if self._config.allow_private_hosts or is_public(a)]
        if found and not allowed:
            raise PrivateAddressError(f"{host} is {', '.join(found)}")
        kinds = [(address, socket.AF_INET6 if ":" in address else socket.AF_INET) for address in allowed]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for address, kind in kinds
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask_system(self, host: str) -> Sequence[str]:
        look_up = asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(entry[4][0]) for entry in await look_up))


def _reason(error: Exception) -> str:
    """Return the one word for what went wrong."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    kinds: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
        (PrivateAddressError, "private_address"),
        (TooLargeError, "too_large"),
        (EncodingError, "content_encoding"),
    )
    for kind, reason in kinds:
        if isinstance(cause, kind):
            return reason
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "unknown_host"
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError | ssl.SSLError):
        return "tls"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no_connection"
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError | zlib.error | OSError):
        return "incomplete"
    return "bad_answer"
