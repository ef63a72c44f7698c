"""Answers that are ready to be sent, for a server that can look for them before it makes a request of what came in.

The lifespan hands `ReadyAnswers` to the server in its state, under `STATE`; `app.cli.server` asks it. Under any other
server the middleware `WarmPages` and `WarmFiles` give the same answers from the same shelves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from starlette.types import Scope

#: The name in the lifespan's state.
STATE: Final = "ready_answers"
#: What may not be in a header's value (RFC 9110, 5.5).
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


#: Says who asks, as the server knows it: host and port.
Client = Callable[[], tuple[str, int] | None]


class ReadyAnswer(NamedTuple):
    """All but what the server adds to every answer: the date and the request's name."""

    status: int
    #: The headers as they are sent, each line with its end.
    lines: bytes
    body: bytes


class Shelf(Protocol):
    """Where answers are kept."""

    def ready(self, path: bytes, query: bytes, asked: Mapping[bytes, bytes], client: Client) -> ReadyAnswer | None:
        """The answer to a GET without a body, if there is one."""
        ...


class ReadyAnswers:
    """The shelves, by how the paths of what lies there begin."""

    def __init__(self, shelves: Mapping[bytes, Shelf]) -> None:
        self._beginnings = tuple(shelves)
        self._shelves = tuple(shelves.items())

    def find(self, target: bytes, headers: Iterable[tuple[bytes, bytes]], client: Client) -> ReadyAnswer | None:
        """The answer to a GET of a request's target with these headers, whose names are in lower case."""
        if not target.startswith(self._beginnings):
            return None
        asked = by_name(headers)
        if b"content-length" in asked or b"transfer-encoding" in asked:
            return None
        path, _, query = target.partition(b"?")
        for beginning, shelf in self._shelves:
            if target.startswith(beginning):
                return shelf.ready(path, query, asked, client)
        return None


def path_as_it_came(scope: Scope) -> bytes:
    """With its escapes, where the server tells that."""
    raw: bytes | None = scope.get("raw_path")
    return raw if raw is not None else scope["path"].encode("utf-8", "surrogateescape")


def by_name(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """Of several with one name the first, as Starlette's Request has it: were it another one here, a request with two
    languages would be answered in one and kept under the other."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name not in found:
            found[name] = value
    return found


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """As they are sent. Raises ValueError for a value that would end its line."""
    lines = []
    for name, value in headers:
        if _CONTROL.search(value):
            raise ValueError(f"not a header's value: {value!r}")
        lines.append(name + b": " + value + b"\r\n")
    return b"".join(lines)
