"""The HTTP server around the application: uvicorn, with the limits that a server on the open internet needs."""

from __future__ import annotations

import asyncio

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.web.shared.security_headers import guarded, new_request_id, request_header

try:
    from resource import RLIMIT_NOFILE, getrlimit
except ImportError:  # not on Windows
    getrlimit = None  # type: ignore[assignment]

#: Seconds that an idle connection is kept. Longer than proxies keep theirs (Caddy 2 minutes, nginx 60 s): else they
#: send a request into a connection that is just being closed.
KEEP_ALIVE_SECONDS = 130
#: Seconds in which a request's headers must have arrived.
HEADER_SECONDS = 10.0
#: Connections at once; one more is answered 503.
MOST_CONNECTIONS = 2000
#: Open files that are needed for other things than visitors: the database, providers, the mail server.
_OTHER_FILES = 100


class Protocol(HttpToolsProtocol):
    """uvicorn's, which waits for headers without end, and answers what is no HTTP without our headers."""

    header_seconds = HEADER_SECONDS
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._stop_waiting()
        self._await_headers()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg)

    def _await_headers(self) -> None:
        text = "Your request took too long to arrive."
        self._late = self.loop.call_later(self.header_seconds, self._refuse, 408, text)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse(self, status: int, text: str) -> None:
        """Answer what never becomes a request, and hang up."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        body = text.encode("ascii")
        said = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
        headers = [*guarded(said), request_header(new_request_id()), (b"connection", b"close")]
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + body)
        self.transport.close()


def most_connections() -> int:
    """As many as there may be files open, less those that other things need."""
    if getrlimit is None:
        return MOST_CONNECTIONS
    files, _ = getrlimit(RLIMIT_NOFILE)
    return max(1, min(MOST_CONNECTIONS, files - _OTHER_FILES)) if files > 0 else MOST_CONNECTIONS


def serve(app: ASGIApp, *, host: str, port: int, proxies: str, patience: int) -> None:
    """Serve until SIGINT or SIGTERM, then let requests end within `patience` seconds. `proxies` are the addresses whose
    X-Forwarded-* headers are believed, with commas."""
    uvicorn.run(
        app,
        host=host,
        port=port,
        http=Protocol,
        loop=__import__("os").environ.get("XLOOP", "auto"),
        forwarded_allow_ips=proxies,
        server_header=False,
        # Paths carry signed tokens, which must not reach a log; ours are written without them.
        access_log=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        limit_concurrency=most_connections(),
        timeout_graceful_shutdown=patience,
    )
