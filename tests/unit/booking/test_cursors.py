"""A look through a provider's list that does not read all of it goes on there; nothing is skipped."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from app.domain.booking import Booking, EndReason, Status
from app.errors import StripeError
from app.payments.events import EVENT_TYPES
from sandbox.stripe import Fault
from tests.support.stack import Stack

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)


# Stripe's events


async def lost_events(stack: Stack, many: int, *, apart: timedelta = SECOND) -> None:
    """So many refunds in Stripe's dashboard while no webhook arrives, each at its own time."""
    booking = await stack.confirmed()
    intent = await stack.intent_of(booking)
    stack.stripe.switches.lose = 10_000
    for _ in range(many):
        stack.stripe.refund_in_dashboard(intent, amount=100)
        await stack.stripe.deliver_due()
        stack.clock.advance(apart)
    stack.stripe.switches.lose = 0


def asked_for(stack: Stack) -> set[str]:
    """The ids of the events at Stripe that the webhook endpoint asks for."""
    return {name for name, event in stack.stripe.state.events.items() if event["type"] in EVENT_TYPES}


async def known(stack: Stack) -> set[str]:
    """The ids of the events that are stored."""
    return {stored.event.id for stored in await stack.parts.inbox.events(most=10_000)}


async def test_events_beyond_the_bound_are_fetched_by_the_next_looks(stack: Stack) -> None:
    await stack.parts.inbox.fetch_missed()
    await lost_events(stack, 110)
    there = asked_for(stack)
    assert len(there) > 200
    for _ in range(6):
        await stack.parts.inbox.fetch_missed(most=100)
    assert await known(stack) == there


async def test_more_events_in_one_second_than_the_bound_do_not_stop_the_looks(stack: Stack) -> None:
    await stack.parts.inbox.fetch_missed()
    await lost_events(stack, 90, apart=timedelta(0))
    await lost_events(stack, 40)
    there = asked_for(stack)
    for _ in range(8):
        await stack.parts.inbox.fetch_missed(most=100)
    assert await known(stack) == there


async def test_events_that_are_made_during_a_long_look_are_fetched_after_it(stack: Stack) -> None:
    await stack.parts.inbox.fetch_missed()
    await lost_events(stack, 110)
    await stack.parts.inbox.fetch_missed(most=100)
    stack.clock.advance(HOUR)
    await lost_events(stack, 1)
    for _ in range(6):
        await stack.parts.inbox.fetch_missed(most=100)
    assert await known(stack) == asked_for(stack)


async def test_a_look_that_breaks_off_begins_again_where_it_was(stack: Stack) -> None:
    await stack.parts.inbox.fetch_missed()
    await lost_events(stack, 110)
    await stack.parts.inbox.fetch_missed(most=100)
    stack.stripe.faults.append(Fault("error_before", path="/v1/events", times=50))
    with pytest.raises(StripeError):
        await stack.parts.inbox.fetch_missed(most=100)
    stack.stripe.faults.clear()
    await stack.restart()
    for _ in range(6):
        await stack.parts.inbox.fetch_missed(most=100)
    assert await known(stack) == asked_for(stack)


async def test_events_of_an_old_account_are_one_line_in_the_log(stack: Stack) -> None:
    await lost_events(stack, 4)
    with capture_logs() as logs:
        missed = await stack.parts.inbox.fetch_missed()
    assert missed > 4
    lines = [entry for entry in logs if "had not arrived" in entry["event"]]
    assert [(entry["log_level"], entry["many"]) for entry in lines] == [("warning", missed)]


# Stripe's refunds


async def test_refunds_beyond_the_bound_are_taken_in_by_the_next_sweeps(stack: Stack) -> None:
    await lost_events(stack, 240)
    [booking] = await stack.parts.bookings.find()
    for _ in range(5):
        await stack.parts.sweep.sweep_stripe(stack.clock() - 2 * DAY, most=100)
    assert len(await stack.refunds(booking)) == 240


# Hapio's bookings


async def canceled_in_hapio(stack: Stack, many: int) -> list[Booking]:
    """So many confirmed bookings that the owner has cancelled in Hapio."""
    bookings = [
        await stack.confirmed(
            await stack.in_days(9, "planning"), service="planning", customer=stack.customer(f"Anna{number} Ek")
        )
        for number in range(many)
    ]
    async with stack.hapio_api() as api:
        for booking in bookings:
            (
                await api.patch(f"/bookings/{booking.reservation.reference}", json={"is_canceled": True})
            ).raise_for_status()
    return bookings


async def standing(stack: Stack, bookings: Sequence[Booking]) -> int:
    return sum([await stack.status(booking) is Status.CONFIRMED for booking in bookings])


async def test_more_cancellations_in_hapio_than_one_look_follows_take_minutes_not_days(stack: Stack) -> None:
    await stack.parts.follow.reconcile()
    bookings = await canceled_in_hapio(stack, 5)
    stack.clock.advance(7 * HOUR)
    left = []
    for _ in range(3):
        again = await stack.parts.follow.reconcile(most=2)
        left.append(await standing(stack, bookings))
        if left[-1]:
            assert again - stack.clock() <= timedelta(minutes=5)
            stack.clock.set(again)
    assert left == [3, 1, 0]
    for booking in bookings:
        assert (await stack.now(booking)).end_reason is EndReason.BY_OWNER


async def test_after_all_were_followed_the_next_look_is_as_rare_as_before(stack: Stack) -> None:
    await stack.parts.follow.reconcile()
    await canceled_in_hapio(stack, 3)
    stack.clock.advance(7 * HOUR)
    await stack.parts.follow.reconcile(most=2)
    stack.clock.advance(timedelta(minutes=2))
    again = await stack.parts.follow.reconcile(most=2)
    assert again - stack.clock() > HOUR


async def test_deletions_in_hapio_beyond_the_bound_are_followed_the_same_day(stack: Stack) -> None:
    await stack.parts.follow.reconcile()
    bookings = [
        await stack.confirmed(
            await stack.in_days(9, "planning"), service="planning", customer=stack.customer(f"Anna{number} Ek")
        )
        for number in range(5)
    ]
    async with stack.hapio_api() as api:
        for booking in bookings:
            (await api.delete(f"/bookings/{booking.reservation.reference}")).raise_for_status()
    stack.clock.advance(DAY + HOUR)
    for _ in range(3):
        await stack.parts.follow.reconcile(most=2)
        stack.clock.advance(timedelta(minutes=2))
    assert await standing(stack, bookings) == 0
