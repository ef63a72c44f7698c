"""The worker running next to the app, and waiting for what it does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
from anyio.lowlevel import checkpoint
from asgi_lifespan import LifespanManager
from starlette.applications import Starlette

from app.main import Seams, create_app
from tests.support.stack import PUBLIC_URL, Stack
from tests.support.stripe_transport import TransportHTTPClient


async def until(happened: Callable[[], bool]) -> None:
    """Let everything run until something is so."""
    async with asyncio.timeout(60):
        while not happened():
            await checkpoint()


@asynccontextmanager
async def with_worker(
    stack: Stack, sleep: Callable[[float], Awaitable[None]]
) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    """The application with its worker in the same process, over the stack's database and providers."""
    seams = Seams(
        now=stack.clock,
        random=stack.random,
        sleep=sleep,
        scheduler_transports={"hapio": stack.hapio.transport()},
        stripe_http=TransportHTTPClient(stack.stripe.transport()),
    )
    app = create_app(stack.settings, seams, run_worker=True)
    async with (
        LifespanManager(app, startup_timeout=60, shutdown_timeout=60),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client,
    ):
        yield app, client
