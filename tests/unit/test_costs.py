"""What costs the server something is kept, or counted by who asks."""

from collections.abc import AsyncIterator
from pathlib import Path
from time import process_time

import pytest

from tests.stack import Stack, open_stack


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio with figures for its operator, and a staff page."""
    settings = {"metrics_token": "m" * 32, "staff_emails": "eva@studio.example"}
    async with open_stack(tmp_path, settings=settings) as stack:
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
    assert all(dressed[:100])
    assert not any(dressed[130:])


@pytest.mark.parametrize(
    "path", ["/b/x", "/b/x/return", "/r/x", "/manage/x/sent", "/manage/sent", "/metrics", "/embed", "/embed/preview"]
)
async def test_addresses_that_open_nothing_are_counted_by_who_asks(stack: Stack, path: str) -> None:
    statuses = [(await stack.client.get(path)).status_code for _ in range(150)]
    assert statuses[0] != 429
    assert statuses[-1] == 429


async def test_an_office_behind_one_address_looks_at_its_bookings_as_often_as_it_likes(stack: Stack) -> None:
    for nth in range(4):
        booking = await stack.confirmed(await stack.in_days(2 + nth))
        token = stack.house.links.booking_token(booking.id, ends_at=booking.ends_at)
        for _ in range(80):
            assert (await stack.client.get(f"/b/{token}")).status_code == 200


async def seconds(stack: Stack, path: str) -> float:
    """What 50 answers cost the processor."""
    began = process_time()
    for _ in range(50):
        assert (await stack.client.get(path)).status_code == 200
    return process_time() - began


async def test_the_page_of_the_api_is_drawn_once(stack: Stack) -> None:
    await stack.client.get("/api")
    assert await seconds(stack, "/api") < 6 * await seconds(stack, "/healthz"), "drawn anew, it costs 25 times as much"
