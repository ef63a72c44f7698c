"""Connections that break: the same faults over a socket and in process."""

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.stripe.errors import Dropped, Hung

_IN_PROCESS = "stripe_sandbox.in_process"


class Connection:
    """ASGI middleware that plays out Dropped and Hung on a real connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Dropped:
            if _IN_PROCESS in scope:
                raise
            # A server cannot hang up from inside ASGI, but it closes a connection whose promised body
            # never comes, and the client sees the end of the connection.
            headers = [(b"content-length", b"1")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        except Hung:
            if _IN_PROCESS in scope:
                raise
            while (await receive())["type"] != "http.disconnect":
                pass


class InProcess(httpx.AsyncBaseTransport):
    """Carries httpx requests to the sandbox without sockets; faults become httpx's errors."""

    def __init__(self, app: ASGIApp) -> None:
        async def marked(scope: Scope, receive: Receive, send: Send) -> None:
            scope[_IN_PROCESS] = True
            await app(scope, receive, send)

        self._inner = httpx.ASGITransport(marked)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._inner.handle_async_request(request)
        except Dropped as fault:
            raise httpx.ReadError("the sandbox dropped the connection", request=request) from fault
        except Hung as fault:
            raise httpx.ReadTimeout("the sandbox did not answer", request=request) from fault
