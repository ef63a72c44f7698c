"""Lost answers, outages and forgotten things: what the clock mends by itself."""

from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.booking import EndReason, Status
from app.errors import SchedulerError, SlotTaken
from app.store.reservations import change_reservation
from sandbox.hapio import Fault
from sandbox.stripe import Fault as StripeFault
from tests.support.rows import rows
from tests.support.stack import Stack, open_stack

MINUTE = timedelta(minutes=1)


async def test_a_lock_whose_answer_was_lost_is_found_and_used(stack: Stack) -> None:
    stack.hapio.faults.append(Fault("drop_after", method="POST"))
    booking = await stack.hold()
    [in_hapio] = stack.hapio_bookings()
    assert booking.reservation.reference == in_hapio.id


async def test_a_lock_that_hapio_made_although_nobody_heard_of_it_is_released(stack: Stack) -> None:
    starts_at = await stack.free_slot()
    stack.hapio.faults += [Fault("drop_after", method="POST"), Fault("drop_before", times=20)]
    with pytest.raises(SchedulerError):
        await stack.hold(starts_at)
    assert len(stack.hapio_bookings()) == 1
    stack.hapio.faults.clear()
    await stack.tick(after=2 * MINUTE)
    assert stack.hapio_bookings() == []
    [booking] = await rows(stack)
    assert (booking.status, booking.end_reason) == (Status.EXPIRED, EndReason.NO_ANSWER)


async def test_a_release_that_failed_is_made_up_for(stack: Stack) -> None:
    booking = await stack.hold()
    stack.hapio.faults.append(Fault("drop_before", times=20, method="DELETE"))
    await stack.parts.hold.give_up(booking.id)
    assert len(stack.hapio_bookings()) == 1
    stack.hapio.faults.clear()
    for _ in range(3):
        await stack.tick(after=MINUTE)
    assert stack.hapio_bookings() == []


async def test_the_sweep_deletes_our_forgotten_locks_and_nobody_elses(stack: Stack) -> None:
    live = await stack.hold(service="headshot")
    forgotten = await stack.hold()
    # As after a database restored from yesterday's copy: the row has ended, Hapio's lock is not written there.
    async with stack.parts.store._write() as connection:
        await change_reservation(connection, forgotten.id, {"reference": None}, at=stack.clock())
    await stack.parts.hold.give_up(forgotten.id)
    foreign = await stack.book_elsewhere(await stack.free_slot(nth=5), is_temporary=True)
    stack.clock.advance(MINUTE)
    assert await stack.parts.sweep.sweep_scheduler(stack.clock()) == 1
    assert {booking.id for booking in stack.hapio_bookings()} == {live.reservation.reference, *foreign}


async def test_a_refund_whose_answer_was_lost_is_made_once(stack: Stack) -> None:
    booking = await stack.hold(service="headshot")
    session_id = await stack.at_stripe(booking)
    await stack.tick(after=32 * MINUTE)
    for other in await stack.take_everyone(booking.starts_at, "headshot"):
        await stack.paid(other)
    stack.stripe.faults.append(StripeFault("drop_after", path="/v1/refunds", times=20))
    await stack.pay_late(session_id)
    stack.stripe.faults.clear()
    await stack.until_quiet()
    view = await stack.parts.bookings.view(booking.id)
    assert [(refund.status, refund.amount.amount) for refund in view.refunds] == [("succeeded", 65000)]
    assert len(stack.stripe.state.refunds) == 1


async def test_a_pending_refund_is_followed_to_its_end(stack: Stack) -> None:
    stack.stripe.switches.refund_mode = "pending"
    booking = await stack.hold(service="headshot")
    session_id = await stack.at_stripe(booking)
    await stack.tick(after=32 * MINUTE)
    for other in await stack.take_everyone(booking.starts_at, "headshot"):
        await stack.paid(other)
    await stack.pay_late(session_id)
    view = await stack.parts.bookings.view(booking.id)
    assert [refund.status for refund in view.refunds] == ["pending"]
    await stack.tick(after=timedelta(hours=3), times=2)
    view = await stack.parts.bookings.view(booking.id)
    assert [refund.status for refund in view.refunds] == ["succeeded"]


async def test_a_payment_that_nobody_told_us_about_is_found(tmp_path: Path) -> None:
    async with open_stack(tmp_path, webhooks=False) as stack:
        booking = await stack.hold()
        session_id = await stack.at_stripe(booking)
        await stack.tick(after=32 * MINUTE)
        assert await stack.status(booking) is Status.EXPIRED
        await stack.pay_late(session_id)
        await stack.tick(after=11 * MINUTE)
        assert await stack.status(booking) is Status.CONFIRMED


async def test_one_faulty_booking_does_not_stop_the_clock_for_others(stack: Stack) -> None:
    first, second = await stack.hold(), await stack.hold(service="headshot")
    stack.hapio.faults.append(Fault("truncated_json", times=1))
    await stack.tick(after=11 * MINUTE)
    await stack.tick(after=5 * MINUTE)
    assert {await stack.status(first), await stack.status(second)} == {Status.EXPIRED}
    assert stack.hapio_bookings() == []


async def test_a_rate_limited_hapio_is_waited_for(stack: Stack) -> None:
    booking = await stack.hold()
    stack.hapio.faults.append(Fault("rate_limited", times=10, method="PATCH", retry_after=45))
    await stack.paid(booking)
    assert await stack.status(booking) is Status.PAID
    stack.hapio.faults.clear()
    for _ in range(4):
        await stack.tick(after=MINUTE)
    assert await stack.status(booking) is Status.CONFIRMED


@pytest.mark.parametrize("capture", ["automatic", "manual"])
async def test_with_hapio_down_until_the_visit_the_money_goes_back(tmp_path: Path, capture: str) -> None:
    async with open_stack(tmp_path, widget=f'capture = "{capture}"') as stack:
        booking = await stack.hold()
        stack.hapio.faults.append(Fault("drop_before", times=10_000))
        await stack.paid(booking)
        while stack.clock() < booking.starts_at:
            assert await stack.status(booking) is Status.PAID
            await stack.tick(after=30 * MINUTE)
        await stack.tick(after=60 * MINUTE)
        assert await stack.status(booking) is Status.CANCELED
        assert (stack.money_kept(), stack.money_held()) == (0, 0)
        stack.hapio.faults.clear()
        await stack.until_quiet()
        assert stack.hapio_bookings() == []
        delayed, ended = [mail for mail in stack.mailbox.messages if mail.recipients == ("anna@customer.example",)]
        assert "Please do not pay again" in (delayed.text or "")
        assert "calendar did not answer" in (ended.text or "")


async def test_hapio_removing_temporary_bookings_by_itself_costs_nobody_money(stack: Stack) -> None:
    stack.hapio.switches.temporary_expiry_minutes = 5
    booking = await stack.hold()
    session_id = await stack.at_stripe(booking)
    await stack.tick(after=20 * MINUTE)
    await stack.stripe.pay(session_id)
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CONFIRMED
    assert len([one for one in stack.hapio_bookings() if not one.is_temporary]) == 1


@pytest.mark.parametrize("shape", ["A", "B"])
async def test_a_time_that_another_program_booked_is_refused_politely_whatever_hapio_says(
    stack: Stack, shape: str
) -> None:
    stack.hapio.switches.update({"rule_error_shape": shape})
    starts_at = await stack.free_slot()
    await stack.book_elsewhere(starts_at)
    with pytest.raises(SlotTaken):
        await stack.hold(starts_at)
    assert all(booking.status is Status.EXPIRED for booking in await rows(stack))
    assert await stack.free_slot() > starts_at
