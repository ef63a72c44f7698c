"""What a tag's attributes say, read as the loader reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

#: What editors put around a value, as the loader strips it (`quotes` in static/embed.js).
_QUOTES: Final = "".join(
    (
        "\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff\"'`\\\u00ab\u00bb\u00b4\uff02\uff07",
        *(chr(code) for code in (*range(0x2000, 0x2020), *range(0x2032, 0x203B), *range(0x300C, 0x3020))),
    )
)
_ENTITY: Final = re.compile(r"&#?\w{1,10};", re.ASCII)
_ENTITY_AT_END: Final = re.compile(_ENTITY.pattern + r"\Z", re.ASCII)


def as_loader_reads(value: str) -> str:
    """An attribute's value as the loader reads it: without blanks, and quotes of any kind, around it."""
    while True:
        found = value.strip(_QUOTES)
        if begin := _ENTITY.match(found):
            found = found[begin.end() :]
        elif found.endswith(";") and (end := _ENTITY_AT_END.search(found, len(found) - 13)):
            found = found[: end.start()]
        if found == value:
            return found
        value = found


def height_of(frame: Mapping[str, str]) -> int | None:
    """How many pixels high a frame is; None where its attributes do not say."""
    styled = re.search(r"(?:^|;)\s*height\s*:\s*(\d{1,9})(?:\.\d+)?px", frame.get("style", ""))
    found = styled or re.fullmatch(r"(\d{1,9})(?:px)?", frame.get("height", ""))
    return int(found[1]) if found else None
