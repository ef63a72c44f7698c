"""Reading addresses that someone else wrote. Python's own functions raise ValueError for some of them ("http://["),
and take seconds for others; here what is no address is None. Pure."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from app.domain.hostnames import browser_name

_USUAL_PORTS: Final = {"http": 80, "https": 443}
#: The longest authority (user, host and port) with letters beyond ASCII. urlsplit normalizes those, in time that grows
#: with the square of their number; a host name has at most 253 characters (RFC 1035, section 2.3.4).
_LONGEST_AUTHORITY: Final = 300
_AUTHORITY: Final = re.compile(r"//([^/?#]*)")
#: urlsplit ignores these inside an address, as browsers do (WHATWG URL, "basic URL parser").
_IGNORED: Final = str.maketrans("", "", "\t\r\n")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def split(url: str) -> SplitResult | None:
    """The parts of an address, whose `hostname` and `port` can be read without an error. None for what is no address:
    brackets that do not close, a port that is no number, control characters, blanks around it."""
    if url != url.strip() or _CONTROL.search(url) or _is_costly(url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname
    except ValueError:
        return None
    return parts


def join(base: str, url: str) -> str | None:
    """Where a link on the page `base` leads. None where either is no address."""
    if _is_costly(base) or _is_costly(url):
        return None
    try:
        joined = urljoin(base, url)
    except ValueError:
        return None
    return joined if split(joined.strip()) is not None else None


def origin_of(url: str) -> str:
    """The origin as browsers write it, which they compare letter by letter: small letters, no usual port, domains in
    other scripts as xn--, numbers in one form. Empty for what is no web address, or one that browsers read otherwise
    than Python does: to them a backslash ends the host."""
    parts = split(url.strip())
    if parts is None or parts.scheme not in _USUAL_PORTS or not parts.hostname or "\\" in parts.netloc:
        return ""
    try:
        host = browser_name(parts.hostname)
    except ValueError:
        return ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (
        f":{parts.port}" if parts.port not in {None, _USUAL_PORTS[parts.scheme]} else ""
    )


def _is_costly(url: str) -> bool:
    found = _AUTHORITY.search(url.translate(_IGNORED))
    return found is not None and len(found[1]) > _LONGEST_AUTHORITY and not found[1].isascii()
