"""What costs the server something is kept, or bounded."""

from collections.abc import AsyncIterator
from pathlib import Path
from time import process_time

import pytest

from tests.support.stack import Stack, open_stack


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio with a staff page."""
    async with open_stack(tmp_path, settings={"staff_emails": "eva@studio.example"}) as stack:
        yield stack


@pytest.mark.parametrize(
    "path", ["/nope", "/w/nobody", "/b/x", "/r/x", "/manage/x", "/staff", "/staff/sent", "/staff/x"]
)
async def test_a_page_of_no_widget_has_no_look_that_could_be_asked_for(stack: Stack, path: str) -> None:
    usual = (await stack.client.get(path)).text
    dressed = (await stack.client.get(f"{path}?accent=ff0000&background=00ff00")).text
    assert ":root{" in usual
    assert dressed == usual


async def test_an_error_page_takes_the_asked_look_only_so_often(stack: Stack) -> None:
    dressed = [
        "#00ff00" in (await stack.client.post("/w/studio?accent=ff0000&background=00ff00")).text for _ in range(200)
    ]
    assert all(dressed[:60])
    assert not any(dressed[130:])


async def seconds(stack: Stack, path: str) -> float:
    """What 20 answers cost the processor: the least of five times, since the collector may run in any of them."""
    rounds = []
    for _ in range(5):
        began = process_time()
        for _ in range(20):
            assert (await stack.client.get(path)).status_code == 200
        rounds.append(process_time() - began)
    return min(rounds)


async def test_the_page_of_the_api_is_drawn_once(stack: Stack) -> None:
    await stack.client.get("/api")
    assert await seconds(stack, "/api") < 6 * await seconds(stack, "/healthz"), "drawn anew, it costs 25 times as much"
