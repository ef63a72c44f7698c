"""The HTTP server: slow clients are not waited for without end, idle connections outlive a proxy's, and what is no HTTP
is answered like everything else."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.cli import server
from app.errors import HoldfastError
from app.web.shared.ready_answers import STATE, Client, ReadyAnswer, ReadyAnswers
from app.web.shared.security_headers import SecurityHeaders
from app.web.shared.warm_files import Files
from sandbox.serve import listen


class Hasty(server.Protocol):
    """Waits for headers as long as a test may take."""

    header_seconds = 0.1


async def echo(request: Request) -> Response:
    return PlainTextResponse(f"{len(await request.body())} bytes")


async def refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, HoldfastError)
    return PlainTextResponse(error.sentence, status_code=error.status)


@asynccontextmanager
async def a_server(
    app: Starlette | None = None, lifespan: Literal["on", "off"] = "off", *, believed: str = "127.0.0.1"
) -> AsyncIterator[int]:
    if app is None:
        app = Starlette(routes=[Route("/", echo, methods=["POST", "GET"])], exception_handlers={HoldfastError: refuse})
        app.add_middleware(SecurityHeaders, body_seconds=0.1)
    config = uvicorn.Config(
        app, http=Hasty, log_config=None, access_log=False, lifespan=lifespan, forwarded_allow_ips=believed
    )
    running = uvicorn.Server(config)
    listener = listen(port=0)
    task = asyncio.create_task(running.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        running.should_exit = True
        await task


async def say(port: int, *parts: bytes) -> str:
    """Everything that comes back until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer.decode().lower()


def assert_guarded(answer: str) -> None:
    for header in (
        "x-request-id: ",
        "x-content-type-options: nosniff",
        "content-security-policy: ",
        "connection: close",
    ):
        assert header in answer


async def test_headers_that_never_end_are_not_waited_for() -> None:
    async with a_server() as port:
        for beginning in (b"", b"GET / HTTP/1.1\r\nHost: book.example\r\nX-Slow: ", b"POST /"):
            answer = await say(port, beginning)
            assert answer.startswith("http/1.1 408"), beginning
            assert_guarded(answer)


async def test_the_headers_of_a_second_request_are_not_waited_for_either() -> None:
    async with a_server() as port:
        answer = await say(port, b"GET / HTTP/1.1\r\nHost: book.example\r\n\r\n", b"GET / HTTP/1.1\r\nHost: ")
        assert answer.startswith("http/1.1 200")
        assert "http/1.1 408" in answer


async def test_a_body_that_never_ends_is_not_waited_for() -> None:
    async with a_server() as port:
        head = b"POST / HTTP/1.1\r\nHost: book.example\r\nContent-Length: 1000\r\n\r\n"
        answer = await say(port, head + b"x" * 10)
        assert answer.startswith("http/1.1 408")
        assert "took too long" in answer
        assert_guarded(answer)


async def test_what_is_no_http_is_answered_with_every_header() -> None:
    async with a_server() as port:
        answer = await say(port, b"this is no HTTP\r\n\r\n")
        assert answer.startswith("http/1.1 400")
        assert_guarded(answer)


async def test_an_idle_connection_is_kept_open_beyond_the_time_for_headers() -> None:
    async with a_server() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        ask = b"GET / HTTP/1.1\r\nHost: book.example\r\n\r\n"
        for _ in range(2):
            writer.write(ask)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            await reader.readexactly(len(b"0 bytes"))
            # The server's own timer runs by real time, and an idle connection has to outlast it: a short sleep would
            # let the test pass without it, a long one only costs time.
            await asyncio.sleep(Hasty.header_seconds * 1.5)
        writer.close()


async def test_a_ready_answer_is_sent_only_where_nothing_else_is_asked_of_the_server() -> None:
    files = Files()
    files.keep((b"/embed.js", b"", None, None), 200, [(b"content-length", b"5"), (b"x-kept", b"yes")], b"ready")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, ReadyAnswers]]:
        yield {STATE: ReadyAnswers({b"/embed.js": files})}

    async def door(request: Request) -> Response:
        return PlainTextResponse(f"door {request.url.query}")

    app = Starlette(routes=[Route("/embed.js", door, methods=["GET", "POST"])], lifespan=lifespan)
    app.add_middleware(SecurityHeaders)
    end = "GET /embed.js?end HTTP/1.1\r\nHost: book.example\r\nConnection: close\r\n\r\n"
    cases = {
        "GET /embed.js HTTP/1.1\r\nHost: book.example\r\n\r\n": "ready",
        "GET /embed.js?v=1 HTTP/1.1\r\nHost: book.example\r\n\r\n": "door v=1",
        "GET /embed.js HTTP/1.1\r\nHost: book.example\r\nContent-Length: 2\r\n\r\nhi": "door ",
        "POST /embed.js HTTP/1.1\r\nHost: book.example\r\nContent-Length: 0\r\n\r\n": "door ",
    }
    async with a_server(app, lifespan="on") as port:
        for asked, answered in cases.items():
            found = await say(port, asked.encode(), end.encode())
            assert f"\r\n\r\n{answered}http/1.1 200" in found, asked
            assert found.endswith("door end")
            assert found.count("x-request-id: ") == found.count("date: ") == 2
            assert ("x-kept: yes" in found) == (answered == "ready")
        first = await say(port, ("".join(cases) + end).encode())
        order = re.findall(r"ready|door (?:v|end)?", first)
        assert order == ["ready", "door v", "door ", "door ", "door end"]
        closing = "GET /embed.js HTTP/1.1\r\nHost: book.example\r\nConnection: close\r\n\r\n"
        for asked in (closing, "GET /embed.js HTTP/1.0\r\n\r\n", "HEAD" + closing[3:]):
            assert "x-kept" not in await say(port, asked.encode())


async def test_a_shelf_is_told_whom_a_proxy_that_is_believed_names() -> None:
    class Shelf:
        def ready(self, _path: bytes, _query: bytes, _asked: object, client: Client) -> ReadyAnswer:
            who = client()
            return ReadyAnswer(200, b"", f"it is {who[0]}".encode() if who else b"")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, ReadyAnswers]]:
        yield {STATE: ReadyAnswers({b"/": Shelf()})}

    app = Starlette(lifespan=lifespan)
    for believed, named, expected in (
        ("127.0.0.1", "10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", "10.9.9.9, 10.1.2.3", "10.1.2.3"),
        ("127.0.0.1, 10.1.2.0/24", "10.9.9.9, 10.1.2.3", "10.9.9.9"),
        ("127.0.0.1", "[2001:db8::7]:443", "2001:db8::7"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("10.0.0.1", "10.1.2.3", "127.0.0.1"),
    ):
        async with a_server(app, lifespan="on", believed=believed) as port:
            naming = f"X-Forwarded-For: {named}\r\n" if named else ""
            bad = "\r\n\r\nno request\r\n\r\n"
            answer = await say(port, f"GET / HTTP/1.1\r\nHost: book.example\r\n{naming}{bad}".encode())
            assert f"it is {expected}http" in answer, (believed, named)


def test_idle_connections_outlive_those_of_usual_proxies() -> None:
    assert server.KEEP_ALIVE_SECONDS > 120, "Caddy keeps them for two minutes, nginx for one"


def test_there_are_never_more_visitors_than_files_that_may_be_open() -> None:
    assert 1 <= server.most_connections() <= 2000
