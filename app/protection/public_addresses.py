"""Which addresses of the Internet are open to everyone, so that asking them reaches nothing inside."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Final

#: IPv6 that leads to IPv4 addresses, which would have to be judged in their place: NAT64, 6to4, Teredo, IPv4-compatible
#: (RFC 4291). And what older tables of Python call global: site-local addresses (RFC 3879), documentation (RFC 9637)
#: and segment routing (RFC 9602).
_REFUSED: Final = tuple(
    map(
        IPv6Network,
        (
            *("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96"),
            *("fec0::/10", "3fff::/20", "5f00::/16"),
        ),
    )
)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is anyone's to ask."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _REFUSED):
            return False
    return address.is_global and not address.is_multicast
