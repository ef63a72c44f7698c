"""What every answer carries, and what no request may do."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.errors import HoldfastError
from app.web.shared.security_headers import SecurityHeaders


async def echo_length(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def speak_for_itself(_: Request) -> Response:
    return PlainTextResponse("hello", headers={"Content-Security-Policy": "default-src 'self'"})


async def refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, HoldfastError)
    return PlainTextResponse(error.sentence, status_code=error.status)


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(
        routes=[
            Route("/form", echo_length, methods=["GET", "POST"]),
            Route("/own", speak_for_itself),
            Route("/api/webhooks/stripe", echo_length, methods=["POST"]),
        ],
        exception_handlers={HoldfastError: refuse},
    )
    app.add_middleware(SecurityHeaders)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://book.example") as client:
        yield client


async def test_every_answer_is_locked_down_unless_it_says_otherwise(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/form")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "camera=()" in answer.headers["permissions-policy"]


async def test_a_page_with_its_own_policy_keeps_it(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/own")
    assert answer.headers.get_list("content-security-policy") == ["default-src 'self'"]


async def test_a_missing_page_is_locked_down_too(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/nowhere")
    assert answer.status_code == 404
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_every_request_has_its_own_name(browser: httpx.AsyncClient) -> None:
    names = {(await browser.get("/form", headers={"X-Request-Id": "mine"})).headers["x-request-id"] for _ in range(3)}
    assert len(names) == 3
    assert "mine" not in names


async def test_a_form_of_ordinary_size_passes(browser: httpx.AsyncClient) -> None:
    assert (await browser.post("/form", content=b"x" * 20_000)).text == "20000"


async def test_a_body_that_says_it_is_too_large_is_refused(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/form", content=b"x" * 65_537)
    assert answer.status_code == 413
    assert "shorten" in answer.text


async def test_a_body_that_does_not_say_how_large_it_is_is_refused_where_it_passes_the_limit(
    browser: httpx.AsyncClient,
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1024
            yield b"x" * 1024

    answer = await browser.post("/form", content=endless())
    assert answer.status_code == 413


async def test_webhooks_may_be_larger_than_forms(browser: httpx.AsyncClient) -> None:
    assert (await browser.post("/api/webhooks/stripe", content=b"x" * 100_000)).text == "100000"
