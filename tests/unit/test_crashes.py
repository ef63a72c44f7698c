"""The process dies after any of its effects; whatever it was doing ends with money and time in agreement."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.domain import Booking, Status
from app.errors import HoldfastError
from app.sandbox.hapio import Fault
from app.tables import bookings, to_booking
from tests.stack import Crash, Doom, Stack, open_stack

Story = Callable[[Stack], Awaitable[None]]


async def walk_away(stack: Stack) -> None:
    await stack.hold()
    await stack.tick(after=timedelta(minutes=11))


async def pay(stack: Stack) -> None:
    await stack.paid(await stack.hold())


async def pay_without_webhook(stack: Stack) -> None:
    booking = await stack.hold()
    back = await stack.paid(booking)
    await stack.client.get(back)


async def book_for_free(stack: Stack) -> None:
    booking = await stack.hold(service="planning")
    await stack.house.bookings.start_checkout(booking.id)


async def walk_away_from_stripe(stack: Stack) -> None:
    await stack.at_stripe(await stack.hold())
    await stack.tick(after=timedelta(minutes=32))


async def give_up_while_paying(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.at_stripe(booking)
    await stack.house.bookings.give_up(booking.id)


async def pay_late(stack: Stack) -> None:
    booking = await stack.hold()
    session_id = await stack.at_stripe(booking)
    await stack.tick(after=timedelta(minutes=32))
    await stack.pay_late(session_id)


async def pay_late_for_a_time_that_is_gone(stack: Stack) -> None:
    booking = await stack.hold(service="headshot")
    session_id = await stack.at_stripe(booking)
    await stack.tick(after=timedelta(minutes=32))
    await stack.take_everyone(booking.starts_at, "headshot")
    await stack.pay_late(session_id)
    await stack.tick()


async def pay_with_a_hold_that_lapses(stack: Stack) -> None:
    stack.hapio.faults.append(Fault("error_before", method="PATCH", times=5))
    await stack.paid(await stack.hold())
    for intent in stack.stripe.state.payment_intents.values():
        if intent["status"] == "requires_capture":
            intent.update(status="canceled", amount_capturable=0)
    await stack.tick(after=timedelta(minutes=1))


STORIES = [
    (walk_away, ""),
    (pay, ""),
    (pay, 'capture = "manual"'),
    (pay_without_webhook, ""),
    (pay_without_webhook, 'capture = "manual"'),
    (book_for_free, ""),
    (walk_away_from_stripe, ""),
    (give_up_while_paying, ""),
    (pay_late, ""),
    (pay_late, 'capture = "manual"'),
    (pay_late_for_a_time_that_is_gone, ""),
    (pay_late_for_a_time_that_is_gone, 'capture = "manual"'),
    (pay_with_a_hold_that_lapses, 'capture = "manual"'),
]


@pytest.mark.parametrize(("story", "widget"), STORIES, ids=lambda part: getattr(part, "__name__", part or "automatic"))
async def test_a_crash_after_any_effect_ends_well(story: Story, widget: str, tmp_path: Path) -> None:
    died = 0
    while True:
        folder = tmp_path / str(died)
        folder.mkdir()
        doom = Doom()
        webhooks = "without_webhook" not in story.__name__
        async with open_stack(folder, widget=widget, webhooks=webhooks, doom=doom) as stack:
            await stack.free_slot()
            doom.effects, doom.at = 0, died + 1
            # A visitor may meet an error page, as the dead process leaves it; what counts is how it ends.
            with suppress(Crash, HoldfastError):
                await story(stack)
            fired = doom.fired
            doom.at = 0
            if fired:
                await stack.restart()
            await stack.until_quiet()
            await assert_agreement(stack)
        if not fired:
            break
        died += 1
    assert died >= 4, "the story must have effects to die after"


async def assert_agreement(stack: Stack) -> None:
    """Section 2 of the design: every captured payment has its confirmed booking or its refund, every lock its end."""
    confirmed = {booking.id: booking for booking in await rows(stack) if booking.status is Status.CONFIRMED}
    for booking in await rows(stack):
        assert booking.status in {Status.CONFIRMED, Status.EXPIRED, Status.CANCELED}
        if booking.id not in confirmed:
            assert booking.hapio_booking_id is None
            assert not booking.occupies
        assert {refund.status for refund in await stack.house.store.refunds(booking.id)} <= {"succeeded"}
    ours = [booking for booking in stack.hapio_bookings() if "holdfast_id" in (booking.metadata or {})]
    assert sorted(booking.metadata["holdfast_id"] for booking in ours) == sorted(confirmed)
    assert not any(booking.is_temporary for booking in ours)
    assert stack.money_kept() == sum(booking.terms.price.amount for booking in confirmed.values())
    assert stack.money_held() == 0
    assert {f"<{booking}.confirmed_customer@book.example>" for booking in confirmed} == {
        message.header("Message-ID")
        for message in stack.mailbox.messages
        if "confirmed_customer" in message.header("Message-ID")
    }


async def rows(stack: Stack) -> list[Booking]:
    async with stack.house.store.engine.connect() as connection:
        return [to_booking(row) for row in (await connection.execute(sa.select(bookings))).mappings()]
