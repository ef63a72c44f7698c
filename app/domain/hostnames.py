"""Host names in other scripts, in the form of letters and digits that the network knows. Pure.

By the standard of 2008, as mail addresses are checked and as browsers do it. Python's own codec follows the one of
2003, which makes "ss" of "ß": another domain, which may be someone else's.
"""

from __future__ import annotations

from typing import Final

import idna

_LONGEST: Final = 253


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
    """The name as a browser writes it (URL Standard, "domain to ASCII"), small. Browsers pass some that registries no
    longer take, such as those with pictures. Raises ValueError for what is no name."""
    if name.isascii():
        return name.lower()
    labels = idna.uts46_remap(name, std3_rules=False, transitional=False).split(".")
    return ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels)
