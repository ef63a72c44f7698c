"""Canceling a confirmed booking and taking that back: what comes back, when, and what is told."""

from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from app.booking.policy import Refusal
from app.domain.booking import Actor, Booking, EndReason, Status
from app.domain.money import Money
from app.errors import BookingConflict, PolicyRefused, SchedulerError
from sandbox.hapio import ALL_ABILITIES, Fault
from sandbox.stripe import Fault as StripeFault
from tests.support.processes import SlowWire, another_process
from tests.support.stack import PUBLIC_URL, Stack, open_stack

SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
ANNA, OWNER = "anna@customer.example", "owner@studio.example"
AGAIN = 11 * MINUTE


# -- what comes back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before_start", "percent", "back"),
    [
        (3 * DAY, 100, 120000),
        (24 * HOUR, 100, 120000),
        (24 * HOUR - SECOND, 50, 60000),
        (2 * HOUR, 50, 60000),
        (2 * HOUR - SECOND, 0, 0),
        (SECOND, 0, 0),
    ],
)
async def test_what_comes_back_is_what_the_terms_say_at_each_edge(
    stack: Stack, before_start: timedelta, percent: int, back: int
) -> None:
    booking = await stack.confirmed(await stack.in_days(5))
    stack.clock.set(booking.starts_at - before_start)
    allowed = stack.parts.policy.of(await stack.parts.bookings.view(booking.id))
    assert (allowed.cancel_refusal, allowed.percent, allowed.refund) == (None, percent, Money(back, "sek"))
    canceled = await stack.cancel(booking)
    assert canceled.status is Status.CANCELED
    assert canceled.end_reason is EndReason.BY_CUSTOMER
    await stack.tick(after=AGAIN)
    assert stack.money_kept() == 120000 - back
    assert [refund.amount.amount for refund in await stack.refunds(booking)] == ([back] if back else [])


async def test_the_refund_goes_out_when_the_offer_said_and_not_before(stack: Stack) -> None:
    booking = await stack.confirmed()
    allowed = stack.parts.policy.of(await stack.parts.bookings.view(booking.id))
    assert allowed.refund_at == stack.clock() + 10 * MINUTE
    await stack.cancel(booking)
    await stack.tick(after=10 * MINUTE - SECOND)
    assert stack.stripe.state.refunds == {}
    await stack.tick(after=SECOND)
    assert stack.money_kept() == 0


async def test_a_deposit_is_kept_whenever_one_cancels(tmp_path: Path) -> None:
    async with open_stack(tmp_path, cancellation="[{ at_least_hours = 0, refund_percent = 70 }]") as stack:
        early, late = await stack.confirmed(), await stack.confirmed()
        await stack.cancel(early)
        await stack.tick(after=AGAIN)
        assert stack.money_kept() == 36000 + 120000
        stack.clock.set(late.starts_at - SECOND)
        await stack.cancel(late)
        await stack.tick(after=AGAIN)
        assert stack.money_kept() == 36000 * 2


async def test_without_a_policy_nothing_comes_back(tmp_path: Path) -> None:
    async with open_stack(tmp_path, cancellation="[]") as stack:
        booking = await stack.confirmed()
        await stack.cancel(booking)
        await stack.until_quiet()
        assert stack.money_kept() == 120000
        assert await stack.refunds(booking) == []


async def test_the_owner_cancels_even_at_the_last_minute_and_everything_comes_back_at_once(stack: Stack) -> None:
    booking = await stack.confirmed()
    stack.clock.set(booking.starts_at - MINUTE)
    canceled = await stack.cancel(booking, by=Actor.OWNER)
    assert (canceled.status, canceled.end_reason) == (Status.CANCELED, EndReason.BY_OWNER)
    assert stack.money_kept() == 0
    with pytest.raises(BookingConflict):
        await stack.parts.cancel.undo(booking.id)


async def test_the_owner_may_cancel_a_visit_that_has_begun(stack: Stack) -> None:
    booking = await stack.confirmed()
    stack.clock.set(booking.starts_at + MINUTE)
    await stack.cancel(booking, by=Actor.OWNER)
    assert stack.money_kept() == 0


async def test_a_free_booking_is_canceled_without_money(stack: Stack) -> None:
    booking = await stack.confirmed(service="planning")
    canceled = await stack.cancel(booking)
    await stack.until_quiet()
    assert canceled.status is Status.CANCELED
    assert await stack.refunds(booking) == []
    assert stack.stripe.calls == [] or {call.method for call in stack.stripe.calls} == {"GET"}
    assert stack.hapio_bookings() == []


async def test_a_held_payment_that_was_captured_goes_back_as_well(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget='capture = "manual"') as stack:
        booking = await stack.confirmed()
        await stack.cancel(booking)
        await stack.tick(after=AGAIN)
        assert (stack.money_kept(), stack.money_held()) == (0, 0)


async def test_the_second_click_returns_what_the_first_one_did(stack: Stack) -> None:
    booking = await stack.confirmed()
    first = await stack.cancel(booking)
    second = await stack.cancel(booking)
    await stack.until_quiet()
    third = await stack.cancel(booking, by=Actor.OWNER)
    assert first.canceled_at == second.canceled_at == third.canceled_at
    assert len(stack.stripe.state.refunds) == 1
    assert (await stack.history(booking)).count("by_customer") == 1


async def test_many_clicks_at_once_cancel_once(stack: Stack) -> None:
    booking = await stack.confirmed()
    async with anyio.create_task_group() as clicks:
        for _ in range(5):
            clicks.start_soon(stack.cancel, booking)
    await stack.until_quiet()
    assert stack.money_kept() == 0
    assert len(stack.stripe.state.refunds) == 1


async def test_what_has_begun_is_no_longer_canceled_by_the_customer(stack: Stack) -> None:
    booking = await stack.confirmed()
    stack.clock.set(booking.starts_at)
    assert stack.parts.policy.of(await stack.parts.bookings.view(booking.id)).cancel_refusal is Refusal.BEGUN
    with pytest.raises(PolicyRefused) as refused:
        await stack.cancel(booking)
    assert refused.value.refusal == Refusal.BEGUN
    assert await stack.status(booking) is Status.CONFIRMED
    assert stack.money_kept() == 120000


async def test_what_is_not_paid_yet_is_not_canceled_but_given_up(stack: Stack) -> None:
    held = await stack.hold()
    with pytest.raises(PolicyRefused) as refused:
        await stack.cancel(held)
    assert refused.value.refusal == Refusal.NOT_CONFIRMED
    assert await stack.status(held) is Status.HELD


async def test_a_page_shown_before_the_edge_keeps_its_amount(stack: Stack) -> None:
    booking = await stack.confirmed()
    stack.clock.set(booking.starts_at - 24 * HOUR - MINUTE)
    shown_at = stack.clock()
    stack.clock.advance(10 * MINUTE)
    await stack.parts.cancel.booking(booking.id, by=Actor.CUSTOMER, revision=booking.revision, shown_at=shown_at)
    await stack.tick(after=AGAIN)
    assert stack.money_kept() == 0


async def test_a_page_shown_before_the_visit_does_not_cancel_it_once_it_has_begun(stack: Stack) -> None:
    booking = await stack.confirmed()
    stack.clock.set(booking.starts_at - MINUTE)
    shown_at = stack.clock()
    stack.clock.advance(2 * MINUTE)
    with pytest.raises(PolicyRefused) as refused:
        await stack.parts.cancel.booking(booking.id, by=Actor.CUSTOMER, revision=booking.revision, shown_at=shown_at)
    assert refused.value.refusal == Refusal.BEGUN


async def test_a_page_that_was_overtaken_cancels_nothing(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.move(booking, await stack.in_days(6))
    with pytest.raises(BookingConflict):
        await stack.parts.cancel.booking(
            booking.id, by=Actor.CUSTOMER, revision=booking.revision, shown_at=stack.clock()
        )
    assert await stack.status(booking) is Status.CONFIRMED


async def test_terms_that_the_owner_changes_later_do_not_change_what_was_bought(tmp_path: Path) -> None:
    async with open_stack(tmp_path) as stack:
        booking = await stack.confirmed()
        [name] = stack.parts.widgets
        changed = stack.parts.widgets[name].model_copy(update={"cancellation": ()})
        stack.parts.widgets[name] = changed  # type: ignore[index]  # what a restart with another file brings
        await stack.cancel(booking)
        await stack.tick(after=AGAIN)
        assert stack.money_kept() == 0


# -- in Hapio ----------------------------------------------------------------------------------------------


async def test_a_canceled_booking_stays_in_hapio_as_canceled_and_its_time_is_free_again(stack: Stack) -> None:
    booking = await stack.confirmed()
    assert await stack.in_days(3, resource_id=booking.resource_id) > booking.starts_at
    await stack.cancel(booking)
    assert stack.hapio.state.bookings[booking.reservation.reference or ""].is_canceled
    assert await stack.in_days(3, resource_id=booking.resource_id) == booking.starts_at


async def test_hapios_own_threshold_never_contradicts_what_the_customer_was_told(stack: Stack) -> None:
    """The studio's portraits have a threshold of a day in Hapio; the terms give half back until two hours before."""
    booking = await stack.confirmed()
    stack.clock.set(booking.starts_at - 3 * HOUR)
    canceled = await stack.cancel(booking)
    await stack.tick(after=AGAIN)
    assert canceled.status is Status.CANCELED
    assert stack.money_kept() == 60000
    assert stack.hapio_bookings() == []


async def test_a_token_that_may_not_overrule_the_threshold_frees_the_time_anyway(stack: Stack) -> None:
    stack.hapio.state.tokens[stack.hapio.token] = ALL_ABILITIES - {"booking:ignore_cancelation_threshold"}
    booking = await stack.confirmed()
    stack.clock.set(booking.starts_at - 3 * HOUR)
    await stack.cancel(booking)
    await stack.tick(after=AGAIN)
    assert stack.money_kept() == 60000
    assert stack.hapio_bookings() == []


async def test_while_hapio_is_down_a_cancellation_holds_and_hapio_is_told_later(stack: Stack) -> None:
    booking = await stack.confirmed()
    stack.hapio.faults.append(Fault("drop_before", times=20))
    canceled = await stack.cancel(booking)
    assert canceled.status is Status.CANCELED
    assert len(stack.hapio_bookings()) == 1
    await stack.tick(after=AGAIN)
    assert stack.money_kept() == 0
    stack.hapio.faults.clear()
    await stack.until_quiet()
    assert stack.hapio_bookings() == []
    assert stack.hapio.state.bookings[booking.reservation.reference or ""].is_canceled


async def test_a_cancel_whose_answer_was_lost_is_told_to_hapio_once_more(stack: Stack) -> None:
    booking = await stack.confirmed()
    stack.hapio.faults.append(Fault("drop_after", times=3, method="PATCH"))
    await stack.cancel(booking)
    await stack.until_quiet()
    assert (await stack.now(booking)).reservation.canceled
    assert stack.hapio_bookings() == []


async def test_a_booking_deleted_in_hapio_is_canceled_and_refunded(stack: Stack) -> None:
    booking = await stack.confirmed()
    async with stack.hapio_api() as api:
        await api.delete(f"/bookings/{booking.reservation.reference}")
    assert (await stack.cancel(booking)).status is Status.CANCELED
    await stack.until_quiet()
    assert stack.money_kept() == 0


# -- taking it back ----------------------------------------------------------------------------------------


async def test_within_ten_minutes_a_cancellation_is_undone_as_if_nothing_had_happened(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking)
    stack.clock.advance(10 * MINUTE - SECOND)
    back = await stack.parts.cancel.undo(booking.id)
    assert back.status is Status.CONFIRMED
    assert (back.starts_at, back.resource_id, back.end_reason, back.undo_until) == (
        booking.starts_at,
        booking.resource_id,
        None,
        None,
    )
    await stack.until_quiet()
    assert stack.money_kept() == 120000
    assert stack.stripe.state.refunds == {}
    assert [in_hapio.id for in_hapio in stack.hapio_bookings()] == [booking.reservation.reference]
    assert [refund.status for refund in await stack.refunds(booking)] == ["withdrawn"]


async def test_taking_back_twice_is_taking_back_once(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking)
    first = await stack.parts.cancel.undo(booking.id)
    assert await stack.parts.cancel.undo(booking.id) == first


async def test_after_ten_minutes_it_is_too_late(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking)
    stack.clock.advance(10 * MINUTE)
    with pytest.raises(BookingConflict):
        await stack.parts.cancel.undo(booking.id)
    await stack.tick()
    assert stack.money_kept() == 0
    assert stack.hapio_bookings() == []


async def test_no_cancellation_is_undone_after_the_start(stack: Stack) -> None:
    booking = await stack.confirmed()
    stack.clock.set(booking.starts_at - 5 * MINUTE)
    canceled = await stack.cancel(booking)
    assert canceled.undo_until == booking.starts_at
    stack.clock.set(booking.starts_at)
    with pytest.raises(BookingConflict):
        await stack.parts.cancel.undo(booking.id)


async def test_a_cancellation_is_not_undone_if_the_time_is_taken_and_the_refund_goes_out(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking)
    await stack.hold(booking.starts_at, resource_id=booking.resource_id)
    with pytest.raises(BookingConflict):
        await stack.parts.cancel.undo(booking.id)
    assert await stack.status(booking) is Status.CANCELED
    await stack.tick(after=AGAIN)
    assert stack.money_kept() == 0


async def test_a_cancellation_is_not_undone_if_another_program_took_the_time_and_the_refund_goes_out(
    stack: Stack,
) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking)
    await stack.book_elsewhere(booking.starts_at)
    with pytest.raises(BookingConflict):
        await stack.parts.cancel.undo(booking.id)
    assert await stack.status(booking) is Status.CANCELED
    await stack.tick(after=MINUTE)
    assert stack.money_kept() == 0
    assert "not_taken_back" in await stack.history(booking)
    assert stack.hapio.state.bookings[booking.reservation.reference or ""].is_canceled


async def test_without_minutes_to_undo_the_refund_goes_out_at_once(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="undo_minutes = 0") as stack:
        booking = await stack.confirmed()
        canceled = await stack.cancel(booking)
        assert stack.money_kept() == 0
        allowed = stack.parts.policy.of(await stack.parts.bookings.view(canceled.id))
        assert allowed.undo_until is None
        with pytest.raises(BookingConflict):
            await stack.parts.cancel.undo(booking.id)


async def test_hapio_failing_while_a_cancellation_is_undone_is_waited_for(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking)
    stack.hapio.faults.append(Fault("drop_before", times=20))
    taking = await stack.parts.cancel.undo(booking.id)
    assert taking.status is Status.PAID
    await stack.tick(after=AGAIN)
    assert stack.money_kept() == 120000
    stack.hapio.faults.clear()
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CONFIRMED
    assert stack.money_kept() == 120000
    assert len(stack.hapio_bookings()) == 1


async def test_a_taking_back_whose_answer_was_lost_holds(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking)
    stack.hapio.faults.append(Fault("drop_after", times=3, method="PATCH"))
    await stack.parts.cancel.undo(booking.id)
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CONFIRMED
    assert len(stack.hapio_bookings()) == 1


async def test_if_hapio_stays_away_beyond_the_visit_the_cancellation_stands(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking)
    stack.hapio.faults.append(Fault("drop_before", times=10**6))
    await stack.parts.cancel.undo(booking.id)
    stack.clock.set(booking.starts_at)
    for _ in range(10):
        await stack.tick(after=HOUR)
    assert await stack.status(booking) is Status.CANCELED
    assert stack.money_kept() == 0


async def test_while_hapio_has_not_heard_of_the_cancellation_taking_it_back_can_be_tried_again(stack: Stack) -> None:
    """Whether Hapio is cancelling it at this moment is not known, so the customer is asked to try again, not told that
    it is too late."""
    booking = await stack.confirmed()
    stack.hapio.faults.append(Fault("drop_before", times=20))
    await stack.cancel(booking)
    with pytest.raises(SchedulerError):
        await stack.parts.cancel.undo(booking.id)
    stack.hapio.faults.clear()
    stack.clock.advance(3 * MINUTE)
    assert (await stack.parts.cancel.undo(booking.id)).status is Status.CONFIRMED


async def test_what_hapio_deleted_is_booked_again_when_a_cancellation_is_undone(stack: Stack) -> None:
    stack.hapio.state.tokens[stack.hapio.token] = ALL_ABILITIES - {"booking:ignore_cancelation_threshold"}
    booking = await stack.confirmed()
    stack.clock.set(booking.starts_at - 5 * HOUR)
    await stack.cancel(booking)
    assert stack.hapio.state.bookings == {}
    back = await stack.parts.cancel.undo(booking.id)
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CONFIRMED
    assert [in_hapio.id for in_hapio in stack.hapio_bookings()] == [back.reservation.reference]
    assert stack.money_kept() == 120000


async def test_cancelled_again_after_an_undo_the_payment_is_refunded_once(stack: Stack) -> None:
    booking = await stack.confirmed()
    for _ in range(3):
        await stack.cancel(booking)
        stack.clock.advance(MINUTE)
        await stack.parts.cancel.undo(booking.id)
        stack.clock.advance(MINUTE)
    await stack.cancel(booking)
    await stack.until_quiet()
    assert stack.money_kept() == 0
    assert [refund["amount"] for refund in stack.stripe.state.refunds.values()] == [120000]
    assert [refund.status for refund in await stack.refunds(booking)] == ["withdrawn"] * 3 + ["succeeded"]


async def test_the_link_of_a_canceled_booking_still_opens_it(stack: Stack) -> None:
    booking = await stack.confirmed()
    token = stack.parts.links.manage_token(booking.id, booking.link_version)
    await stack.cancel(booking)
    assert (await stack.parts.manage_links.open(token)).status is Status.CANCELED


# -- two at once -------------------------------------------------------------------------------------------


async def test_two_tabs_cancel_and_move_at_once_and_one_is_told(stack: Stack) -> None:
    booking, outcomes = await stack.confirmed(), []
    later = await stack.in_days(6)

    async def cancel() -> None:
        try:
            await stack.parts.cancel.booking(
                booking.id, by=Actor.CUSTOMER, revision=booking.revision, shown_at=stack.clock()
            )
            outcomes.append("canceled")
        except BookingConflict:
            outcomes.append("told")

    async def move() -> None:
        try:
            await stack.parts.reschedule.booking(
                booking.id, starts_at=later, by=Actor.CUSTOMER, revision=booking.revision
            )
            outcomes.append("moved")
        except (BookingConflict, PolicyRefused):
            outcomes.append("told")

    async with anyio.create_task_group() as tabs:
        tabs.start_soon(cancel)
        tabs.start_soon(move)
    assert sorted(outcomes) in (["canceled", "told"], ["moved", "told"])
    await one_truth(stack, booking)


@pytest.mark.parametrize("first", ["cancel", "move"])
async def test_two_processes_cancel_and_move_at_once_and_one_wins(stack: Stack, tmp_path: Path, first: str) -> None:
    """The turns of one process are a courtesy; between processes the database decides."""
    booking, outcomes = await stack.confirmed(), []
    later = await stack.in_days(6)
    async with another_process(stack, tmp_path, database=stack.settings.database_url) as other:
        await other.availability.catalogue(other.widgets["studio"])

        async def cancel() -> None:
            try:
                await stack.parts.cancel.booking(booking.id, by=Actor.CUSTOMER)
                outcomes.append("canceled")
            except (BookingConflict, PolicyRefused):
                outcomes.append("told")

        async def move() -> None:
            try:
                await other.reschedule.booking(booking.id, starts_at=later, by=Actor.CUSTOMER)
                outcomes.append("moved")
            except (BookingConflict, PolicyRefused):
                outcomes.append("told")

        async with anyio.create_task_group() as tabs:
            for act in (cancel, move) if first == "cancel" else (move, cancel):
                tabs.start_soon(act)
    assert sorted(outcomes) in (["canceled", "told"], ["moved", "told"], ["canceled", "moved"])
    await one_truth(stack, booking)


async def one_truth(stack: Stack, booking: Booking) -> None:
    """Hapio, Stripe and our rows tell the same story."""
    await stack.until_quiet()
    now = await stack.now(booking)
    if now.status is Status.CANCELED:
        assert stack.hapio_bookings() == []
        assert stack.money_kept() == 0
    else:
        assert [in_hapio.starts_at for in_hapio in stack.hapio_bookings()] == [now.starts_at]
        assert stack.money_kept() == 120000


# -- refunds at Stripe -------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 4, 20])
async def test_the_answer_to_the_refund_is_cut_and_there_is_exactly_one_refund(stack: Stack, times: int) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking)
    stack.stripe.faults.append(StripeFault("drop_after", path="/v1/refunds", times=times))
    await stack.tick(after=10 * MINUTE)
    stack.stripe.faults.clear()
    await stack.until_quiet()
    assert [refund["amount"] for refund in stack.stripe.state.refunds.values()] == [120000]
    assert [refund.status for refund in await stack.refunds(booking)] == ["succeeded"]


async def test_the_answer_is_cut_and_stripe_stays_away_for_days_and_there_is_one_refund(tmp_path: Path) -> None:
    """Stripe forgets keys after a day, so a partial refund asked for again would be a second one."""
    async with open_stack(tmp_path, webhooks=False) as stack:
        booking = await stack.confirmed(await stack.in_days(5))
        stack.clock.set(booking.starts_at - 23 * HOUR)
        await stack.cancel(booking)
        stack.stripe.faults.append(StripeFault("drop_after", method="POST", path="/v1/refunds", times=5))
        stack.stripe.faults.append(StripeFault("drop_before", times=10**6))
        for _ in range(12):
            await stack.tick(after=6 * HOUR)
        assert len(stack.stripe.state.refunds) == 1
        stack.stripe.faults.clear()
        for _ in range(4):
            await stack.tick(after=HOUR)
        assert [refund["amount"] for refund in stack.stripe.state.refunds.values()] == [60000]
        assert [refund.status for refund in await stack.refunds(booking)] == ["succeeded"]


async def test_while_stripe_is_down_the_cancellation_holds_and_the_money_follows(stack: Stack) -> None:
    booking = await stack.confirmed()
    stack.stripe.faults.append(StripeFault("drop_before", times=10**6))
    assert (await stack.cancel(booking)).status is Status.CANCELED
    for _ in range(4):
        await stack.tick(after=AGAIN)
    assert stack.money_kept() == 120000
    stack.stripe.faults.clear()
    await stack.until_quiet()
    assert stack.money_kept() == 0


async def test_a_pending_refund_is_followed_until_it_succeeds(stack: Stack) -> None:
    stack.stripe.switches.refund_mode = "pending"
    booking = await stack.confirmed()
    await stack.cancel(booking)
    await stack.tick(after=AGAIN)
    assert [refund.status for refund in await stack.refunds(booking)] == ["pending"]
    await stack.until_quiet()
    assert [refund.status for refund in await stack.refunds(booking)] == ["succeeded"]


async def test_a_pending_refund_is_followed_without_webhooks_too(tmp_path: Path) -> None:
    async with open_stack(tmp_path, webhooks=False) as stack:
        stack.stripe.switches.refund_mode = "pending"
        booking = await stack.confirmed()
        await stack.cancel(booking)
        await stack.tick(after=AGAIN)
        assert [refund.status for refund in await stack.refunds(booking)] == ["pending"]
        await stack.until_quiet()
        assert [refund.status for refund in await stack.refunds(booking)] == ["succeeded"]


@pytest.mark.parametrize("webhooks", [True, False])
async def test_a_refund_that_fails_later_is_told_to_both_once(tmp_path: Path, webhooks: bool) -> None:
    async with open_stack(tmp_path, webhooks=webhooks) as stack:
        booking = await stack.confirmed()
        stack.stripe.switches.refund_mode = "fail_later"
        await stack.cancel(booking)
        await stack.tick(after=AGAIN)
        assert [refund.status for refund in await stack.refunds(booking)] == ["succeeded"]
        await stack.mail(ANNA)
        await stack.mail(OWNER)
        await stack.until_quiet()
        assert [refund.status for refund in await stack.refunds(booking)] == ["failed"]
        assert [subject.partition(":")[0] for subject in await stack.mail(ANNA)] == ["Refund failed"]
        assert [subject.partition(":")[0] for subject in await stack.mail(OWNER)] == ["Refund failed"]


async def test_a_refund_that_fails_at_the_bank_is_told_to_both_once(stack: Stack) -> None:
    stack.stripe.switches.refund_mode = "insufficient_funds"
    booking = await stack.confirmed()
    await stack.cancel(booking)
    await stack.tick(after=AGAIN)
    [refund] = await stack.refunds(booking)
    assert refund.status == "pending"
    await stack.mail(ANNA)
    await stack.mail(OWNER)
    stack.stripe.settle_refund(refund.stripe_refund_id or "", "failed")
    await stack.until_quiet()
    assert [refund.status for refund in await stack.refunds(booking)] == ["failed"]
    assert len(await stack.mail(ANNA)) == len(await stack.mail(OWNER)) == 1


async def test_a_confirmation_that_is_late_leaves_a_cancellation_on_its_way_back_alone(tmp_path: Path) -> None:
    """One process is slow, another has confirmed the booking, and its customer cancels and takes it back at once."""
    async with open_stack(tmp_path, webhooks=False) as stack:
        booking = await stack.hold(await stack.in_days(5))
        await stack.stripe.pay(await stack.at_stripe(booking))
        wire = SlowWire(stack, answers=True)
        async with (
            another_process(stack, tmp_path, database=stack.settings.database_url, wire=wire) as other,
            anyio.create_task_group() as slow,
        ):
            slow.start_soon(other.settle.booking, booking.id)
            await wire.sent.wait()
            await stack.tick()
            assert await stack.status(booking) is Status.CONFIRMED
            await stack.cancel(booking)
            await stack.tick()
            assert await stack.parts.store.take_back(await stack.now(booking), capacity=None)
            wire.go.set()
        assert await stack.status(booking) is Status.PAID
        await stack.until_quiet()
        assert (await stack.history(booking))[-2:] == ["taking_back", "taken_back"]
        await stack.cancel(booking)
        await stack.until_quiet()
        assert (await stack.status(booking), stack.money_kept()) == (Status.CANCELED, 0)


async def test_nor_does_it_end_one_whose_refund_it_takes_for_made(stack: Stack) -> None:
    booking = await stack.hold(await stack.in_days(5))
    stack.side.faults.append(Fault("error_before", times=None))
    await stack.paid(booking)
    late = await stack.now(booking)
    assert late.status is Status.PAID
    stack.side.faults.clear()
    await stack.tick(after=AGAIN)
    await stack.cancel(booking)
    await stack.tick()
    assert await stack.parts.store.take_back(await stack.now(booking), capacity=None)
    await stack.parts.late_money._confirm.finalize(late)  # no door is as slow as another process
    await stack.until_quiet()
    assert (await stack.history(booking))[-2:] == ["taking_back", "taken_back"]


async def test_the_end_of_one_cancellation_that_is_late_is_not_the_end_of_the_next(stack: Stack) -> None:
    """One process is slow to hear that the scheduler has agreed, and the customer cancels and takes it back again."""
    booking, store = await stack.confirmed(await stack.in_days(5)), stack.parts.store
    await stack.cancel(booking)
    late = await store.take_back(await stack.now(booking), capacity=None)
    assert late
    await stack.tick()
    assert await stack.status(booking) is Status.CONFIRMED
    await stack.cancel(booking)
    assert await store.take_back(await stack.now(booking), capacity=None)
    reference, soon = late.reservation.reference or "", stack.clock() + AGAIN
    assert await store.taken_back(late, reference=reference, unsure=False, find_out_at=soon, mails=()) is None
    assert await store.not_taken_back(late, why=None, mails=()) is None
    assert await store.lease(late, until=soon) is None
    await stack.until_quiet()
    assert (await stack.status(booking), (await stack.history(booking))[-1]) == (Status.CONFIRMED, "taken_back")


# -- what is done in Stripe's dashboard --------------------------------------------------------------------


@pytest.mark.parametrize("webhooks", [True, False])
async def test_a_refund_from_stripes_dashboard_is_mirrored_and_not_given_twice(tmp_path: Path, webhooks: bool) -> None:
    async with open_stack(tmp_path, webhooks=webhooks) as stack:
        booking = await stack.confirmed()
        stack.stripe.refund_in_dashboard(await stack.intent_of(booking), amount=30000)
        await stack.until_quiet()
        [mirrored] = await stack.refunds(booking)
        assert (mirrored.reason, mirrored.amount, mirrored.status) == (
            EndReason.AT_STRIPE,
            Money(30000, "sek"),
            "succeeded",
        )
        allowed = stack.parts.policy.of(await stack.parts.bookings.view(booking.id))
        assert allowed.refund == Money(90000, "sek")
        await stack.cancel(booking)
        await stack.until_quiet()
        assert stack.money_kept() == 0
        assert (await stack.history(booking)).count("refunded_at_stripe") == 1


@pytest.mark.parametrize("heard", ["at once", "when it had failed"])
async def test_a_refund_from_stripes_dashboard_that_fails_is_told_to_both_once(tmp_path: Path, heard: str) -> None:
    """Whoever made it may have said that the money is on its way."""
    async with open_stack(tmp_path, webhooks=heard == "at once") as stack:
        booking = await stack.confirmed()
        await stack.mail(ANNA)
        await stack.mail(OWNER)
        stack.stripe.switches.refund_mode = "fail_later"
        stack.stripe.refund_in_dashboard(await stack.intent_of(booking))
        if heard == "at once":
            await stack.stripe.deliver_due()
            await stack.tick()
            assert [refund.status for refund in await stack.refunds(booking)] == ["succeeded"]
        stack.clock.advance(timedelta(hours=2))
        await stack.until_quiet()
        assert [refund.status for refund in await stack.refunds(booking)] == ["failed"]
        assert [subject.partition(":")[0] for subject in await stack.mail(ANNA)] == ["Refund failed"]
        assert [subject.partition(":")[0] for subject in await stack.mail(OWNER)] == ["Refund failed"]


@pytest.mark.parametrize("webhooks", [True, False])
@pytest.mark.parametrize("by_hand", [120000, 90000])
async def test_what_the_owner_refunds_by_hand_while_ours_waits_is_taken_off_ours(
    tmp_path: Path, webhooks: bool, by_hand: int
) -> None:
    async with open_stack(tmp_path, webhooks=webhooks) as stack:
        booking = await stack.confirmed()
        await stack.cancel(booking)
        stack.stripe.refund_in_dashboard(await stack.intent_of(booking), amount=by_hand)
        await stack.until_quiet()
        assert stack.money_kept() == 0
        standing = [refund for refund in await stack.refunds(booking) if refund.status != "withdrawn"]
        assert {refund.status for refund in standing} == {"succeeded"}
        assert sum(refund.amount.amount for refund in standing) == 120000


@pytest.mark.parametrize("webhooks", [True, False])
async def test_a_disputed_payment_is_told_to_the_owner_and_not_refunded_as_well(tmp_path: Path, webhooks: bool) -> None:
    async with open_stack(tmp_path, webhooks=webhooks) as stack:
        booking = await stack.confirmed()
        await stack.mail(OWNER)
        stack.stripe.open_dispute(await stack.intent_of(booking))
        await stack.until_quiet()
        assert [payment.dispute for payment in (await stack.parts.bookings.view(booking.id)).payments] == [
            "needs_response"
        ]
        assert len(await stack.mail(OWNER)) == 1
        asked = len(stack.stripe.calls)
        await stack.cancel(booking)
        await stack.until_quiet()
        assert await stack.status(booking) is Status.CANCELED
        assert not [call for call in stack.stripe.calls[asked:] if call.method == "POST"]
        assert [refund.status for refund in await stack.refunds(booking)] == ["requested"]


async def disputed_and_canceled(stack: Stack, outcome: str) -> Booking:
    """A booking that is called off while its payment is disputed, and how the bank decides three days later."""
    booking = await stack.confirmed()
    dispute = stack.stripe.open_dispute(await stack.intent_of(booking))
    await stack.until_quiet()
    await stack.cancel(booking)
    for _ in range(6):
        await stack.tick(after=12 * HOUR)
    stack.stripe.close_dispute(dispute["id"], outcome)
    await stack.stripe.deliver_due()
    for _ in range(6):
        await stack.tick(after=12 * HOUR)
    return booking


@pytest.mark.parametrize("webhooks", [True, False])
async def test_a_dispute_that_the_owner_wins_lets_the_refund_go_out(tmp_path: Path, webhooks: bool) -> None:
    async with open_stack(tmp_path, webhooks=webhooks) as stack:
        booking = await disputed_and_canceled(stack, "won")
        assert [refund.status for refund in await stack.refunds(booking)] == ["succeeded"]
        assert stack.money_kept() == 0


@pytest.mark.parametrize("webhooks", [True, False])
async def test_a_dispute_that_the_owner_loses_replaces_the_refund(tmp_path: Path, webhooks: bool) -> None:
    async with open_stack(tmp_path, webhooks=webhooks) as stack:
        booking = await disputed_and_canceled(stack, "lost")
        assert [refund.status for refund in await stack.refunds(booking)] == ["withdrawn"]
        assert stack.stripe.state.refunds == {}


async def test_what_the_customer_has_won_in_a_dispute_is_not_promised_again(stack: Stack) -> None:
    booking = await stack.confirmed()
    dispute = stack.stripe.open_dispute(await stack.intent_of(booking))
    stack.stripe.close_dispute(dispute["id"], "lost")
    await stack.until_quiet()
    allowed = stack.parts.policy.of(await stack.parts.bookings.view(booking.id))
    assert allowed.refund == Money(0, "sek")
    await stack.cancel(booking)
    await stack.until_quiet()
    assert await stack.refunds(booking) == []


async def test_a_dispute_opened_while_the_refund_waits_is_learnt_from_stripes_refusal(tmp_path: Path) -> None:
    async with open_stack(tmp_path, webhooks=False) as stack:
        booking = await stack.confirmed()
        await stack.tick()
        await stack.cancel(booking)
        stack.stripe.open_dispute(await stack.intent_of(booking))
        for _ in range(12):
            await stack.tick(after=MINUTE)
        assert stack.stripe.state.refunds == {}
        assert await stack.status(booking) is Status.CANCELED
        asked = [call for call in stack.stripe.calls if call.path == "/v1/refunds" and call.method == "POST"]
        assert len(asked) <= 1


async def test_a_refund_waits_for_a_banks_question_too_and_goes_out_when_that_is_closed(stack: Stack) -> None:
    booking = await stack.confirmed()
    asked = stack.stripe.open_dispute(await stack.intent_of(booking), inquiry=True)
    await stack.until_quiet()
    await stack.cancel(booking)
    await stack.until_quiet()
    assert stack.money_kept() == 120000
    stack.stripe.close_dispute(asked["id"], "warning_closed")
    await stack.until_quiet()
    assert stack.money_kept() == 0


async def test_payments_of_other_software_on_the_same_account_are_ignored(stack: Stack) -> None:
    booking = await stack.confirmed()
    intent = await stack.intent_of(booking)
    stranger = {**stack.stripe.state.payment_intents[intent], "id": "pi_stranger", "metadata": {}}
    charge = {**stack.stripe.state.charges[stranger["latest_charge"]], "id": "ch_stranger"}
    stack.stripe.state.payment_intents["pi_stranger"] = {**stranger, "latest_charge": "ch_stranger"}
    stack.stripe.state.charges["ch_stranger"] = {**charge, "payment_intent": "pi_stranger"}
    stack.stripe.refund_in_dashboard("pi_stranger")
    stack.stripe.open_dispute("pi_stranger")
    await stack.until_quiet()
    assert await stack.refunds(booking) == []
    assert [payment.dispute for payment in (await stack.parts.bookings.view(booking.id)).payments] == [""]


# -- what is told ------------------------------------------------------------------------------------------


async def test_a_cancellation_is_told_to_both_and_taking_it_back_as_well(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.mail(ANNA)
    await stack.mail(OWNER)
    await stack.cancel(booking)
    [to_anna] = await stack.mail(ANNA)
    assert to_anna.startswith("Cancelled:")
    assert len(await stack.mail(OWNER)) == 1
    await stack.parts.cancel.undo(booking.id)
    [to_anna] = await stack.mail(ANNA)
    assert to_anna.startswith("Booked again:")
    assert len(await stack.mail(OWNER)) == 1


async def test_a_cancellation_undone_before_its_mail_went_out_is_not_mailed(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.mail(ANNA)
    await stack.cancel(booking)
    await stack.parts.cancel.undo(booking.id)
    [told] = await stack.mail(ANNA)
    assert told.startswith("Booked again:")


async def test_the_link_in_a_mail_is_the_bookings(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.parts.worker.tick()
    token = stack.parts.links.manage_token(booking.id, 0)
    assert any(f"{PUBLIC_URL}/manage/{token}" in (message.text or "") for message in stack.mailbox.messages)
