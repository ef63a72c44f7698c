"""The HTTP server around the application: uvicorn, in one process or several, with limits for the open internet."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.web.shared.ready_answers import STATE, ReadyAnswer, ReadyAnswers
from app.web.shared.security_headers import new_request_id, request_header, with_security_headers

try:
    from resource import RLIMIT_NOFILE, getrlimit
except ImportError:  # not on Windows
    getrlimit = None  # type: ignore[assignment]

#: Seconds that an idle connection is kept. Longer than proxies keep theirs (Caddy 2 minutes, nginx 60 s): else they
#: send a request into a connection that is just being closed.
KEEP_ALIVE_SECONDS = 130
#: Seconds in which a request's headers must have arrived.
HEADER_SECONDS = 10.0
#: Seconds that an idle connection is kept after the server was told to stop: a proxy sends requests on it until it has
#: heard that it is closed, and one that meets the closing is lost.
LINGER_SECONDS = 1.0
#: Connections at once; one more is answered 503.
MOST_CONNECTIONS = 2000
#: Open files that are needed for other things than visitors: the database, providers, the mail server.
_OTHER_FILES = 100
#: A process that does not answer the one that started it for so many seconds hangs, and is replaced.
_PROCESS_SECONDS = 30
#: How the processes are told what was on the command line.
_ENV_FILE, _RUN_WORKER = "HOLDFAST_ENV_FILE", "HOLDFAST_RUN_WORKER"


class Protocol(HttpToolsProtocol):
    """uvicorn's, which waits for headers without end, and answers what is no HTTP without our headers."""

    header_seconds = HEADER_SECONDS
    linger_seconds = LINGER_SECONDS
    _late: asyncio.TimerHandle | None = None
    _retiring = False
    #: A request has begun whose headers are not all there.
    _beginning = False
    #: The request that is being read has been answered.
    _answered = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # Most requests come in one piece, and need no timer.
        if self._beginning and self._late is None:
            self._await_headers()

    def on_message_begin(self) -> None:
        self._stop_waiting()
        self._beginning, self._answered = True, False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        self._beginning = False
        ready = self._find_ready()
        if ready is not None:
            self._answered = True
            self._send_ready(ready)
            return
        super().on_headers_complete()
        if self._retiring and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        if not self._answered:
            super().on_message_complete()

    def _find_ready(self) -> ReadyAnswer | None:
        """The answer, if it is ready, and there is nothing about the connection that uvicorn must see to."""
        ready: ReadyAnswers | None = self.app_state.get(STATE)
        parser = self.parser
        if (
            ready is None
            or self._retiring
            or parser.get_method() != b"GET"
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or parser.should_upgrade()
            or not (self.cycle is None or self.cycle.response_complete)
            or self.flow.write_paused
            or self.transport.is_closing()
            or (self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency)
        ):
            return None
        return ready.find(self.url, self.headers, self._who)

    def _who(self) -> tuple[str, int] | None:
        """Who asks: behind a proxy that is believed, whom it names. By uvicorn's own rule, which waits for nothing."""
        if not isinstance(self.app, ProxyHeadersMiddleware):
            return self.client
        scope: dict[str, Any] = {"type": "http", "client": self.client, "headers": self.headers, "scheme": "http"}
        naming = _named_by(self.app)(scope, _unused, _unused)  # type: ignore[arg-type]  # as much of a scope as it reads
        with suppress(StopIteration):
            naming.send(None)
        found: tuple[str, int] | None = scope["client"]
        return found

    def _send_ready(self, ready: ReadyAnswer) -> None:
        """In one piece: a task, a scope and a check of every header cost as much as all the rest of such an answer."""
        usual = [name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers]
        name, value = request_header(new_request_id())
        end = (name, b": ", value, b"\r\n\r\n")
        self.transport.write(b"".join((STATUS_LINE[ready.status], *usual, ready.lines, *end, ready.body)))
        self.on_response_complete()

    def shutdown(self) -> None:
        """At the server's end: a connection that is idle stays for one more request, which may be on its way."""
        if self._retiring or not (self.cycle is None or self.cycle.response_complete):
            super().shutdown()
            return
        self._retiring = True
        self._stop_waiting()
        self.loop.call_later(self.linger_seconds, self._end)

    def _end(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()

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
        headers = [*with_security_headers(said), request_header(new_request_id()), (b"connection", b"close")]
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + body)
        self.transport.close()


@cache
def _named_by(middleware: ProxyHeadersMiddleware) -> ProxyHeadersMiddleware:
    """The same, around nothing."""
    alone = ProxyHeadersMiddleware(_unused)
    alone.trusted_hosts = middleware.trusted_hosts
    return alone


async def _unused(*_: object) -> Any:
    """In the place of an application, and of what it receives and sends."""


def most_connections() -> int:
    """As many as there may be files open, less those that other things need."""
    if getrlimit is None:
        return MOST_CONNECTIONS
    files, _ = getrlimit(RLIMIT_NOFILE)
    return max(1, min(MOST_CONNECTIONS, files - _OTHER_FILES)) if files > 0 else MOST_CONNECTIONS


def serve(app: ASGIApp, *, host: str, port: int, proxies: str, patience: int) -> None:
    """Serve until SIGINT or SIGTERM, then let requests end within `patience` seconds. `proxies` are the addresses whose
    X-Forwarded-* headers are believed, with commas."""
    uvicorn.run(app, **_options(host=host, port=port, proxies=proxies, patience=patience))


async def serve_until(done: asyncio.Event, app: ASGIApp, *, host: str, port: int, proxies: str, patience: int) -> bool:
    """As `serve`, until `done` is set: then True. False for a signal."""
    options = _options(host=host, port=port, proxies=proxies, patience=patience)
    server = uvicorn.Server(uvicorn.Config(app, **options))

    async def stop() -> None:
        await done.wait()
        server.should_exit = True

    stopping = asyncio.create_task(stop())
    try:
        await server.serve()
    finally:
        stopping.cancel()
    return done.is_set()


# Seven parameters: where, how many, and the two words of the command that each process has to be told.
def serve_in_processes(
    count: int, *, env_file: Path | None, run_worker: bool, host: str, port: int, proxies: str, patience: int
) -> None:
    """The same with so many processes on one port. One that ends is started again; SIGHUP puts a new one in the place
    of each, one after the other, so that no request fails."""
    os.environ[_ENV_FILE] = str(env_file.absolute()) if env_file else ""
    os.environ[_RUN_WORKER] = "yes" if run_worker else ""
    uvicorn.run(
        f"{__name__}:app_of_this_process",
        factory=True,
        workers=count,
        timeout_worker_healthcheck=_PROCESS_SECONDS,
        **_options(host=host, port=port, proxies=proxies, patience=patience),
    )


def app_of_this_process() -> ASGIApp:
    """The application of one of several processes, which reads the settings itself."""
    from app.environment import read_environment
    from app.main import create_app
    from app.settings import read_settings
    from app.telemetry.logs import log_crashes, set_up_logs

    named = os.environ.get(_ENV_FILE)
    environment = read_environment(os.environ, env_file=Path(named) if named else None, folder=Path.cwd())
    settings = read_settings(environment.variables)
    set_up_logs(settings.log_level)
    log_crashes()
    return create_app(settings, run_worker=bool(os.environ.get(_RUN_WORKER)))


def _options(*, host: str, port: int, proxies: str, patience: int) -> dict[str, Any]:
    return {
        "host": host,
        "port": port,
        "http": Protocol,
        "forwarded_allow_ips": proxies,
        "server_header": False,
        # Paths carry signed tokens, which must not reach a log; ours are written without them.
        "access_log": False,
        "log_config": None,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "limit_concurrency": most_connections(),
        "timeout_graceful_shutdown": patience,
    }
