"""What every answer carries and every request is held to: security headers, a request id, a limit on bodies.

Plain ASGI, because Starlette's BaseHTTPMiddleware costs three quarters of the throughput of a warm page.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import STRUCTLOG_KEY_PREFIX

from app.errors import TooLarge

Header = tuple[bytes, bytes]

#: The largest form, with every field at its limit, is below 20 KiB.
MAX_BODY = 64 * 1024
#: Providers' webhooks are larger and have a limit of their own.
_UNLIMITED = "/api/webhooks/"

#: What no page of ours uses, so that nothing in it can: the powerful features that browsers know by these names
#: (W3C, "Permissions Policy", features registry). Storage access is among them: we keep nothing in browsers.
_UNUSED = (
    b"accelerometer",
    b"autoplay",
    b"browsing-topics",
    b"camera",
    b"display-capture",
    b"encrypted-media",
    b"fullscreen",
    b"geolocation",
    b"gyroscope",
    b"hid",
    b"identity-credentials-get",
    b"idle-detection",
    b"local-fonts",
    b"magnetometer",
    b"microphone",
    b"midi",
    b"payment",
    b"picture-in-picture",
    b"publickey-credentials-create",
    b"publickey-credentials-get",
    b"screen-wake-lock",
    b"serial",
    b"storage-access",
    b"usb",
    b"window-management",
    b"xr-spatial-tracking",
)

# A page that says nothing of its own may load nothing and be framed by nobody.
_DEFAULTS: tuple[Header, ...] = (
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    # Nobody else holds a window of ours, and no other site shows our answers as its own; framed pages say otherwise.
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b", ".join(feature + b"=()" for feature in _UNUSED)),
)

# What `bind_contextvars(request=…)` sets, at a tenth of the price. Servers give each request a context of its own.
_REQUEST: ContextVar[str] = ContextVar(f"{STRUCTLOG_KEY_PREFIX}request")


def new_request_id() -> str:
    """A name for one request, for logs and for a visitor who reports a problem. Unique, and no secret."""
    return f"{random.getrandbits(128):032x}"


def request_header(request_id: str) -> Header:
    """The header that names a request."""
    return b"x-request-id", request_id.encode()


def guarded(headers: Iterable[Header]) -> list[Header]:
    """An answer's headers, and the defaults for what it does not say itself. Names in lower case."""
    own = list(headers)
    present = dict(own)
    return own + [default for default in _DEFAULTS if default[0] not in present]


class Guard:
    """ASGI middleware around the whole application. Headers that an answer sets itself are left alone."""

    def __init__(self, app: ASGIApp, *, max_body: int = MAX_BODY, new_id: Callable[[], str] = new_request_id) -> None:
        self._app = app
        self._max_body = max_body
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._new_id()
        _REQUEST.set(request_id)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*guarded(message.get("headers", ())), request_header(request_id)]
            await send(message)

        await self._app(scope, self._limited(scope, receive), send_guarded)

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """`receive` that raises TooLarge where the body passes the limit, declared or not."""
        if scope["method"] in {"GET", "HEAD"} or scope["path"].startswith(_UNLIMITED):
            return receive
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            if declared.isdigit() and int(declared) > self._max_body:
                raise TooLarge("declared length")
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body:
                raise TooLarge("length")
            return message

        return receive_limited
