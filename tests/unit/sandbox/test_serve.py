"""The demo's server: real sockets on loopback, in the event loop that is already running."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from sandbox.serve import PortUnavailableError, serve_app


async def greet(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"hello from {request.url.netloc}")


def greeter() -> Starlette:
    return Starlette(routes=[Route("/", greet)])


async def test_several_apps_run_side_by_side_on_ports_of_their_own() -> None:
    async with (
        serve_app(greeter(), port=0) as one,
        serve_app(greeter(), port=0) as two,
        httpx.AsyncClient() as client,
    ):
        answers = {(await client.get(url)).text for url in (one, two)}
    assert answers == {f"hello from {url.removeprefix('http://')}" for url in (one, two)}


async def test_after_the_block_nobody_listens_and_the_port_is_free_again() -> None:
    async with serve_app(greeter(), port=0) as url:
        pass
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)
    port = int(url.rpartition(":")[2])
    async with serve_app(greeter(), port=port) as again:
        assert again == url


async def test_a_taken_port_is_named_in_the_error() -> None:
    async with serve_app(greeter(), port=0) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(PortUnavailableError, match=f"127.0.0.1:{port} cannot be used"):
            async with serve_app(greeter(), port=port):
                raise AssertionError("two servers on one port")


async def test_the_apps_start_and_stop_run_around_the_block() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        seen.append("started")
        yield
        seen.append("stopped")

    async with serve_app(Starlette(lifespan=lifespan), port=0):
        assert seen == ["started"]
    assert seen == ["started", "stopped"]


async def test_an_app_that_cannot_start_stops_the_caller_instead_of_hanging() -> None:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        raise LookupError("no database")
        yield

    with pytest.raises(RuntimeError, match="did not start"):
        async with serve_app(Starlette(lifespan=lifespan), port=0):
            raise AssertionError("served without having started")
