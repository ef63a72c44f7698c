"""Stripe's and Hapio's last words that look like none: a Session of another account, money after a failure, a booking
that was made although nobody said so."""

from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from app.domain.booking import Actor, Booking, Status
from app.domain.payment import PaymentState
from sandbox.hapio import Fault
from tests.support.stack import Stack, open_stack, session_of

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
OTHER_SERVICE = "reschedule = { other_service = true }"


def other_account(stack: Stack) -> None:
    """From now on the key is one of an account that has none of our objects."""
    for known in (stack.stripe.state.sessions, stack.stripe.state.payment_intents, stack.stripe.state.events):
        known.clear()
    stack.stripe.state.deliveries.clear()


# The key of another account


async def test_a_time_whose_payment_page_is_of_another_account_is_released(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.at_stripe(booking)
    other_account(stack)
    await stack.until_quiet()
    assert await stack.status(booking) is Status.EXPIRED
    assert stack.hapio_bookings() == []


async def test_a_visitor_gives_such_a_time_back_at_once(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.at_stripe(booking)
    other_account(stack)
    assert (await stack.parts.hold.give_up(booking.id)).status is Status.EXPIRED
    assert stack.hapio_bookings() == []


async def test_a_move_whose_difference_is_to_be_paid_at_another_account_ends(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget=OTHER_SERVICE) as stack:
        booking = await stack.confirmed(service="headshot")
        moving = await stack.move(booking, await stack.in_days(6), service="portrait")
        assert session_of(moving)
        other_account(stack)
        await stack.until_quiet()
        assert (await stack.parts.bookings.view(booking.id)).move is None
        assert [one.id for one in stack.hapio_bookings()] == [booking.reservation.reference]


async def test_a_confirmed_booking_is_canceled_although_its_move_is_at_another_account(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget=OTHER_SERVICE) as stack:
        booking = await stack.confirmed(service="headshot")
        await stack.move(booking, await stack.in_days(6), service="portrait")
        other_account(stack)
        canceled = await stack.cancel(booking, by=Actor.OWNER)
        assert canceled.status is Status.CANCELED


# Money after a failure


async def failed_payment(stack: Stack) -> str:
    """A bank debit that came to nothing; the Session's id."""
    booking = await stack.hold(await stack.in_days(5))
    session_id = await stack.paid_by_bank(booking)
    await stack.settle_delayed(session_id, "failed")
    assert await stack.status(booking) is Status.EXPIRED
    return session_id


async def comes_after_all(stack: Stack, session_id: str) -> None:
    """The bank pays although it had refused."""
    intent = stack.stripe.state.payment_intents[stack.stripe.state.sessions[session_id]["payment_intent"]]
    intent["status"] = "processing"
    await stack.settle_delayed(session_id, "succeeded")


@pytest.mark.parametrize("heard", ["by its webhook", "by the sweep alone", "by the sweep of events, a week later"])
async def test_money_after_a_failed_payment_buys_the_same_time_again(tmp_path: Path, heard: str) -> None:
    async with open_stack(tmp_path, currency="eur") as stack:
        session_id = await failed_payment(stack)
        if "sweep" in heard:
            stack.stripe.switches.lose = 10
        if "week" in heard:
            stack.clock.advance(3 * DAY)
        await comes_after_all(stack, session_id)
        if "alone" in heard:
            stack.stripe.state.events.clear()
            stack.stripe.state.deliveries.clear()
        stack.stripe.switches.lose = 0
        await stack.until_quiet()
        [row] = await stack.parts.bookings.find()
        assert row.status is Status.CONFIRMED
        assert len(stack.hapio_bookings()) == 1


async def test_money_after_a_failed_payment_goes_back_when_the_time_is_gone(tmp_path: Path) -> None:
    async with open_stack(tmp_path, currency="eur") as stack:
        session_id = await failed_payment(stack)
        [booking] = await stack.parts.bookings.find(statuses=[Status.EXPIRED])
        await stack.take_everyone(booking.starts_at)
        await comes_after_all(stack, session_id)
        await stack.tick()
        assert await stack.status(booking) is Status.CANCELED
        assert stack.money_kept() == 0


@pytest.mark.parametrize("state", [PaymentState.FAILED, PaymentState.VOIDED])
async def test_money_after_a_failed_difference_goes_back_and_the_booking_stands(
    tmp_path: Path, state: Literal[PaymentState.FAILED, PaymentState.VOIDED]
) -> None:
    async with open_stack(tmp_path, widget=OTHER_SERVICE, currency="eur") as stack:
        booking = await stack.confirmed(service="headshot")
        kept = stack.money_kept()
        moving = await stack.move(booking, await stack.in_days(6), service="portrait")
        session_id = session_of(moving)
        stack.stripe.state.sessions[session_id]["payment_method_types"].append("sepa_debit")
        await stack.stripe.pay(session_id, card="delayed")
        if state is PaymentState.FAILED:
            await stack.settle_delayed(session_id, "failed")
        else:
            intent = stack.stripe.state.sessions[session_id]["payment_intent"]
            stack.stripe.state.payment_intents[intent]["status"] = "canceled"
        await stack.parts.settle.booking(booking.id)
        payments = (await stack.parts.bookings.view(booking.id)).payments
        assert payments[-1].state is state
        await comes_after_all(stack, session_id)
        await stack.until_quiet()
        assert (await stack.now(booking)).service_id == booking.service_id
        assert stack.money_kept() == kept


# A booking made again whose answer was lost


async def test_a_booking_made_again_for_an_undo_without_an_answer_is_not_left_behind_in_hapio(stack: Stack) -> None:
    booking = await stack.confirmed(service="planning")
    await stack.cancel(booking)
    await stack.tick()
    async with stack.hapio_api() as api:  # the owner tidies the cancelled entry away
        (await api.delete(f"/bookings/{booking.reservation.reference}")).raise_for_status()
    stack.hapio.faults.append(Fault("error_before", method="POST", path="/bookings", times=3))
    await stack.parts.cancel.undo(booking.id)
    await lands_late(stack, booking)
    stack.hapio.faults.append(Fault("error_before", method="GET", path="/bookings", times=500))
    stack.clock.set(booking.starts_at + MINUTE)
    for _ in range(12):
        await stack.tick(after=10 * MINUTE)
    assert await stack.status(booking) is Status.CANCELED
    stack.hapio.faults.clear()
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CANCELED
    assert stack.hapio_bookings() == []


async def lands_late(stack: Stack, booking: Booking) -> None:
    """Hapio makes a booking of ours long after we have given up waiting for its answer."""
    body = {
        "service_id": booking.service_id,
        "location_id": booking.location_id,
        "resource_id": booking.resource_id,
        "starts_at": booking.starts_at.isoformat(),
        "ends_at": booking.ends_at.isoformat(),
        "is_temporary": False,
        "metadata": {"holdfast_id": booking.id},
    }
    async with stack.hapio_api() as api:
        (await api.post("/bookings", json=body)).raise_for_status()
