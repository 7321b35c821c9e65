"""A large file over HTTP, whole or not at all: from public addresses only, never longer than allowed."""

import asyncio
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from pipeline import files
from pipeline.acquire.net import urls
from pipeline.acquire.net.address import is_public
from pipeline.acquire.net.config import NetConfig
from pipeline.addresses import shown
from pipeline.errors import DataError

if TYPE_CHECKING:
    import aiohttp

REDIRECTS = (301, 302, 303, 307, 308)
HOPS = 5
BLOCK = 1_048_576


def download(
    url: str,
    target: Path,
    *,
    max_bytes: int,
    silence: float,
    deadline: float,
    attempts: int,
    allow_private: bool,
    remedy: str,
) -> None:
    """Write the body of a URL to `target`, which is there only when it is whole.

    Args:
        max_bytes: longest body.
        silence: seconds that the connection may bring nothing.
        deadline: seconds for one attempt.
        attempts: how often it is tried while the failure is one that can pass.
        allow_private: whether private and loopback addresses are connected to.
        remedy: what a person can do about a longer body.

    Raises:
        DataError: it cannot be had; the message says why.
    """
    wait = 1.0
    for attempt in range(1, attempts + 1):
        try:
            asyncio.run(_fetch(url, target, max_bytes, silence, deadline, allow_private, remedy))
            return
        except _TransientError as error:
            if attempt == attempts:
                raise DataError(f"{shown(url)} cannot be fetched: {error}") from None
            asyncio.run(asyncio.sleep(wait))
            wait *= 2


def is_reachable(url: str, *, seconds: float, allow_private: bool) -> bool:
    """Tell whether a server answers for a URL with success or a redirect, within some seconds."""
    import aiohttp

    async def ask() -> bool:
        async with (
            _session(seconds, seconds, allow_private) as session,
            # Not HEAD, which some servers refuse; the body is left unread.
            session.get(urls.fetchable(url), allow_redirects=False) as response,
        ):
            return response.status < 400

    if urls.fault(url, allow_private=allow_private):
        return False
    try:
        return asyncio.run(ask())
    except (aiohttp.ClientError, OSError, ValueError):
        return False


class _TransientError(Exception):
    """A failure that can pass."""


async def _fetch(
    url: str, target: Path, max_bytes: int, silence: float, deadline: float, allow_private: bool, remedy: str
) -> None:
    import aiohttp

    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        async with (
            _session(silence, deadline, allow_private) as session,
            await _answer(session, url, allow_private) as response,
        ):
            await _write_body(response, part, url, max_bytes, remedy)
        files.sync_file(part)
        part.replace(target)
        files.sync_directory(target.parent)
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, _PrivateAddressError):
            raise DataError(f"{shown(url)} cannot be fetched: {error.os_error}") from None
        raise _TransientError(_one_line(error)) from None
    except TimeoutError:
        raise _TransientError(f"no complete answer within {deadline:g} s, or silence for {silence:g} s") from None
    except (aiohttp.ClientError, ConnectionError, socket.gaierror, ValueError) as error:
        raise _TransientError(_one_line(error)) from None
    finally:
        files.remove(part)


async def _answer(session: "aiohttp.ClientSession", url: str, allow_private: bool) -> "aiohttp.ClientResponse":
    """Follow redirects, each of them checked as the first address was, to an answer with a body."""
    place = url
    for _ in range(HOPS + 1):
        if reason := urls.fault(place, allow_private=allow_private):
            elsewhere = f" {shown(place)}" if place != url else ""
            raise DataError(f"{shown(url)} cannot be fetched: {reason.replace('_', ' ')}{elsewhere}")
        response = await session.get(urls.fetchable(place), allow_redirects=False)
        if response.status in REDIRECTS and "Location" in response.headers:
            response.release()
            place = urljoin(place, response.headers["Location"])
            continue
        if response.status == 200:
            return response
        response.release()
        if response.status in (408, 425, 429) or response.status >= 500:
            raise _TransientError(f"status {response.status}")
        raise DataError(f"{shown(url)} cannot be fetched: status {response.status}")
    raise DataError(f"{shown(url)} cannot be fetched: more than {HOPS} redirects")


async def _write_body(response: "aiohttp.ClientResponse", part: Path, url: str, max_bytes: int, remedy: str) -> None:
    limit = f"more than {max_bytes:,} bytes; {remedy}"
    if (response.content_length or 0) > max_bytes:
        raise DataError(f"{shown(url)} has {limit}")
    written = 0
    with part.open("wb") as file:
        async for block in response.content.iter_chunked(BLOCK):
            written += len(block)
            if written > max_bytes:
                raise DataError(f"{shown(url)} has {limit}")
            file.write(block)


def _session(silence: float, deadline: float, allow_private: bool) -> "aiohttp.ClientSession":
    import aiohttp

    def public_socket(address: Any) -> socket.socket:
        # The last moment before a connection: a name cannot lead elsewhere after it was checked.
        family, kind, protocol, _, place = address
        if not allow_private and not is_public(str(place[0])):
            raise _PrivateAddressError(f"private address {place[0]}")
        return socket.socket(family=family, type=kind, proto=protocol)

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=public_socket),
        timeout=aiohttp.ClientTimeout(total=deadline, sock_connect=silence, sock_read=silence),
        auto_decompress=False,
        headers={"User-Agent": NetConfig().user_agent, "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
    )


class _PrivateAddressError(OSError):
    """A name leads to an address that is not public."""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
