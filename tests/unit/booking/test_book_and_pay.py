"""From a free time to a paid booking, and every way in which it does not come to that."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from app.domain.booking import EndReason, Status
from app.domain.payment import PaymentState
from app.errors import BookingConflict, HoldExpired, InvalidRequest, StripeError
from sandbox.hapio import Fault as HapioFault
from sandbox.stripe import Fault
from tests.support.stack import Stack, open_stack

MINUTE = timedelta(minutes=1)


async def test_a_paid_booking_is_final_in_hapio_and_its_money_is_captured(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.paid(booking)
    confirmed = await stack.parts.bookings.get(booking.id)
    assert confirmed.status is Status.CONFIRMED
    [in_hapio] = stack.hapio_bookings()
    assert not in_hapio.is_temporary
    assert in_hapio.metadata["customer_name"] == "Anna Ek"
    assert stack.money_kept() == 120000


async def test_a_hold_is_a_temporary_booking_in_hapio_and_hides_the_time_from_others(stack: Stack) -> None:
    first = await stack.free_slot(service="headshot")
    for person in range(3):
        held = await stack.hold(first, service="headshot")
        assert held.status is Status.HELD
        assert len(stack.hapio_bookings()) == person + 1
        if await stack.free_slot(service="headshot") != first:
            break
    assert await stack.free_slot(service="headshot") > first


async def test_a_walked_away_visitor_gives_the_time_back_when_the_hold_ends(stack: Stack) -> None:
    first = await stack.free_slot()
    booking = await stack.hold(first)
    await stack.tick(after=11 * MINUTE)
    assert await stack.status(booking) is Status.EXPIRED
    assert stack.hapio_bookings() == []
    assert await stack.free_slot() == first


async def test_a_visitor_who_walks_away_from_stripe_gives_the_time_back_after_the_session_is_expired(
    stack: Stack,
) -> None:
    booking = await stack.hold()
    session_id = await stack.at_stripe(booking)
    await stack.tick(after=30 * MINUTE)
    assert await stack.status(booking) is Status.AWAITING_PAYMENT
    await stack.tick(after=2 * MINUTE)
    assert await stack.status(booking) is Status.EXPIRED
    assert stack.stripe.state.sessions[session_id]["status"] == "expired"
    assert stack.hapio_bookings() == []


async def test_nothing_is_released_while_stripe_does_not_answer(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.at_stripe(booking)
    stack.stripe.faults.append(Fault("drop_before", times=100))
    await stack.tick(after=40 * MINUTE)
    assert await stack.status(booking) is Status.AWAITING_PAYMENT
    assert len(stack.hapio_bookings()) == 1
    stack.stripe.faults.clear()
    await stack.tick(after=5 * MINUTE)
    assert await stack.status(booking) is Status.EXPIRED
    assert stack.hapio_bookings() == []


async def test_a_payment_that_lands_at_the_deadline_is_settled_instead_of_expired(tmp_path: Path) -> None:
    async with open_stack(tmp_path, webhooks=False) as stack:
        booking = await stack.hold()
        session_id = await stack.at_stripe(booking)
        await stack.tick(after=30 * MINUTE)
        await stack.stripe.pay(session_id)
        await stack.tick(after=2 * MINUTE)
        assert await stack.status(booking) is Status.CONFIRMED


async def test_without_webhooks_the_return_page_confirms(tmp_path: Path) -> None:
    async with open_stack(tmp_path, webhooks=False) as stack:
        booking = await stack.hold()
        session_id = await stack.at_stripe(booking)
        back = await stack.stripe.pay(session_id)
        page = await stack.client.get(back)
        assert page.status_code in {200, 303}
        assert await stack.status(booking) is Status.CONFIRMED


async def test_a_look_at_the_return_page_without_opening_it_settles_nothing(tmp_path: Path) -> None:
    async with open_stack(tmp_path, webhooks=False) as stack:
        booking = await stack.hold()
        await stack.paid(booking)
        token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
        answer = await stack.client.head(f"/b/{token}/return")
        assert answer.status_code == 303
        assert await stack.status(booking) is Status.AWAITING_PAYMENT
        assert (await stack.client.get(f"/b/{token}/return")).status_code == 303
        assert await stack.status(booking) is Status.CONFIRMED


async def test_without_webhooks_and_without_return_the_worker_confirms(tmp_path: Path) -> None:
    async with open_stack(tmp_path, webhooks=False) as stack:
        booking = await stack.hold()
        await stack.paid(booking)
        assert await stack.status(booking) is Status.AWAITING_PAYMENT
        await stack.tick(after=2 * MINUTE)
        assert await stack.status(booking) is Status.CONFIRMED


async def test_a_declined_card_keeps_the_time_and_a_second_card_pays(stack: Stack) -> None:
    booking = await stack.hold()
    session_id = await stack.at_stripe(booking)
    await stack.stripe.pay(session_id, card="decline")
    assert await stack.status(booking) is Status.AWAITING_PAYMENT
    await stack.stripe.pay(session_id, card="ok")
    assert await stack.status(booking) is Status.CONFIRMED


async def test_a_free_service_is_confirmed_without_stripe(stack: Stack) -> None:
    booking = await stack.hold(service="planning")
    assert await stack.parts.checkout.start(booking.id) is None
    assert await stack.status(booking) is Status.CONFIRMED
    assert stack.stripe.calls == []


async def test_held_money_is_captured_only_after_the_time_is_final(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget='capture = "manual"') as stack:
        booking = await stack.hold()
        stack.hapio.faults.append(HapioFault("error_before", times=10, method="PATCH"))
        await stack.paid(booking)
        assert await stack.status(booking) is Status.PAID
        assert (stack.money_kept(), stack.money_held()) == (0, 120000)
        stack.hapio.faults.clear()
        await stack.tick(after=10 * MINUTE)
        assert await stack.status(booking) is Status.CONFIRMED
        assert (stack.money_kept(), stack.money_held()) == (120000, 0)


async def test_held_money_is_let_go_when_the_time_is_lost(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget='capture = "manual"') as stack:
        booking = await stack.hold()
        session_id = await stack.at_stripe(booking)
        await stack.tick(after=32 * MINUTE)
        await stack.take_everyone(booking.starts_at)
        await stack.pay_late(session_id)
        await stack.until_quiet()
        assert await stack.status(booking) is Status.CANCELED
        assert (stack.money_kept(), stack.money_held()) == (0, 0)


async def test_paying_twice_is_one_page_and_one_session(stack: Stack) -> None:
    booking = await stack.hold()
    first, second = await stack.at_stripe(booking), await stack.at_stripe(booking)
    assert first == second
    assert len(stack.stripe.state.sessions) == 1


async def test_changed_details_get_a_new_session_and_the_old_one_cannot_be_paid(stack: Stack) -> None:
    booking = await stack.hold()
    first = await stack.at_stripe(booking)
    await stack.parts.checkout.add_details(booking.id, {"name": "Anna Ek", "email": "new@customer.example"})
    second = await stack.at_stripe(booking)
    assert stack.stripe.state.sessions[first]["status"] == "expired"
    await stack.stripe.pay(second)
    assert await stack.status(booking) is Status.CONFIRMED


async def test_paying_needs_details(stack: Stack) -> None:
    widget = stack.parts.widgets["studio"]
    booking = await stack.parts.hold.take(
        widget,
        service_id=stack.portrait_id,
        starts_at=await stack.free_slot(),
        resource_id=None,
        visitor=stack.visitor(),
    )
    with pytest.raises(InvalidRequest):
        await stack.parts.checkout.start(booking.id)


async def test_an_ended_hold_cannot_be_paid(stack: Stack) -> None:
    booking = await stack.hold()
    stack.clock.advance(11 * MINUTE)
    with pytest.raises(HoldExpired):
        await stack.parts.checkout.start(booking.id)
    assert stack.stripe.state.sessions == {}


async def test_with_stripe_down_the_time_stays_held_and_paying_can_be_tried_again(stack: Stack) -> None:
    booking = await stack.hold()
    stack.stripe.faults.append(Fault("drop_before", times=5))
    with pytest.raises(StripeError):
        await stack.parts.checkout.start(booking.id)
    assert len(stack.hapio_bookings()) == 1
    await stack.paid(booking)
    assert await stack.status(booking) is Status.CONFIRMED


async def test_a_lost_answer_to_the_session_is_repeated_under_its_key(stack: Stack) -> None:
    booking = await stack.hold()
    stack.stripe.faults.append(Fault("drop_after", times=5, path="/v1/checkout/sessions"))
    with pytest.raises(StripeError):
        await stack.parts.checkout.start(booking.id)
    await stack.at_stripe(booking)
    assert len(stack.stripe.state.sessions) == 1


async def test_a_failing_stripe_cannot_prolong_a_hold_for_ever(stack: Stack) -> None:
    booking = await stack.hold()
    for _ in range(5):
        stack.stripe.faults.append(Fault("drop_before", times=5))
        with pytest.raises(StripeError):
            await stack.parts.checkout.start(booking.id)
        stack.stripe.faults.clear()
        stack.clock.advance(2 * MINUTE)
    with pytest.raises(BookingConflict):
        await stack.parts.checkout.start(booking.id)


async def test_a_hold_can_be_extended_ten_times(stack: Stack) -> None:
    """As often as WCAG 2.2.1 asks, each time by all of its minutes, in the last minute."""
    booking = await stack.hold()
    for _ in range(10):
        stack.clock.advance(timedelta(minutes=10, seconds=-1))
        booking = await stack.parts.hold.extend(booking.id)
        assert booking.deadline == stack.clock() + 10 * MINUTE
    with pytest.raises(BookingConflict):
        await stack.parts.hold.extend(booking.id)


async def test_a_released_time_is_free_at_once(stack: Stack) -> None:
    first = await stack.free_slot()
    booking = await stack.hold(first)
    ended = await stack.parts.hold.give_up(booking.id)
    assert (ended.status, ended.end_reason) == (Status.EXPIRED, EndReason.GIVEN_UP)
    assert stack.hapio_bookings() == []
    assert await stack.free_slot() == first


async def test_a_time_that_was_given_up_while_it_was_being_paid_is_kept(tmp_path: Path) -> None:
    async with open_stack(tmp_path, webhooks=False) as stack:
        booking = await stack.hold()
        await stack.paid(booking)
        assert (await stack.parts.hold.give_up(booking.id)).status is Status.CONFIRMED


async def test_an_ended_hold_is_held_again_with_its_details(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.tick(after=11 * MINUTE)
    again = await stack.parts.hold.again(booking.id, "another-page-view")
    assert again.id != booking.id
    assert (again.starts_at, again.customer) == (booking.starts_at, booking.customer)


async def test_late_money_gets_the_same_time_again(stack: Stack) -> None:
    booking = await stack.hold()
    session_id = await stack.at_stripe(booking)
    await stack.tick(after=32 * MINUTE)
    assert await stack.status(booking) is Status.EXPIRED
    await stack.pay_late(session_id)
    await stack.until_quiet()
    rescued = await stack.parts.bookings.get(booking.id)
    assert (rescued.status, rescued.was_expired) == (Status.CONFIRMED, True)
    [in_hapio] = stack.hapio_bookings()
    assert not in_hapio.is_temporary


async def test_late_money_gets_another_person_at_the_same_time_when_the_first_is_taken(stack: Stack) -> None:
    booking = await stack.hold(await _shared_slot(stack))
    session_id = await stack.at_stripe(booking)
    await stack.tick(after=32 * MINUTE)
    await stack.hold(booking.starts_at, resource_id=booking.resource_id)
    await stack.pay_late(session_id)
    await stack.tick()
    rescued = await stack.parts.bookings.get(booking.id)
    assert rescued.status is Status.CONFIRMED
    assert rescued.resource_id != booking.resource_id


async def test_late_money_goes_back_in_full_when_the_time_is_gone(stack: Stack) -> None:
    booking = await stack.hold()
    session_id = await stack.at_stripe(booking)
    await stack.tick(after=32 * MINUTE)
    for other in await stack.take_everyone(booking.starts_at):
        await stack.paid(other)
    await stack.pay_late(session_id)
    await stack.until_quiet()
    canceled = await stack.parts.bookings.view(booking.id)
    assert (canceled.booking.status, canceled.booking.end_reason) == (Status.CANCELED, EndReason.SLOT_GONE)
    [refund] = canceled.refunds
    assert (refund.status, refund.amount.amount) == ("succeeded", 120000)


async def test_a_wrong_amount_is_not_confirmed_and_goes_back(stack: Stack) -> None:
    booking = await stack.hold()
    session_id = await stack.at_stripe(booking)
    stack.stripe.state.sessions[session_id]["amount_total"] = 100
    stack.stripe.state.sessions[session_id]["amount_subtotal"] = 100
    await stack.stripe.pay(session_id)
    await stack.until_quiet()
    view = await stack.parts.bookings.view(booking.id)
    assert view.booking.status is Status.EXPIRED
    assert view.booking.end_reason is EndReason.PAYMENT_MISMATCH
    assert stack.money_kept() == 0
    assert stack.hapio_bookings() == []


async def test_one_completed_booking_costs_two_hapio_calls_in_addition_to_the_shared_reads(stack: Stack) -> None:
    starts_at = await stack.free_slot()
    stack.hapio.calls.clear()
    booking = await stack.hold(starts_at)
    back = await stack.paid(booking)
    await stack.client.get(back)
    assert await stack.status(booking) is Status.CONFIRMED
    assert [(call.method, call.path.count("/bookings")) for call in stack.hapio.calls] == [("POST", 1), ("PATCH", 1)]


async def test_a_lock_vanished_from_hapio_is_made_again_at_confirm(stack: Stack) -> None:
    booking = await stack.hold()
    stack.hapio.state.bookings.clear()
    await stack.paid(booking)
    assert await stack.status(booking) is Status.CONFIRMED
    assert len(stack.hapio_bookings()) == 1


async def test_a_payment_still_processing_keeps_the_time_until_the_bank_has_spoken(tmp_path: Path) -> None:
    async with open_stack(tmp_path, currency="eur") as stack:
        booking = await stack.hold()
        session_id = await stack.paid_by_bank(booking)
        view = await stack.parts.bookings.view(booking.id)
        assert view.payment
        assert view.payment.state is PaymentState.PROCESSING
        await stack.tick(after=60 * MINUTE)
        assert await stack.status(booking) is Status.AWAITING_PAYMENT
        assert len(stack.hapio_bookings()) == 1
        await stack.settle_delayed(session_id, "succeeded")
        assert await stack.status(booking) is Status.CONFIRMED


async def test_a_delayed_payment_that_fails_gives_the_time_back(tmp_path: Path) -> None:
    async with open_stack(tmp_path, currency="eur") as stack:
        booking = await stack.hold()
        session_id = await stack.paid_by_bank(booking)
        await stack.settle_delayed(session_id, "failed")
        ended = await stack.parts.bookings.get(booking.id)
        assert (ended.status, ended.end_reason) == (Status.EXPIRED, EndReason.PAYMENT_FAILED)
        assert stack.hapio_bookings() == []


async def _shared_slot(stack: Stack) -> datetime:
    """A time at which more than one person is free."""
    widget = stack.parts.widgets["studio"]
    service = await stack.parts.availability.service(widget, stack.portrait_id)
    times = await stack.parts.availability.times(widget, service, month=stack.clock().date().replace(day=1))
    return next(slot.starts_at for slot in times.slots if len(slot.resource_ids) > 1)
