"""Money is taken for what is still to come: no deadline passes the start of the visit, and later money goes back."""

from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.booking import Actor, Booking, EndReason, Status
from app.domain.move import MoveState
from app.errors import BookingConflict, HoldExpired
from sandbox.hapio import Fault
from tests.support.backups import money_alarms
from tests.support.manage import OTHER_SERVICE
from tests.support.stack import Stack, open_stack, session_of, text_of

MINUTE = timedelta(minutes=1)


async def without_notice(stack: Stack) -> None:
    """Headshots and portraits may be booked up to their very start."""
    async with stack.hapio_api() as api:
        for service_id in (stack.headshot_id, stack.portrait_id):
            (await api.patch(f"/services/{service_id}", json={"booking_window_start": "PT0S"})).raise_for_status()


async def held_shortly_before(stack: Stack, minutes: int) -> Booking:
    """A booking that is held that many minutes before its visit, of a service without notice."""
    await without_notice(stack)
    starts_at = await stack.in_days(1, "headshot")
    stack.clock.advance(starts_at - stack.clock() - minutes * MINUTE)
    return await stack.hold(starts_at, service="headshot")


async def test_paying_ends_when_the_visit_begins(stack: Stack) -> None:
    booking = await held_shortly_before(stack, 3)
    session_id = await stack.at_stripe(booking)
    assert (await stack.now(booking)).deadline == booking.starts_at
    await stack.tick(after=4 * MINUTE)
    assert stack.stripe.state.sessions[session_id]["status"] == "expired"
    assert await stack.status(booking) is Status.EXPIRED


async def test_a_hold_does_not_outlast_the_start_of_its_visit(stack: Stack) -> None:
    booking = await held_shortly_before(stack, 3)
    assert booking.deadline == booking.starts_at
    with pytest.raises(BookingConflict):
        await stack.parts.hold.extend(booking.id)
    stack.clock.advance(4 * MINUTE)
    with pytest.raises(HoldExpired):
        await stack.parts.checkout.start(booking.id)


@pytest.mark.parametrize("capture", ["automatic", "manual"])
async def test_what_is_paid_after_the_visit_has_begun_goes_back_in_full(tmp_path: Path, capture: str) -> None:
    async with open_stack(tmp_path, widget=f'capture = "{capture}"\npayment_minutes = 600') as stack:
        booking = await held_shortly_before(stack, 3)
        session_id = await stack.at_stripe(booking)
        stack.clock.advance(25 * MINUTE)
        await stack.stripe.pay(session_id)  # the worker was not running, so nothing had closed the page
        await stack.until_quiet()
        ended = await stack.now(booking)
        assert (ended.status, ended.end_reason) == (Status.CANCELED, EndReason.BEGUN)
        assert (stack.money_kept(), stack.money_held()) == (0, 0)
        assert stack.hapio_bookings() == []
        [mail] = [mail for mail in stack.mailbox.messages if mail.recipients == ("anna@customer.example",)]
        assert "after the appointment had started" in (mail.text or "")
        assert "Refunded" in " ".join(await stack.mail("owner@studio.example"))


async def test_what_was_paid_in_time_and_heard_of_a_minute_late_is_confirmed(stack: Stack) -> None:
    stack.stripe.switches.deliver = "off"
    booking = await held_shortly_before(stack, 3)
    session_id = await stack.at_stripe(booking)
    await stack.stripe.pay(session_id)
    await stack.tick(after=4 * MINUTE)
    assert await stack.status(booking) is Status.CONFIRMED


async def test_what_was_paid_in_time_and_heard_of_when_the_visit_is_over_goes_back(stack: Stack) -> None:
    stack.stripe.switches.deliver = "off"
    booking = await held_shortly_before(stack, 3)
    session_id = await stack.at_stripe(booking)
    await stack.stripe.pay(session_id)
    await stack.tick(after=180 * MINUTE, times=2)
    assert await stack.status(booking) is Status.CANCELED
    assert stack.money_kept() == 0


async def test_money_that_a_bank_promised_before_the_visit_and_sends_after_it_goes_back(tmp_path: Path) -> None:
    async with open_stack(tmp_path, currency="eur") as stack:
        booking = await held_shortly_before(stack, 20)
        session_id = await stack.paid_by_bank(booking)
        await stack.tick(after=40 * MINUTE)
        await stack.settle_delayed(session_id, "succeeded")
        await stack.until_quiet()
        assert await stack.status(booking) is Status.CANCELED
        assert stack.money_kept() == 0


async def test_a_move_is_paid_for_before_the_old_and_the_new_time_begin(open_minded: Stack) -> None:
    stack = open_minded
    booking = await stack.confirmed(service="headshot")
    stack.clock.advance(booking.starts_at - stack.clock() - 300 * MINUTE)
    later = await stack.in_days(3, "portrait")
    stack.clock.advance(295 * MINUTE)  # five minutes before the old visit, which is what its terms allow here
    moving = await stack.move(booking, later, service="portrait", by=Actor.OWNER)
    assert moving.move.deadline == booking.starts_at


async def test_a_paid_move_goes_back_once_its_new_time_has_begun(open_minded: Stack) -> None:
    stack = open_minded
    booking = await stack.confirmed(service="headshot")
    moving = await stack.move(booking, await stack.in_days(4, "portrait"), service="portrait")
    stack.hapio.faults.append(Fault("drop_before", times=None))
    await stack.pay_difference(moving)
    assert stack.money_kept() == 120000
    stack.clock.advance(moving.move.starts_at - stack.clock() + 11 * MINUTE)
    await stack.until_quiet()
    ended = await stack.parts.store.move(moving.move.id)
    assert ended
    assert ended.state is MoveState.REFUSED
    assert stack.money_kept() == 65000
    assert await stack.status(booking) is Status.CONFIRMED


@pytest.mark.parametrize("late", [0, 1, 9])
async def test_a_difference_that_is_paid_when_the_new_visit_has_begun_goes_back_and_nothing_moves(
    tmp_path: Path, late: int
) -> None:
    async with open_stack(tmp_path, widget=f"{OTHER_SERVICE}\npayment_minutes = 600") as stack:
        await without_notice(stack)
        booking = await stack.confirmed(await stack.in_days(9, "headshot"), service="headshot")
        new = await stack.in_days(4, "portrait")
        stack.clock.set(new - 20 * MINUTE)
        moving = await stack.move(booking, new, service="portrait", by=Actor.OWNER)
        await stack.mail("anna@customer.example")
        stack.clock.set(new + late * MINUTE)  # the worker was not running, so nothing had closed the page
        await stack.pay_difference(moving)
        await stack.until_quiet()
        stands = await stack.now(booking)
        assert (stands.status, stands.starts_at, stands.terms.price.amount) == (
            Status.CONFIRMED,
            booking.starts_at,
            65000,
        )
        ended = await stack.parts.store.move(moving.move.id)
        assert ended
        assert (ended.state, ended.end_reason) == (MoveState.EXPIRED, EndReason.BEGUN)
        assert stack.money_kept() == 65000
        token = stack.parts.links.manage_token(booking.id, stands.link_version)
        page = text_of((await stack.client.get(f"/manage/{token}")).text)
        assert "Your payment arrived after the appointment had started" in page
        assert "not paid for" not in page
        assert await money_alarms(stack) == []
        assert [one.starts_at for one in stack.side.booked()] == [booking.starts_at]
        [mail] = [mail for mail in stack.mailbox.messages if mail.recipients == ("anna@customer.example",)][-1:]
        assert "Your booking stays confirmed, and we are refunding the payment." in (mail.text or "")


async def test_a_difference_that_is_paid_when_the_old_visit_has_begun_goes_back_and_nothing_moves(
    tmp_path: Path,
) -> None:
    async with open_stack(tmp_path, widget=f"{OTHER_SERVICE}\npayment_minutes = 600") as stack:
        booking = await stack.confirmed(await stack.in_days(4, "headshot"), service="headshot")
        new = await stack.in_days(9, "portrait")
        stack.clock.set(booking.starts_at - 20 * MINUTE)
        moving = await stack.move(booking, new, service="portrait", by=Actor.OWNER)
        stack.clock.set(booking.starts_at + 120 * MINUTE)
        await stack.pay_difference(moving)
        await stack.until_quiet()
        assert (await stack.now(booking)).starts_at == booking.starts_at
        assert stack.money_kept() == 65000


async def test_a_visit_that_has_begun_is_moved_by_its_owner_and_the_difference_paid_until_the_new_one(
    tmp_path: Path,
) -> None:
    async with open_stack(tmp_path, widget=f"{OTHER_SERVICE}\npayment_minutes = 600") as stack:
        booking = await stack.confirmed(await stack.in_days(4, "headshot"), service="headshot")
        new = await stack.in_days(9, "portrait")
        stack.clock.set(booking.starts_at + 10 * MINUTE)
        moving = await stack.move(booking, new, service="portrait", by=Actor.OWNER)
        stack.clock.advance(30 * MINUTE)
        await stack.pay_difference(moving)
        await stack.until_quiet()
        assert (await stack.now(booking)).starts_at == new
        assert stack.money_kept() == 120000


async def test_a_difference_that_was_paid_in_time_and_heard_of_nine_minutes_late_moves_the_booking(
    tmp_path: Path,
) -> None:
    async with open_stack(tmp_path, widget=f"{OTHER_SERVICE}\npayment_minutes = 600", webhooks=False) as stack:
        await without_notice(stack)
        booking = await stack.confirmed(await stack.in_days(9, "headshot"), service="headshot")
        new = await stack.in_days(4, "portrait")
        stack.clock.set(new - 20 * MINUTE)
        moving = await stack.move(booking, new, service="portrait", by=Actor.OWNER)
        stack.clock.set(new - MINUTE)
        await stack.stripe.pay(session_of(moving))
        stack.clock.set(new + 9 * MINUTE)
        await stack.tick()
        assert (await stack.now(booking)).starts_at == new
        assert stack.money_kept() == 120000
