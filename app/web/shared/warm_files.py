"""The loader, the style sheet and the other files, answered from memory before anything else looks at the request.

They are the same for everybody and as long as the process lives: what the door answered once is sent again, with
another request's number.
"""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.shared.security_headers import Header, new_request_id, request_header

_PATHS: Final = ("/static/", "/embed.js")
#: Answers that are kept at most: each file compressed and not, and as what a browser has already.
_MOST: Final = 200
#: What an address of ours may say of a file: its content's hash. Anything else would only fill the memory.
_LONGEST_QUERY: Final = 16
_NAME: Final = request_header("")[0]
_Asked = tuple[str, bytes, bytes | None, bytes | None]
_Kept = tuple[int, list[Header], bytes]


class WarmFiles:
    """ASGI middleware; stands first."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._answers: dict[_Asked, _Kept] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] != "GET"
            or not scope["path"].startswith(_PATHS)
            or len(scope["query_string"]) > _LONGEST_QUERY
        ):
            await self._app(scope, receive, send)
            return
        asked = _asked_for(scope)
        known = self._answers.get(asked)
        if known is None:
            await self._app(scope, receive, self._remember(asked, send))
            return
        status, headers, body = known
        headers = [*headers, request_header(new_request_id())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _remember(self, asked: _Asked, send: Send) -> Send:
        """Send, and keep what was sent, if it is one whole answer."""
        start: Message = {}

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif start.get("status") in {200, 304} and not message.get("more_body") and len(self._answers) < _MOST:
                headers = [(name, value) for name, value in start["headers"] if name.lower() != _NAME]
                self._answers[asked] = (start["status"], headers, message.get("body", b""))
                start["status"] = 0
            await send(message)

        return keep


def _asked_for(scope: Scope) -> _Asked:
    encodings = known = None
    for name, value in scope["headers"]:
        if name == b"accept-encoding" and encodings is None:
            encodings = value
        elif name == b"if-none-match" and known is None:
            known = value
    return scope["path"], scope["query_string"], encodings, known
