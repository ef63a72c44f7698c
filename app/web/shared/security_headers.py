"""What every answer carries and every request is held to: security headers, a request id, limits on bodies; and what is
told of each request in the log.

Plain ASGI, because Starlette's BaseHTTPMiddleware costs three quarters of the throughput of a warm page.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from time import monotonic

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import STRUCTLOG_KEY_PREFIX

from app.errors import TooLarge, TooSlow

Header = tuple[bytes, bytes]

log = structlog.get_logger()

#: The largest form, with every field at its limit, is below 20 KiB.
MAX_BODY = 64 * 1024
#: Providers' webhooks are larger and have a limit of their own.
_UNLIMITED = "/api/webhooks/"
#: Seconds in which a body must have arrived. The largest form takes three over the slowest mobile network.
BODY_SECONDS = 10.0
#: The route of what no route answers, in logs and figures.
UNMATCHED = "unmatched"
#: What else someone may send as a method is counted and logged as one word.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

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

#: For a year, browsers that came over https come back over nothing else. Subdomains are not ours to speak for.
HTTPS_ONLY = "max-age=31536000"

# What `bind_contextvars(request=…)` sets, at a tenth of the price. Servers give each request a context of its own.
_REQUEST: ContextVar[str] = ContextVar(f"{STRUCTLOG_KEY_PREFIX}request")


def new_request_id() -> str:
    """A name for one request, for logs and for a visitor who reports a problem. Unique, and no secret."""
    return f"{random.getrandbits(128):032x}"


def request_header(request_id: str) -> Header:
    """The header that names a request."""
    return b"x-request-id", request_id.encode()


def with_security_headers(headers: Iterable[Header], more: tuple[Header, ...] = ()) -> list[Header]:
    """An answer's headers, and the defaults, with `more` of them, for what it does not say itself. Names in lower
    case."""
    own = list(headers)
    present = dict(own)
    return own + [default for default in (*_DEFAULTS, *more) if default[0] not in present]


def https_only(*, https: bool) -> tuple[Header, ...]:
    """What every answer says besides, where browsers shall come over https only."""
    return ((b"strict-transport-security", HTTPS_ONLY.encode()),) if https else ()


ShowError = Callable[[Request, Exception], Awaitable[Response]]
Answered = Callable[[Scope, str, int, float], None]


class SecurityHeaders:
    """ASGI middleware around the whole application. Headers that an answer sets itself are left alone.

    `https` says that browsers must use https only. `show_error` answers what nobody has caught; `answered` hears
    of each request: its scope, its route, its status (0 where the client left) and its seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        https: bool = False,
        show_error: ShowError | None = None,
        answered: Answered | None = None,
        max_body: int = MAX_BODY,
        body_seconds: float = BODY_SECONDS,
        new_id: Callable[[], str] = new_request_id,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._app = app
        self._more = https_only(https=https)
        self._show_error = show_error or _say_sorry
        self._answered = answered
        self._max_body = max_body
        self._body_seconds = body_seconds
        self._new_id = new_id
        self._clock = clock
        self._routes: dict[tuple[object, frozenset[str]], str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = self._clock(), 0
        request_id = self._new_id()
        _REQUEST.set(request_id)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*with_security_headers(message.get("headers", ()), self._more), request_header(request_id)]
                if status == TooSlow.status:  # what is still on its way must not be taken for the next request
                    headers.append((b"connection", b"close"))
                message["headers"] = headers
            await send(message)

        receive = self._received(scope, receive)
        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            pass  # nobody is left to be answered
        except Exception as error:  # nothing above may answer in its place: it would know no header of ours
            log.error("unhandled", route=self._route(scope), exc_info=error)
            if not status:
                await (await self._shown(Request(scope, receive), error))(scope, receive, send_with_headers)
        finally:
            self._tell(scope, status, self._clock() - began)

    async def _shown(self, request: Request, error: Exception) -> Response:
        try:
            return await self._show_error(request, error)
        except Exception as another:  # the error's page may be what is broken
            log.error("error not shown", route=self._route(request.scope), exc_info=another)
            return await _say_sorry(request, another)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = self._route(scope)
        log.info("request", method=method_of(scope), route=route, status=status, ms=round(seconds * 1000, 1))
        if self._answered:
            self._answered(scope, route, status, seconds)

    def _route(self, scope: Scope) -> str:
        """The template of the route that matched. Never the path, which carries tokens."""
        if "endpoint" not in scope:
            return UNMATCHED
        if not self._routes:
            routes = [route for route in scope["app"].routes if isinstance(route, Route)]
            self._routes = {(route.endpoint, frozenset(route.param_convertors)): route.path for route in routes}
        return self._routes.get((scope["endpoint"], frozenset(scope.get("path_params", ()))), UNMATCHED)

    def _received(self, scope: Scope, receive: Receive) -> Receive:
        """`receive` that raises TooLarge where the body passes the limit, declared or not, and TooSlow where it does
        not arrive in time."""
        if scope["method"] in {"GET", "HEAD"}:
            return receive
        most = None if scope["path"].startswith(_UNLIMITED) else self._max_body
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        received, deadline, complete = 0, 0.0, False

        async def receive_limited() -> Message:
            nonlocal received, deadline, complete
            if most is not None and declared.isdigit() and int(declared) > most:
                raise TooLarge("declared length")
            if complete:  # what comes now is that the client leaves, which may take any time
                return await receive()
            deadline = deadline or asyncio.get_running_loop().time() + self._body_seconds
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise TooSlow(f"{received} bytes in {self._body_seconds} s") from None
            complete = not message.get("more_body", False)
            received += len(message.get("body", b""))
            if most is not None and received > most:
                raise TooLarge("length")
            return message

        return receive_limited


def method_of(scope: Scope) -> str:
    """The method, if it is a usual one: anyone may send any word."""
    method: str = scope["method"]
    return method if method in _METHODS else "other"


async def _say_sorry(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("Something went wrong on our side.", status_code=500)
