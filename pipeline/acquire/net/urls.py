"""What a URL must be before anything is asked of it, and the form in which it is asked for."""

import ipaddress
import re
import socket
from collections.abc import Collection
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from pipeline.acquire.net.address import is_public

UNRESERVED = "/%:@!$&'()*+,;=~-._"
NO_NAMES = ("localhost", "localdomain", "local", "internal")
LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
HOST_NAME = re.compile(r"(?=.{1,254}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")


def fault(url: str, *, allow_private: bool) -> str:
    """Return why a URL is not fetched, empty if it may be.

    Names are not resolved here: whoever connects refuses the connection if a name leads to a private address.

    Returns:
        ``bad_url``, ``scheme_not_allowed``, ``private_address`` or the empty string.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            return "scheme_not_allowed" if parts.scheme else "bad_url"
        host = urlsplit(fetchable(url)).hostname or ""
    except ValueError:
        return "bad_url"
    if not _is_host(host):
        return "bad_url"
    return "private_address" if not allow_private and is_private(host) else ""


def is_private(host: str) -> bool:
    """Tell whether a host is a private, loopback, link-local or other non-public address, in any spelling of it."""
    host = host.rstrip(".").lower()
    if host.rsplit(".", 1)[-1] in NO_NAMES:
        return True
    try:
        # The system's own parser knows every spelling that its connect() knows: 127.1, 0x7f000001, 017700000001.
        address = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)[0][4][0]
    except (OSError, UnicodeError):
        return False
    return not is_public(str(address))


def fetchable(url: str) -> str:
    """Return the URL in ASCII, as it goes over the wire.

    What is percent-encoded already stays so. User name, password and fragment are left out.

    Raises:
        ValueError: it is no URL, or its host is no name.
    """
    parts = urlsplit(url)
    path, query = _encoded(parts.path or "/", UNRESERVED), _encoded(parts.query, UNRESERVED + "?")
    host = ascii_host(parts.hostname or "")
    host = f"[{host}]" if ":" in host else host
    netloc = host if parts.port is None else f"{host}:{parts.port}"
    return urlunsplit((parts.scheme, netloc, path, query, ""))


def redirected(url: str, location: str, seen: Collection[str], *, allow_private: bool) -> tuple[str, str]:
    """Return where a redirect leads, as it goes over the wire, and why that is not followed, empty if it is.

    Returns:
        The reason is one of `fault`, or ``bad_redirect`` (no location), ``insecure_redirect`` (from https to http) or
        ``redirect_loop`` (to one of `seen`).
    """
    if not location:
        return "", "bad_redirect"
    try:
        joined = urljoin(url, location.strip())
    except ValueError:
        return "", "bad_redirect"
    if reason := fault(joined, allow_private=allow_private):
        return "", "bad_redirect" if reason == "bad_url" else reason
    target = fetchable(joined)
    if url.startswith("https:") and target.startswith("http:"):
        return target, "insecure_redirect"
    return target, "redirect_loop" if target in seen else ""


def ascii_host(host: str) -> str:
    """Return a host in lower case and ASCII, as browsers do (UTS 46), or by IDNA 2003 where the newer one has no form.

    Raises:
        ValueError: it has none in either.
    """
    if host.isascii():
        return host.lower()
    import idna

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        return host.encode("idna").decode("ascii").lower()


def _is_host(host: str) -> bool:
    if ":" not in host:
        return HOST_NAME.fullmatch(host) is not None
    try:
        return bool(ipaddress.IPv6Address(host))
    except ValueError:
        return False


def _encoded(text: str, safe: str) -> str:
    # A header's undecodable bytes arrive as surrogates; they go back as the bytes they were.
    return quote(LONE_PERCENT.sub("%25", text).encode("utf-8", "surrogateescape"), safe=safe)
