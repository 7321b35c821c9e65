"""What a URL must be before anything is asked of it, and the form in which it is asked for."""

import ipaddress
import socket
from urllib.parse import quote, urlsplit, urlunsplit

from pipeline.acquire.mirror import route

UNRESERVED = "/%:@!$&'()*+,;=~-._"
NO_NAMES = ("localhost", "localdomain", "local", "internal")


def fault(url: str, *, allow_private: bool) -> str:
    """Return why a URL is not fetched, empty if it may be.

    Names are not resolved here: `pipeline.acquire.fetch` refuses the connection if a name, or a redirect, leads to a
    private address.

    Returns:
        ``bad_url``, ``scheme_not_allowed``, ``private_address`` or the empty string.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "bad_url"
    if parts.scheme not in ("http", "https"):
        return "scheme_not_allowed" if parts.scheme else "bad_url"
    if not host or any(c.isspace() or ord(c) < 32 for c in host):
        return "bad_url"
    if not allow_private and is_private(host):
        return "private_address"
    return ""


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
    ip = ipaddress.ip_address(str(address).split("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return not ip.is_global or ip.is_multicast


def fetchable(url: str, mirror: str = "") -> str:
    """Return the URL in ASCII, as it goes over the wire; with a mirror, its path on the mirror's address."""
    parts = urlsplit(url)
    path, query = quote(parts.path, safe=UNRESERVED), quote(parts.query, safe=UNRESERVED + "?")
    if mirror:
        return mirror + route(urlunsplit(("", "", path, query, "")))
    host = (parts.hostname or "").encode("idna").decode()
    host = f"[{host}]" if ":" in host else host
    netloc = host if parts.port is None else f"{host}:{parts.port}"
    return urlunsplit((parts.scheme, netloc, path, query, ""))
