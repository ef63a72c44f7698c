"""Run an ASGI app on a loopback port inside the event loop that is already running.

The demo and the browser tests put the product and its sandboxes side by side in one process this way.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp


class PortUnavailableError(OSError):
    """The address cannot be listened on; the message says which, why, and what to do."""


@asynccontextmanager
async def serve_app(app: ASGIApp, *, host: str = "127.0.0.1", port: int) -> AsyncIterator[str]:
    """Serve `app` while the block runs and yield its base URL, without a slash at the end; port 0 takes a free one.

    The app's lifespan runs around the block. Raises PortUnavailableError if the address is taken, and
    RuntimeError if the app fails to start.
    """
    listener = listen(host, port)
    async with serve_on(listener, app):
        yield base_url(listener)


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Take an address before anything is served there, so that apps can be told of each other first.

    Raises PortUnavailableError.
    """
    # asyncio switches Nagle's algorithm off only where the protocol is named; without that, each answer of two writes
    # waits 40 ms for the other side's delayed acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        reason = f"{host}:{port} cannot be used ({error.strerror}). Stop what has it, or choose another port."
        raise PortUnavailableError(error.errno, reason) from error
    return listener


def base_url(listener: socket.socket) -> str:
    """Return the URL that a listener answers to, without a slash at the end."""
    host, port = listener.getsockname()
    return f"http://{host}:{port}"


@asynccontextmanager
async def serve_on(
    listener: socket.socket, app: ASGIApp, protocol: type[asyncio.Protocol] | None = None
) -> AsyncIterator[None]:
    """Serve `app` on a listener while the block runs, then close the listener. `protocol` is a server's own in place of
    uvicorn's. Raises as `serve_app` does."""
    with listener:
        config = uvicorn.Config(
            app,
            http=protocol or "auto",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        server = _Server(config)
        running = asyncio.create_task(_run(server, listener))
        listening = asyncio.create_task(server.listening.wait())
        try:
            await asyncio.wait([running, listening], return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                yield
        finally:
            listening.cancel()
            server.should_exit = True
            await running


class _Server(uvicorn.Server):
    """A server that says when it listens, and leaves signals to the program it is part of."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def _run(server: _Server, listener: socket.socket) -> None:
    try:
        await server.serve(sockets=[listener])
    except SystemExit as stop:  # how uvicorn reports that the app's lifespan refused to start
        raise RuntimeError("The app did not start; its own error is in the log above.") from stop
