"""Answers of the JSON door that are ready, in the server's own form: the door says which, to whom, and how often."""

from __future__ import annotations

from collections.abc import Mapping

from app.api.door import USAGE, Door
from app.api.kept_answers import KeptAnswers
from app.parts import Parts
from app.protection.rate_limits import client_address
from app.web.shared.ready_answers import Client, ReadyAnswer, header_lines
from app.web.shared.security_headers import https_only, with_security_headers

#: Origins whose headers are kept as they are sent.
_MOST = 100
_COUNTED = b"content-length: %d\r\n" + b"".join(name.lower().encode() + b": %d\r\n" for name in USAGE)


class ReadyJson:
    """The shelf of one path, behind its door."""

    def __init__(self, route: str, door: Door, parts: Parts, kept: KeptAnswers) -> None:
        self._path = route.encode()
        self._route = route
        self._door = door
        self._parts = parts
        self._kept = kept
        self._more = https_only(https=parts.settings.public_url.startswith("https://"))
        self._lines: dict[bytes, bytes] = {}

    def ready(self, path: bytes, query: bytes, asked: Mapping[bytes, bytes], client: Client) -> ReadyAnswer | None:
        """The answer to a GET without a body, if there is one."""
        if path != self._path:
            return None
        found = self._door.ready(self._parts, self._kept, query, asked, client_address({"client": client()}))
        if found is None:
            return None
        usage, body = found
        self._parts.metrics.answered("GET", self._route, 200, 0.0)
        return ReadyAnswer(200, self._for(asked.get(b"origin", b"")) + _COUNTED % (len(body), *usage), body)

    def _for(self, origin: bytes) -> bytes:
        lines = self._lines.get(origin)
        if lines is None:
            said = self._door.headers_for(self._parts, origin.decode("latin-1")).items()
            own = [(name.lower().encode(), value.encode("latin-1")) for name, value in said]
            lines = header_lines(with_security_headers(own, self._more))
            if len(self._lines) < _MOST:
                self._lines[origin] = lines
        return lines
