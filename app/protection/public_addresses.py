"""Which addresses of the Internet are open to everyone, so that asking them reaches nothing inside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

#: Every address of a host; raises OSError where there is none.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

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


class NoSuchHost(Exception):
    """The name has no address."""


class NotPublic(Exception):
    """The name leads to an address that is not open to everyone."""


async def address_to_ask(resolve: Resolve, host: str, port: int, *, named: bool) -> str:
    """The one IP address to ask, which must be public unless the operator has `named` the origin. Raises NoSuchHost and
    NotPublic."""
    try:
        found = [ip_address(address.partition("%")[0]) for address in await resolve(host, port)]
    except (OSError, UnicodeError) as error:
        raise NoSuchHost from error
    if not found:
        raise NoSuchHost
    # One private address among public ones is how a name is made to lead inside at the second look.
    if not named and not all(map(is_public, found)):
        raise NotPublic
    # IPv4 first: it is what servers without IPv6 of their own can reach.
    return str(min(found, key=lambda address: address.version))


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is anyone's to ask."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _REFUSED):
            return False
    return address.is_global and not address.is_multicast
