"""Which internet addresses are public: what may be connected to when a stranger chooses the name."""

import ipaddress

# Not public although older tables of the standard library call them global.
ASSIGNED_V6 = ipaddress.ip_network("2000::/3")
TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address behind a translator
SPECIAL = (
    ipaddress.ip_network("192.0.0.0/24"),
    ipaddress.ip_network("192.88.99.0/24"),
    ipaddress.ip_network("3fff::/20"),
)


def is_public(address: str) -> bool:
    """Tell whether a numeric address is unicast and reachable by everybody (IANA special-purpose registries).

    An IPv6 address that carries an IPv4 address (mapped, 6to4, Teredo, NAT64) is as public as the one it carries.

    Raises:
        ValueError: it is not a numeric address.
    """
    ip = ipaddress.ip_address(address.split("%")[0])
    if ip.version == 6 and (inner := _carried(ip)) is not None:
        return is_public(str(inner))
    if ip.is_multicast or any(ip.version == network.version and ip in network for network in SPECIAL):
        return False
    return ip.is_global and (ip.version == 4 or ip in ASSIGNED_V6)


def _carried(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address inside an IPv6 address, if it is of a kind that has one."""
    if ip in TRANSLATED:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
