"""The loader, the style sheet and the other files, answered from memory before anything else looks at the request.

They are the same for everyone and as long as the process lives: what the door answered once is sent again, with
another request's number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.shared.ready_answers import Client, ReadyAnswer, by_name, header_lines, path_as_it_came
from app.web.shared.security_headers import Header, new_request_id, request_header

#: How their paths begin.
FILES: Final = (b"/static/", b"/embed.js")
_PATHS: Final = tuple(beginning.decode() for beginning in FILES)
#: Answers that are kept at most: each file compressed and not, and as what a browser has already.
_MOST: Final = 200
#: What an address of ours may say of a file: its content's hash. Anything else would only fill the memory.
_LONGEST_QUERY: Final = 16
_NAME: Final = request_header("")[0]
Headers = Mapping[bytes, bytes]
_Asked = tuple[bytes, bytes, bytes | None, bytes | None]


@dataclass(frozen=True, slots=True)
class _Kept:
    headers: list[Header]
    ready: ReadyAnswer


class Files:
    """The answers that are kept."""

    def __init__(self) -> None:
        self._answers: dict[_Asked, _Kept] = {}

    def ready(self, path: bytes, query: bytes, asked: Headers, _client: Client) -> ReadyAnswer | None:
        """As `find`, in the server's own form."""
        kept = self.find(_asked_for(path, query, asked))
        return kept.ready if kept else None

    def find(self, asked: _Asked) -> _Kept | None:
        """What was answered before."""
        return self._answers.get(asked)

    def keep(self, asked: _Asked, status: int, headers: Iterable[Header], body: bytes) -> None:
        """One whole answer, while there is room."""
        if len(self._answers) < _MOST:
            kept = [(name.lower(), value) for name, value in headers if name.lower() != _NAME]
            self._answers[asked] = _Kept(kept, ReadyAnswer(status, header_lines(kept), body))


class WarmFiles:
    """ASGI middleware; stands first."""

    def __init__(self, app: ASGIApp, files: Files) -> None:
        self._app = app
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] != "GET"
            or not scope["path"].startswith(_PATHS)
            or len(scope["query_string"]) > _LONGEST_QUERY
        ):
            await self._app(scope, receive, send)
            return
        asked = _asked_for(path_as_it_came(scope), scope["query_string"], by_name(scope["headers"]))
        known = self._files.find(asked)
        if known is None:
            await self._app(scope, receive, self._remember(asked, send))
            return
        headers = [*known.headers, request_header(new_request_id())]
        await send({"type": "http.response.start", "status": known.ready.status, "headers": headers})
        await send({"type": "http.response.body", "body": known.ready.body})

    def _remember(self, asked: _Asked, send: Send) -> Send:
        """Send, and keep what was sent, if it is one whole answer."""
        start: Message = {}

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif start.get("status") in {200, 304} and not message.get("more_body"):
                self._files.keep(asked, start["status"], start["headers"], message.get("body", b""))
                start["status"] = 0
            await send(message)

        return keep


def _asked_for(path: bytes, query: bytes, asked: Headers) -> _Asked:
    return path, query, asked.get(b"accept-encoding"), asked.get(b"if-none-match")
