"""What a browser says about the answer that it wants: compressed or not, and which one it has already."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

#: An entity tag without its mark for a weak one (RFC 9110, section 8.8.3).
_TAG: Final = re.compile(r'"[^"]*"')
_WEIGHT: Final = re.compile(r"q\s*=\s*([\d.]+)", re.IGNORECASE)


@lru_cache(maxsize=256)
def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an `Accept-Encoding` takes gzip (RFC 9110, section 12.5.3). Ours is not sent for a bare "*"."""
    for part in accept_encoding.lower().split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip() in {"gzip", "x-gzip"}:
            weight = _WEIGHT.search(parameters)
            return weight is None or weight[1].strip("0.") != ""
    return False


def has_already(if_none_match: str, tag: str) -> bool:
    """Whether an `If-None-Match` names the entity tag. Weak and strong forms are alike (RFC 9110, section 13.1.2)."""
    return if_none_match.strip() == "*" or (
        if_none_match != "" and tag.removeprefix("W/") in _TAG.findall(if_none_match)
    )
