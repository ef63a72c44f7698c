"""Paid and not confirmed, or being moved, while the calendar is silent: people are told, and have a way out."""

from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.booking import Actor, Status
from app.domain.move import MoveState
from app.errors import BookingConflict, PolicyRefused
from sandbox.hapio import Fault
from tests.support.stack import Stack, open_stack, session_of

MINUTE = timedelta(minutes=1)
ANNA, OWNER = "anna@customer.example", "owner@studio.example"


async def paid_and_waiting(stack: Stack) -> str:
    """A booking that was paid while the calendar is out of its monthly calls."""
    booking = await stack.hold(await stack.in_days(5))
    stack.hapio.faults.append(Fault("rate_limited", times=None))
    await stack.paid(booking)
    await stack.tick()
    assert await stack.status(booking) is Status.PAID
    stack.mailbox.messages.clear()
    return booking.id


async def test_customer_and_owner_are_mailed_once_when_a_paid_booking_is_not_confirmed(stack: Stack) -> None:
    booking_id = await paid_and_waiting(stack)
    await stack.tick(after=5 * MINUTE, times=3)
    assert stack.mailbox.messages == []
    for _ in range(40):
        await stack.tick(after=10 * MINUTE)
    sent = [(message.recipients, message.header("Subject").partition(":")[0]) for message in stack.mailbox.messages]
    assert sorted(sent) == [((ANNA,), "Not confirmed yet"), ((OWNER,), "Needs your attention")]
    census = await stack.parts.store.census()
    assert census.oldest_unconfirmed > 6 * 3600
    assert [found.why for found in await stack.parts.store.money_without_booking()] == ["not_confirmed"]
    page = await stack.client.get(f"/b/{stack.parts.links.booking_token(booking_id, ends_at=stack.clock())}")
    assert "Please do not pay again" in page.text


@pytest.mark.parametrize(("by", "kept"), [(Actor.OWNER, 0), (Actor.CUSTOMER, 60000)])
async def test_a_paid_booking_that_waits_for_the_calendar_can_be_called_off(stack: Stack, by: Actor, kept: int) -> None:
    booking_id = await paid_and_waiting(stack)
    booking = await stack.parts.bookings.get(booking_id)
    stack.clock.advance(booking.starts_at - stack.clock() - timedelta(hours=5))  # half comes back under its terms
    quoted = await stack.parts.cancel.quote(booking_id, by=by)
    canceled = await stack.parts.cancel.booking(booking_id, by=by)
    assert (canceled.status, canceled.end_reason) == (Status.CANCELED, by.end_reason)
    assert quoted.amount == 120000 - kept
    stack.hapio.faults.clear()
    await stack.until_quiet()
    assert stack.money_kept() == kept
    assert stack.hapio_bookings() == []
    with pytest.raises(BookingConflict):
        await stack.parts.cancel.undo(booking_id)


@pytest.mark.parametrize("by", [Actor.OWNER, Actor.CUSTOMER])
async def test_money_that_is_only_held_is_let_go_when_the_booking_is_called_off(tmp_path: Path, by: Actor) -> None:
    async with open_stack(tmp_path, widget='capture = "manual"') as stack:
        booking_id = await paid_and_waiting(stack)
        booking = await stack.parts.bookings.get(booking_id)
        stack.clock.advance(booking.starts_at - stack.clock() - timedelta(hours=1))  # nothing back under its terms
        await stack.parts.cancel.booking(booking_id, by=by)
        stack.hapio.faults.clear()
        await stack.until_quiet()
        assert (stack.money_kept(), stack.money_held()) == (0, 0)
        [mail] = [message for message in stack.mailbox.messages if message.recipients == (ANNA,)][-1:]
        assert "You have not been charged" in (mail.text or "")


async def test_the_pages_offer_the_way_out(stack: Stack) -> None:
    booking_id = await paid_and_waiting(stack)
    booking = await stack.parts.bookings.get(booking_id)
    link = f"/manage/{stack.parts.links.manage_token(booking_id, booking.link_version)}"
    await stack.tick(after=11 * MINUTE)
    shown = (await stack.client.get(link)).text
    assert f"{link}/cancel" in shown
    assert "Please do not pay again" in shown
    page = await stack.client.get(f"{link}/cancel")
    assert "1,200.00" in page.text
    token = page.text.partition('name="page" value="')[2].partition('"')[0]
    answer = await stack.client.post(f"{link}/cancel", data={"page": token, "shown": "100"})
    assert answer.status_code == 303
    assert await stack.status(booking) is Status.CANCELED


async def test_a_customer_cannot_call_off_what_has_begun_but_the_owner_can(stack: Stack) -> None:
    booking_id = await paid_and_waiting(stack)
    booking = await stack.parts.bookings.get(booking_id)
    stack.clock.advance(booking.starts_at - stack.clock() + MINUTE)
    with pytest.raises(PolicyRefused):
        await stack.parts.cancel.booking(booking_id, by=Actor.CUSTOMER)
    assert (await stack.parts.cancel.booking(booking_id, by=Actor.OWNER)).status is Status.CANCELED


async def test_a_booking_whose_cancellation_is_being_undone_can_be_cancelled_again(stack: Stack) -> None:
    booking = await stack.confirmed()
    stack.clock.advance(booking.starts_at - stack.clock() - timedelta(hours=5))
    await stack.cancel(booking)
    stack.hapio.faults.append(Fault("drop_before", times=None))
    assert (await stack.parts.cancel.undo(booking.id)).status is Status.PAID
    assert (await stack.cancel(booking, by=Actor.OWNER)).status is Status.CANCELED
    stack.hapio.faults.clear()
    await stack.until_quiet()
    assert stack.money_kept() == 0
    assert [one for one in stack.hapio_bookings() if not one.is_canceled] == []


@pytest.mark.parametrize(("by", "kept"), [(Actor.OWNER, 0), (Actor.CUSTOMER, 32500)])
async def test_a_booking_whose_paid_move_hangs_can_be_called_off(open_minded: Stack, by: Actor, kept: int) -> None:
    stack = open_minded
    booking = await stack.confirmed(service="headshot", starts_at=await stack.in_days(3, "headshot"))
    stack.clock.advance(booking.starts_at - stack.clock() - timedelta(hours=25))
    moving = await stack.move(booking, await stack.in_days(6, "portrait"), service="portrait")
    stack.hapio.faults.append(Fault("drop_before", times=None))
    await stack.pay_difference(moving)
    stack.clock.advance(timedelta(hours=20))  # five hours before: half comes back
    quoted = await stack.parts.cancel.quote(booking.id, by=by)
    canceled = await stack.parts.cancel.booking(booking.id, by=by)
    assert canceled.status is Status.CANCELED
    assert quoted.amount == 120000 - kept
    stack.hapio.faults.clear()
    await stack.until_quiet()
    assert stack.money_kept() == kept
    assert [one for one in stack.hapio_bookings() if not one.is_canceled] == []
    move = await stack.parts.store.move(moving.move.id)
    assert move
    assert (move.state, move.reservation.occupies) == (MoveState.REFUSED, False)


async def test_a_paid_move_that_hangs_is_told_to_the_owner_and_counts_as_money_without_a_booking(
    open_minded: Stack,
) -> None:
    stack = open_minded
    booking = await stack.confirmed(service="headshot")
    moving = await stack.move(booking, await stack.in_days(20, "portrait"), service="portrait")
    stack.hapio.faults.append(Fault("drop_before", times=None))
    await stack.pay_difference(moving)
    stack.mailbox.messages.clear()
    for _ in range(12):
        await stack.tick(after=10 * MINUTE)
    subjects = [message.header("Subject") for message in stack.mailbox.messages if message.recipients == (OWNER,)]
    assert len([subject for subject in subjects if subject.startswith("Needs your attention")]) == 1
    assert [(one.why, one.amount) for one in await stack.parts.store.money_without_booking()] == [("not_moved", 55000)]
    assert (await stack.parts.store.census()).oldest_unmoved > 3600


async def test_a_time_that_stays_blocked_in_the_calendar_is_told_to_the_owner_once(stack: Stack) -> None:
    booking = await stack.hold()
    stack.hapio.faults.append(Fault("error_before", times=None, method="DELETE"))
    await stack.parts.hold.give_up(booking.id)
    stack.mailbox.messages.clear()
    for _ in range(20):
        await stack.tick(after=60 * MINUTE)
    [told] = [message for message in stack.mailbox.messages if message.recipients == (OWNER,)]
    assert "still blocked" in (told.text or "")


async def test_a_cancellation_that_is_refused_leaves_the_move_and_its_payment_page_alone(open_minded: Stack) -> None:
    stack = open_minded
    booking = await stack.confirmed(service="headshot")
    moving = await stack.move(booking, await stack.in_days(6, "portrait"), service="portrait")
    in_hapio = len(stack.hapio_bookings())
    with pytest.raises(BookingConflict):
        await stack.parts.cancel.booking(booking.id, by=Actor.CUSTOMER, revision=booking.revision + 1)
    with pytest.raises(BookingConflict):
        await stack.parts.cancel.booking(booking.id, by=Actor.OWNER, revision=booking.revision + 1)
    stack.clock.advance(MINUTE)
    assert stack.stripe.state.sessions[session_of(moving)]["status"] == "open"
    assert len(stack.hapio_bookings()) == in_hapio
    still = await stack.parts.store.open_move(booking.id)
    assert still == moving.move
