"""Host names in other scripts, in the form of letters and digits that the network knows. Pure.

By the standard of 2008, as mail addresses are checked and as browsers do it. Python's own codec follows the one of
2003, which makes "ss" of "ß": another domain, which may be someone else's.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import idna

_LONGEST: Final = 253
#: What makes a name a number (URL Standard, "ends in a number"), and what each part of it may then be.
_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+")


def registered_name(name: str) -> str:
    """The name as a registry has it. Raises ValueError for one that none may hold."""
    return name if name.isascii() else idna.encode(name, uts46=True).decode()


def written_name(name: str) -> str:
    """The name in its own script and small letters, whichever of its forms is given; what none may hold comes back in
    small letters."""
    small = name.lower()
    if len(name) > _LONGEST or (small.isascii() and "xn--" not in small):
        return small
    try:
        return idna.decode(idna.encode(name, uts46=True))
    except ValueError:
        return small


def browser_name(name: str) -> str:
    """The name as a browser writes it (URL Standard, "host parsing"), small, and numbers in their one form: 127.1 is
    127.0.0.1. Browsers pass some names that registries no longer take, such as those with pictures. Raises ValueError
    for what is no name."""
    if ":" in name:
        return _ipv6(name)
    name = name.lower()
    if not name.isascii():
        labels = idna.uts46_remap(name, std3_rules=False, transitional=False).split(".")
        name = ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels)
    parts = name.removesuffix(".").split(".")
    return _ipv4(parts) if _NUMBER.fullmatch(parts[-1]) else name


def _ipv4(parts: list[str]) -> str:
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) and len(part) < 40 for part in parts):
        raise ValueError("no IPv4 address")
    *first, last = (int(part.removeprefix("0x") or "0", _base(part)) for part in parts)
    if any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        raise ValueError("no IPv4 address")
    return str(IPv4Address(last + sum(number << 8 * (3 - place) for place, number in enumerate(first))))


def _base(number: str) -> int:
    if number.startswith("0x"):
        return 16
    return 8 if number.startswith("0") and len(number) > 1 else 10


def _ipv6(name: str) -> str:
    if "%" in name:  # browsers know no zones
        raise ValueError("no IPv6 address")
    address = IPv6Address(name)
    low = int(address) & 0xFFFFFFFF
    # Python has written the last four bytes with dots since 3.13.
    return f"::ffff:{low >> 16:x}:{low & 0xFFFF:x}" if address.ipv4_mapped else str(address)
