"""Someone who may just have paid is never told that nothing was charged, nor asked to try again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.disk import locked, read_only
from tests.support.stack import Stack, open_stack, text_of

NEVER = ("Nothing was charged", "not been charged", "not been paid", "Try again", "try again", "See free times")


async def paths(stack: Stack) -> list[str]:
    """Where the way back from Stripe leads, of a booking and of a move's difference."""
    booking = await stack.hold()
    await stack.paid(booking)
    links = stack.parts.links
    token = links.booking_token(booking.id, ends_at=booking.ends_at)
    managed = links.manage_token(booking.id, booking.link_version)
    result = links.result_token(booking.id)
    of_booking = [f"/b/{token}/return", f"/b/{token}?from=stripe", f"/b/{token}"]
    return [*of_booking, f"/manage/{managed}/return", f"/manage/{managed}", f"/r/{result}"]


@asynccontextmanager
async def tables_gone(stack: Stack) -> AsyncIterator[None]:
    """A mistake of ours: every read fails."""
    async with stack.parts.store.engine.connect() as connection:
        await connection.exec_driver_sql("ALTER TABLE payments RENAME TO no_payments")
        await connection.exec_driver_sql("ALTER TABLE bookings RENAME TO no_bookings")
    yield


@pytest.mark.parametrize("htmx", [False, True])
async def test_an_error_page_tells_a_customer_who_has_paid_not_to_pay_again(stack: Stack, htmx: bool) -> None:
    asked = await paths(stack)
    headers = {"HX-Request": "true"} if htmx else {}
    async with tables_gone(stack):
        for path in asked:
            answer = await stack.client.get(path, headers=headers)
            assert answer.status_code == 500, path
            said = text_of(answer.text)
            assert "If you have already paid, please do not pay again." in said, path
            assert "Open this page again" in said
            assert not [words for words in NEVER if words in said], path


async def test_so_does_a_database_that_cannot_be_written(tmp_path: Path) -> None:
    async with open_stack(tmp_path, webhooks=False) as stack:
        [back, *_] = await paths(stack)
        for trouble in (read_only, locked):
            with trouble(stack.parts):
                answer = await stack.client.get(back)
            assert answer.status_code == 503
            said = text_of(answer.text)
            assert "If you have already paid, please do not pay again." in said
            assert not [words for words in NEVER if words in said]


async def test_so_does_a_limit(stack: Stack) -> None:
    asked = await paths(stack)
    for path in asked[:2] + asked[3:4]:
        for _ in range(200):
            answer = await stack.client.get(path)
            if answer.status_code == 429:
                break
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        said = text_of(answer.text)
        assert "If you have already paid, please do not pay again." in said
        assert "charged" not in said
        assert "Try again" not in said, "the link that would lead back to paying"


async def test_a_link_that_does_not_open_says_so_and_not_to_pay_again(stack: Stack) -> None:
    for path in ("/b/forged/return", "/b/forged", "/r/forged"):
        answer = await stack.client.get(path)
        assert answer.status_code in {403, 404}, path
        said = text_of(answer.text)
        assert "This link is not valid" in said, path
        assert "If you have already paid, please do not pay again." in said, path


async def test_a_page_where_nobody_can_have_paid_says_that_nothing_was_charged(stack: Stack) -> None:
    await paths(stack)
    async with tables_gone(stack):
        answer = await stack.client.post(
            "/w/studio/hold", data={"service": stack.portrait_id, "start": "2026-11-24T08:00:00Z", "key": "k" * 24}
        )
        assert answer.status_code == 500
        assert "Nothing was charged." in text_of(answer.text)
