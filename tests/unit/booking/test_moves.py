"""Moving a booking: the new time is the customer's before the old one is let go, and money moves by the difference."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from app.booking.policy import Refusal
from app.booking.reschedule import Rescheduled
from app.domain.booking import Actor, Booking, EndReason, Status
from app.domain.history import HistoryWord
from app.domain.money import Money
from app.domain.move import MoveState
from app.errors import BookingConflict, InvalidRequest, NotFound, PolicyRefused, SchedulerError, SlotTaken, StripeError
from app.store.change import Change
from sandbox.hapio import Fault
from sandbox.stripe import Fault as StripeFault
from tests.support.processes import SlowWire, another_process
from tests.support.stack import Stack, open_stack, session_of

SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
ANNA, OWNER = "anna@customer.example", "owner@studio.example"
ANY_SERVICE = "reschedule = { other_service = true }"


def in_hapio(stack: Stack) -> list[tuple[datetime, str, bool]]:
    """What takes up time in Hapio: start, person, whether it is only a lock."""
    return [(one.starts_at, one.resource_id or "", one.is_temporary) for one in stack.hapio_bookings()]


def taken(stack: Stack, *bookings: Booking) -> bool:
    """Whether these bookings, as final ones, are all that Hapio has."""
    expected = [(booking.starts_at, booking.resource_id, False) for booking in bookings]
    return sorted(in_hapio(stack)) == sorted(expected)


# -- the same price ----------------------------------------------------------------------------------------


async def test_a_move_at_the_same_price_charges_and_refunds_nothing(stack: Stack) -> None:
    booking, later = await stack.confirmed(), await stack.in_days(6)
    calls = len(stack.stripe.calls)
    done = await stack.move(booking, later)
    assert (done.move.state, done.checkout_url) == (MoveState.DONE, None)
    assert (done.booking.starts_at, done.booking.status) == (later, Status.CONFIRMED)
    assert (done.booking.revision, done.booking.moves) == (booking.revision + 1, 1)
    assert taken(stack, done.booking)
    assert [one.id for one in stack.hapio_bookings()] == [booking.reservation.reference]
    assert len(stack.stripe.calls) == calls
    assert stack.money_kept() == 120000


async def test_a_move_costs_one_call_to_hapio(stack: Stack) -> None:
    booking, later = await stack.confirmed(), await stack.in_days(6)
    stack.hapio.calls.clear()
    await stack.move(booking, later)
    assert [call.method for call in stack.hapio.calls] == ["PATCH"]


async def test_the_old_time_is_free_again_at_once_and_the_new_one_is_not(stack: Stack) -> None:
    booking, later = await stack.confirmed(), await stack.in_days(6)
    done = await stack.move(booking, later, resource_id=booking.resource_id)
    assert await stack.in_days(3, resource_id=booking.resource_id) == booking.starts_at
    assert await stack.in_days(6, resource_id=done.booking.resource_id) > later


async def test_what_was_bought_keeps_its_price_when_the_owner_asks_for_more_today(stack: Stack) -> None:
    booking, later = await stack.confirmed(), await stack.in_days(6)
    async with stack.hapio_api() as api:
        (await api.patch(f"/services/{stack.portrait_id}", json={"price": "1500.000"})).raise_for_status()
    await stack.restart()
    done = await stack.move(booking, later)
    assert (done.move.state, done.booking.terms.price) == (MoveState.DONE, Money(120000, "sek"))


async def test_a_quote_changes_nothing(stack: Stack) -> None:
    booking, later = await stack.confirmed(), await stack.in_days(6)
    quote = await stack.parts.reschedule.quote(booking.id, starts_at=later)
    assert (quote.slot.starts_at, quote.price, quote.difference) == (later, Money(120000, "sek"), 0)
    assert await stack.now(booking) == booking
    assert taken(stack, booking)


async def test_the_same_person_comes_first_and_another_only_where_she_is_not_free(stack: Stack) -> None:
    astrid, jonas = (stack.ids.resources[name] for name in ("Astrid Lindqvist", "Jonas Berg"))
    booking = await stack.confirmed(await stack.in_days(3, resource_id=jonas), resource_id=jonas)
    both = await shared_time(stack)
    assert (await stack.parts.reschedule.quote(booking.id, starts_at=both)).resource.id == jonas
    await stack.hold(both, resource_id=jonas)
    assert (await stack.parts.reschedule.quote(booking.id, starts_at=both)).resource.id == astrid
    done = await stack.move(booking, both)
    assert (done.booking.resource_id, done.booking.resource_name) == (astrid, "Astrid Lindqvist")


async def shared_time(stack: Stack) -> datetime:
    """A time a week from now at which both Astrid and Jonas are free."""
    widget = stack.parts.widgets["studio"]
    service = await stack.parts.availability.service(widget, stack.portrait_id)
    times = await stack.parts.availability.times(widget, service, month=(stack.clock() + 7 * DAY).date())
    week_on = stack.clock() + 7 * DAY
    return next(slot.starts_at for slot in times.slots if len(slot.resource_ids) == 2 and slot.starts_at > week_on)


async def test_a_booking_does_not_block_its_own_move_by_half_an_hour(stack: Stack) -> None:
    """With one person, who has nothing else that day: what overlaps only the booking itself is offered, and works."""
    astrid = stack.ids.resources["Astrid Lindqvist"]
    starts_at = datetime(2026, 11, 26, 9, tzinfo=UTC)  # ten o'clock in Stockholm; her day begins at nine
    booking = await stack.confirmed(starts_at, resource_id=astrid)
    address = f"/manage/{stack.parts.links.manage_token(booking.id, booking.link_version)}/reschedule"
    page = await stack.client.get(f"{address}?resource={astrid}")
    shown = re.findall(r'name="start" value="2026-11-26T([^"]+):00Z"', page.text)
    assert {"08:30", "09:30", "08:00"} <= set(shown)
    assert "07:30" not in shown, "she does not work then"

    moved = await stack.move(booking, starts_at - timedelta(minutes=30), resource_id=astrid)
    assert moved.booking.starts_at == starts_at - timedelta(minutes=30)
    assert moved.booking.resource_id == astrid


async def test_what_another_booking_takes_up_is_not_offered_for_a_move(stack: Stack) -> None:
    astrid = stack.ids.resources["Astrid Lindqvist"]
    before = await stack.confirmed(datetime(2026, 11, 26, 12, tzinfo=UTC), resource_id=astrid)
    booking = await stack.confirmed(datetime(2026, 11, 26, 13, 30, tzinfo=UTC), resource_id=astrid)
    address = f"/manage/{stack.parts.links.manage_token(booking.id, booking.link_version)}/reschedule"
    page = await stack.client.get(f"{address}?resource={astrid}")
    shown = re.findall(r'name="start" value="2026-11-26T([^"]+):00Z"', page.text)
    assert "14:00" in shown
    assert "13:00" not in shown
    # Jonas is asked next where she is not free.
    moved = await stack.move(booking, before.ends_at)
    assert moved.booking.resource_id != astrid


async def test_a_free_booking_moves_without_money(stack: Stack) -> None:
    booking = await stack.confirmed(service="planning")
    done = await stack.move(booking, await stack.in_days(6, "planning"))
    assert done.move.state is MoveState.DONE
    assert taken(stack, done.booking)
    assert stack.stripe.state.sessions == {}


async def test_a_move_is_told_to_both_with_the_old_time(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.mail(ANNA)
    await stack.mail(OWNER)
    await stack.move(booking, await stack.in_days(6))
    [to_anna] = await stack.mail(ANNA)
    assert to_anna.startswith("Moved:")
    assert len(await stack.mail(OWNER)) == 1


async def test_a_move_that_meets_its_own_time_is_one_booking_not_two(stack: Stack) -> None:
    """Half an hour later with the same person: the two times overlap, and Hapio moves the one booking."""
    jonas = stack.ids.resources["Jonas Berg"]
    async with stack.hapio_api() as api:
        (await api.patch(f"/resources/{jonas}", json={"max_simultaneous_bookings": 2})).raise_for_status()
    await stack.restart()
    booking = await stack.confirmed(await stack.in_days(3, resource_id=jonas), resource_id=jonas)
    done = await stack.move(booking, booking.starts_at + 30 * MINUTE, resource_id=jonas)
    assert done.move.state is MoveState.DONE
    assert taken(stack, done.booking)


# -- cheaper -----------------------------------------------------------------------------------------------


async def test_to_a_cheaper_service_the_difference_comes_back_at_once(open_minded: Stack) -> None:
    stack = open_minded
    booking, later = await stack.confirmed(), await stack.in_days(6, "headshot")
    quote = await stack.parts.reschedule.quote(booking.id, starts_at=later, service_id=stack.headshot_id)
    assert quote.difference == -55000
    done = await stack.move(booking, later, service="headshot")
    assert done.move.state is MoveState.DONE
    assert done.booking.service_name == "Headshot express"
    assert done.booking.terms.price == Money(65000, "sek")
    assert done.booking.terms.tiers == booking.terms.tiers
    assert stack.money_kept() == 65000
    assert [(refund.amount.amount, refund.reason) for refund in await stack.refunds(booking)] == [
        (55000, EndReason.CHEAPER)
    ]
    assert taken(stack, done.booking)


async def test_from_paid_to_free_everything_comes_back(open_minded: Stack) -> None:
    stack = open_minded
    booking = await stack.confirmed()
    done = await stack.move(booking, await stack.in_days(6, "planning"), service="planning")
    assert done.booking.terms.free
    assert stack.money_kept() == 0
    await stack.cancel(booking)
    await stack.until_quiet()
    assert stack.money_kept() == 0
    assert len(stack.stripe.state.refunds) == 1


async def test_after_a_goodwill_refund_a_cheaper_time_refunds_no_more_than_is_left(
    open_minded: Stack,
) -> None:
    stack = open_minded
    booking, later = await stack.confirmed(), await stack.in_days(6, "headshot")
    await stack.parts.owner_refunds.give_back(booking.id, Money(100000, "sek"))
    quote = await stack.parts.reschedule.quote(booking.id, starts_at=later, service_id=stack.headshot_id)
    assert quote.difference == -20000
    await stack.mail(ANNA)
    await stack.move(booking, later, service="headshot")
    assert stack.money_kept() == 0
    await stack.parts.worker.tick()
    [told] = [message for message in stack.mailbox.messages if ANNA in message.recipients]
    assert "200.00" in (told.text or "")
    assert "550.00" not in (told.text or "")


# -- dearer ------------------------------------------------------------------------------------------------


async def dearer(stack: Stack) -> tuple[Booking, Rescheduled]:
    """A headshot for 650 on its way to a portrait for 1,200: the difference is asked for."""
    booking, later = await stack.confirmed(service="headshot"), await stack.in_days(6)
    return booking, await stack.move(booking, later, service="portrait")


async def test_to_a_dearer_service_the_time_is_held_until_the_difference_is_paid(open_minded: Stack) -> None:
    stack = open_minded
    booking, moving = await dearer(stack)
    assert moving.move.state is MoveState.HELD
    assert moving.booking == booking
    assert sorted(in_hapio(stack)) == sorted(
        [
            (booking.starts_at, booking.resource_id, False),
            (moving.move.starts_at, moving.move.resource_id, True),
        ]
    )
    assert stack.stripe.state.sessions[session_of(moving)]["amount_total"] == 55000
    moved = await stack.pay_difference(moving)
    assert (moved.starts_at, moved.service_name) == (moving.move.starts_at, "Portrait session")
    assert moved.terms.price == Money(120000, "sek")
    assert moved.payment_id == booking.payment_id
    assert taken(stack, moved)
    assert stack.money_kept() == 120000


async def test_from_free_to_paid_the_whole_price_is_asked_for(open_minded: Stack) -> None:
    stack = open_minded
    booking = await stack.confirmed(service="planning")
    moving = await stack.move(booking, await stack.in_days(6), service="portrait")
    assert moving.move.state is MoveState.HELD
    moved = await stack.pay_difference(moving)
    assert moved.service_name == "Portrait session"
    assert stack.money_kept() == 120000
    await stack.cancel(moved)
    await stack.until_quiet()
    assert stack.money_kept() == 0


@pytest.mark.parametrize("webhooks", [True, False])
async def test_walking_away_from_the_difference_changes_nothing_and_frees_the_time(
    tmp_path: Path, webhooks: bool
) -> None:
    async with open_stack(tmp_path, widget=ANY_SERVICE, webhooks=webhooks) as stack:
        booking, moving = await dearer(stack)
        await stack.until_quiet()
        assert await stack.now(booking) == booking
        assert taken(stack, booking)
        assert await stack.in_days(6) == moving.move.starts_at
        assert stack.money_kept() == 65000
        assert "move_expired" in await stack.history(booking)


async def test_without_webhooks_the_worker_sees_that_the_difference_was_paid(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget=ANY_SERVICE, webhooks=False) as stack:
        booking, moving = await dearer(stack)
        assert await stack.pay_difference(moving) == booking
        await stack.tick(after=2 * MINUTE)
        assert (await stack.now(booking)).starts_at == moving.move.starts_at


async def test_a_declined_card_leaves_the_time_held_and_a_second_card_pays(open_minded: Stack) -> None:
    stack = open_minded
    booking, moving = await dearer(stack)
    assert await stack.pay_difference(moving, card="decline") == booking
    assert (await stack.pay_difference(moving)).starts_at == moving.move.starts_at


async def test_a_difference_paid_too_late_goes_back_and_the_booking_stays(open_minded: Stack) -> None:
    stack = open_minded
    booking, moving = await dearer(stack)
    await stack.tick(after=40 * MINUTE)
    await stack.mail(ANNA)
    await stack.pay_late(session_of(moving))
    await stack.until_quiet()
    assert await stack.now(booking) == booking
    assert stack.money_kept() == 65000
    assert [(refund.amount.amount, refund.reason) for refund in await stack.refunds(booking)] == [
        (55000, EndReason.NOT_MOVED)
    ]
    assert len(await stack.mail(ANNA)) == 1


async def test_giving_up_the_move_frees_the_time_at_once(open_minded: Stack) -> None:
    stack = open_minded
    booking, moving = await dearer(stack)
    assert await stack.parts.reschedule.difference_page(booking.id) == moving.checkout_url
    assert await stack.parts.reschedule.give_up(booking.id) == booking
    assert taken(stack, booking)
    assert stack.stripe.state.sessions[session_of(moving)]["status"] == "expired"
    assert await stack.parts.reschedule.difference_page(booking.id) is None
    again = await stack.move(booking, moving.move.starts_at, service="portrait")
    assert (await stack.pay_difference(again)).starts_at == moving.move.starts_at


async def test_giving_up_what_is_paid_after_all_moves_the_booking(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget=ANY_SERVICE, webhooks=False) as stack:
        booking, moving = await dearer(stack)
        await stack.stripe.pay(session_of(moving))
        left = await stack.parts.reschedule.give_up(booking.id)
        assert left.starts_at == moving.move.starts_at
        assert stack.money_kept() == 120000


async def test_giving_up_where_there_is_no_move_does_nothing(stack: Stack) -> None:
    booking = await stack.confirmed()
    assert await stack.parts.reschedule.give_up(booking.id) == booking


async def test_canceling_while_the_difference_is_open_gives_both_times_back(open_minded: Stack) -> None:
    stack = open_minded
    booking, moving = await dearer(stack)
    canceled = await stack.cancel(booking)
    assert canceled.status is Status.CANCELED
    assert stack.hapio_bookings() == []
    assert stack.stripe.state.sessions[session_of(moving)]["status"] == "expired"
    await stack.until_quiet()
    assert stack.money_kept() == 0


async def test_canceling_what_is_paid_after_all_tells_that_it_was_moved(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget=ANY_SERVICE, webhooks=False) as stack:
        booking, moving = await dearer(stack)
        await stack.stripe.pay(session_of(moving))
        with pytest.raises(BookingConflict):
            await stack.parts.cancel.booking(
                booking.id, by=Actor.CUSTOMER, revision=booking.revision, shown_at=stack.clock()
            )
        assert (await stack.now(booking)).starts_at == moving.move.starts_at


async def test_while_the_difference_is_open_there_is_no_second_move(open_minded: Stack) -> None:
    stack = open_minded
    booking, _ = await dearer(stack)
    allowed = stack.parts.policy.of(await stack.parts.bookings.view(booking.id))
    assert (allowed.move_refusal, allowed.cancel_refusal) == (Refusal.UNDER_WAY, None)
    with pytest.raises(PolicyRefused):
        await stack.move(booking, await stack.in_days(8, "headshot"))


async def test_stripe_refusing_the_difference_changes_nothing(open_minded: Stack) -> None:
    stack = open_minded
    booking, later = await stack.confirmed(service="headshot"), await stack.in_days(6)
    stack.stripe.faults.append(StripeFault("error_before", path="checkout/sessions", times=20))
    with pytest.raises(StripeError):
        await stack.move(booking, later, service="portrait")
    stack.stripe.faults.clear()
    assert await stack.now(booking) == booking
    assert taken(stack, booking)
    await stack.until_quiet()
    assert stack.money_kept() == 65000


async def test_a_session_whose_answer_was_lost_was_given_to_nobody_and_is_not_paid(open_minded: Stack) -> None:
    stack = open_minded
    booking, later = await stack.confirmed(service="headshot"), await stack.in_days(6)
    stack.stripe.faults.append(StripeFault("drop_after", path="checkout/sessions", times=20))
    with pytest.raises(StripeError):
        await stack.move(booking, later, service="portrait")
    stack.stripe.faults.clear()
    await stack.until_quiet()
    assert taken(stack, booking)
    moving = await stack.move(booking, later, service="portrait")
    assert (await stack.pay_difference(moving)).starts_at == later
    assert stack.money_kept() == 120000


# -- Hapio says no, or nothing -----------------------------------------------------------------------------


async def test_a_time_that_another_program_took_is_refused_with_the_nearest(stack: Stack) -> None:
    booking, later = await stack.confirmed(), await stack.in_days(6)
    await stack.book_elsewhere(later)
    with pytest.raises(SlotTaken) as refused:
        await stack.move(booking, later)
    assert refused.value.nearest
    assert later not in refused.value.nearest
    assert await stack.now(booking) == booking
    assert (booking.starts_at, booking.resource_id, False) in in_hapio(stack)
    assert await stack.in_days(3, resource_id=booking.resource_id) != booking.starts_at


async def test_a_dearer_time_that_another_program_took_is_refused_before_anything_is_paid(open_minded: Stack) -> None:
    stack = open_minded
    booking, later = await stack.confirmed(service="headshot"), await stack.in_days(6)
    await stack.book_elsewhere(later)
    with pytest.raises(SlotTaken):
        await stack.move(booking, later, service="portrait")
    assert await stack.now(booking) == booking
    assert len(stack.stripe.state.sessions) == 1


async def test_a_time_stolen_while_the_difference_was_paid_costs_the_customer_nothing(open_minded: Stack) -> None:
    stack = open_minded
    booking, moving = await dearer(stack)
    lock = next(one for one in stack.hapio_bookings() if one.is_temporary)
    async with stack.hapio_api() as api:
        await api.delete(f"/bookings/{lock.id}")
        stolen = {
            "service_id": lock.service_id,
            "location_id": lock.location_id,
            "resource_id": lock.resource_id,
            "starts_at": lock.starts_at.isoformat(),
            "ends_at": lock.ends_at.isoformat(),
        }
        (await api.post("/bookings", json=stolen)).raise_for_status()
    await stack.mail(ANNA)
    assert await stack.pay_difference(moving) == booking
    await stack.until_quiet()
    assert stack.money_kept() == 65000
    assert (booking.starts_at, booking.resource_id, False) in in_hapio(stack)
    assert "move_refused" in await stack.history(booking)
    [told] = await stack.mail(ANNA)
    assert told.startswith("Not moved:")


async def test_hapio_failing_in_the_middle_keeps_both_times_until_it_answers(stack: Stack) -> None:
    booking, later = await stack.confirmed(), await stack.in_days(6)
    stack.hapio.faults.append(Fault("drop_before", times=20, method="PATCH"))
    moving = await stack.move(booking, later)
    assert moving.move.state is MoveState.MOVING
    assert moving.booking == booking
    for starts_at, person in ((booking.starts_at, booking.resource_id), (later, moving.move.resource_id)):
        with pytest.raises(SlotTaken):
            await stack.hold(starts_at, resource_id=person)
    allowed = stack.parts.policy.of(await stack.parts.bookings.view(booking.id))
    assert (allowed.cancel_refusal, allowed.move_refusal) == (None, Refusal.UNDER_WAY)
    stack.hapio.faults.clear()
    await stack.until_quiet()
    moved = await stack.now(booking)
    assert moved.starts_at == later
    assert taken(stack, moved)


async def test_hapio_failing_after_the_difference_was_paid_is_waited_for(open_minded: Stack) -> None:
    stack = open_minded
    booking, moving = await dearer(stack)
    stack.hapio.faults.append(Fault("drop_before", times=20))
    assert await stack.pay_difference(moving) == booking
    assert stack.money_kept() == 120000
    stack.hapio.faults.clear()
    await stack.until_quiet()
    moved = await stack.now(booking)
    assert moved.starts_at == moving.move.starts_at
    assert taken(stack, moved)
    assert stack.money_kept() == 120000


@pytest.mark.parametrize("times", [1, 3, 6])
async def test_a_move_whose_answer_was_lost_is_made_once(stack: Stack, times: int) -> None:
    booking, later = await stack.confirmed(), await stack.in_days(6)
    stack.hapio.faults.append(Fault("drop_after", times=times, method="PATCH"))
    await stack.move(booking, later)
    await stack.until_quiet()
    moved = await stack.now(booking)
    assert (moved.starts_at, moved.moves) == (later, 1)
    assert taken(stack, moved)
    assert (await stack.history(booking)).count("moved") == 1


async def test_a_lock_on_the_new_time_that_nobody_heard_of_is_released(open_minded: Stack) -> None:
    stack = open_minded
    booking, later = await stack.confirmed(service="headshot"), await stack.in_days(6)
    stack.hapio.faults += [Fault("drop_after", method="POST"), Fault("drop_before", times=20)]
    with pytest.raises(SchedulerError):
        await stack.move(booking, later, service="portrait")
    assert len(stack.hapio_bookings()) == 2
    stack.hapio.faults.clear()
    await stack.until_quiet()
    assert await stack.now(booking) == booking
    assert taken(stack, booking)
    assert await stack.in_days(6) == later


async def test_the_old_time_that_could_not_be_released_is_released_later(open_minded: Stack) -> None:
    stack = open_minded
    booking, moving = await dearer(stack)
    stack.hapio.faults.append(Fault("drop_before", times=20, method="DELETE"))
    moved = await stack.pay_difference(moving)
    assert moved.starts_at == moving.move.starts_at
    with pytest.raises(SlotTaken):
        await stack.hold(booking.starts_at, service="headshot", resource_id=booking.resource_id)
    stack.hapio.faults.clear()
    await stack.until_quiet()
    assert taken(stack, moved)


async def test_a_booking_that_was_canceled_in_hapio_itself_is_not_moved(stack: Stack) -> None:
    booking, later = await stack.confirmed(), await stack.in_days(6)
    async with stack.hapio_api() as api:
        (await api.patch(f"/bookings/{booking.reservation.reference}", json={"is_canceled": True})).raise_for_status()
    with pytest.raises(SlotTaken):
        await stack.move(booking, later)
    assert await stack.now(booking) == booking


# -- nobody else gets either time --------------------------------------------------------------------------


async def test_while_the_difference_is_paid_nobody_else_can_have_either_time(open_minded: Stack) -> None:
    stack = open_minded
    booking, moving = await dearer(stack)
    for starts_at, service, person in (
        (booking.starts_at, "headshot", booking.resource_id),
        (moving.move.starts_at, "portrait", moving.move.resource_id),
    ):
        with pytest.raises(SlotTaken):
            await stack.hold(starts_at, service=service, resource_id=person)


@asynccontextmanager
async def moving_in_another_process(
    stack: Stack, folder: Path, booking: Booking, starts_at: datetime, refused: type[Exception] | None = None
) -> AsyncIterator[str]:
    """Another process moves the booking, to the person whose id this is; its call is on the way to Hapio, and lands
    when the block is over."""
    wire = SlowWire(stack)
    async with another_process(stack, folder, stack.settings.database_url, wire) as other:
        quote = await other.reschedule.quote(booking.id, starts_at=starts_at)

        async def move() -> None:
            with pytest.raises(refused) if refused else nullcontext():
                await other.reschedule.booking(booking.id, starts_at=starts_at, by=Actor.CUSTOMER)

        with anyio.fail_after(30):
            async with anyio.create_task_group() as at_once:
                at_once.start_soon(move)
                await wire.sent.wait()
                yield quote.resource.id
                wire.go.set()


async def test_a_time_that_another_process_is_moving_to_is_not_held_although_hapio_still_has_it(
    stack: Stack, tmp_path: Path
) -> None:
    """Until the move reaches Hapio, nothing but our own guard knows that the time is spoken for."""
    booking, later = await stack.confirmed(), await stack.in_days(6)
    async with moving_in_another_process(stack, tmp_path, booking, later) as person:
        with pytest.raises(SlotTaken):
            await stack.hold(later, resource_id=person)
    assert taken(stack, await stack.now(booking))


async def test_a_booking_canceled_while_another_process_moves_it_leaves_both_times_free(
    stack: Stack, tmp_path: Path
) -> None:
    booking, later = await stack.confirmed(), await stack.in_days(6)
    async with moving_in_another_process(stack, tmp_path, booking, later, refused=BookingConflict):
        canceled = await stack.cancel(booking)
    await stack.until_quiet()
    assert canceled.status is Status.CANCELED
    assert stack.money_kept() == 0
    assert [one for one in stack.hapio_bookings() if not one.is_canceled] == []
    for starts_at in (booking.starts_at, later):
        assert await stack.hold(starts_at, resource_id=booking.resource_id)


async def test_a_time_that_a_visitor_holds_is_not_moved_to_by_a_process_that_shows_it_as_free(
    stack: Stack, tmp_path: Path
) -> None:
    booking, later = await stack.confirmed(), await stack.in_days(6)
    async with another_process(stack, tmp_path, stack.settings.database_url) as other:
        quote = await other.reschedule.quote(booking.id, starts_at=later)
        await stack.hold(later, resource_id=quote.resource.id)
        patches = sum(call.method == "PATCH" for call in stack.hapio.calls)
        with pytest.raises(SlotTaken):
            await other.reschedule.booking(
                booking.id, starts_at=later, resource_id=quote.resource.id, by=Actor.CUSTOMER
            )
    assert sum(call.method == "PATCH" for call in stack.hapio.calls) == patches
    assert await stack.now(booking) == booking


async def test_the_last_word_between_a_move_and_a_cancellation_is_the_databases(stack: Stack) -> None:
    """A cancellation that was decided on what was read before the move began, or before it was done, is not made."""
    booking, later = await stack.confirmed(), await stack.in_days(6)
    stack.hapio.faults.append(Fault("drop_before", times=20, method="PATCH"))
    await stack.move(booking, later)
    assert not await called_off(stack, booking)
    stack.hapio.faults.clear()
    await stack.until_quiet()
    assert not await called_off(stack, booking)
    assert await called_off(stack, await stack.now(booking))


async def called_off(stack: Stack, as_read: Booking) -> bool:
    """Whether the database lets a cancellation pass that was decided on this reading."""
    called_off = Change([Status.CONFIRMED], Status.CANCELED, HistoryWord.BY_CUSTOMER, unchanged_since=as_read.revision)
    won = await stack.parts.store.claim(as_read.id, called_off)
    return won is not None


async def test_two_tabs_move_to_two_times_and_one_is_told(stack: Stack) -> None:
    booking, outcomes = await stack.confirmed(), []
    times = [await stack.in_days(6), await stack.in_days(8)]

    async def move(starts_at: datetime) -> None:
        try:
            await stack.parts.reschedule.booking(
                booking.id, starts_at=starts_at, by=Actor.CUSTOMER, revision=booking.revision
            )
            outcomes.append("moved")
        except BookingConflict:
            outcomes.append("told")

    async with anyio.create_task_group() as tabs:
        for starts_at in times:
            tabs.start_soon(move, starts_at)
    assert sorted(outcomes) == ["moved", "told"]
    assert taken(stack, await stack.now(booking))


# -- limits ------------------------------------------------------------------------------------------------


async def test_a_booking_is_moved_until_a_day_before_it_and_not_a_second_later(stack: Stack) -> None:
    booking, later = await stack.confirmed(), await stack.in_days(6)
    stack.clock.set(booking.starts_at - 24 * HOUR + SECOND)
    allowed = stack.parts.policy.of(await stack.parts.bookings.view(booking.id))
    assert (allowed.move_refusal, allowed.move_until) == (Refusal.TOO_LATE, booking.starts_at - 24 * HOUR)
    with pytest.raises(PolicyRefused) as refused:
        await stack.move(booking, later)
    assert refused.value.refusal == Refusal.TOO_LATE
    stack.clock.set(booking.starts_at - 24 * HOUR)
    assert (await stack.move(booking, later)).move.state is MoveState.DONE


async def test_a_booking_is_moved_three_times_and_no_more(stack: Stack) -> None:
    booking = await stack.confirmed()
    for day in (6, 7, 8):
        await stack.move(booking, await stack.in_days(day))
    with pytest.raises(PolicyRefused) as refused:
        await stack.move(booking, await stack.in_days(9))
    assert refused.value.refusal == Refusal.TOO_OFTEN
    owners = await stack.move(booking, await stack.in_days(9), by=Actor.OWNER)
    assert owners.move.state is MoveState.DONE


async def test_a_move_that_came_to_nothing_is_not_counted(open_minded: Stack) -> None:
    stack = open_minded
    booking, _ = await dearer(stack)
    await stack.parts.reschedule.give_up(booking.id)
    view = await stack.parts.bookings.view(booking.id)
    assert stack.parts.policy.of(view).moves_left == 3


async def test_where_moving_is_not_offered_it_is_refused(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="reschedule = { at_most = 0 }") as stack:
        booking = await stack.confirmed()
        with pytest.raises(PolicyRefused) as refused:
            await stack.move(booking, await stack.in_days(6))
        assert refused.value.refusal == Refusal.TOO_OFTEN


async def test_limits_that_the_owner_changes_later_do_not_change_what_was_bought(stack: Stack) -> None:
    booking = await stack.confirmed()
    studio = stack.parts.widgets["studio"]
    stricter = studio.reschedule.model_copy(update={"at_most": 0, "until_hours": 9999})
    stack.parts.widgets["studio"] = studio.model_copy(  # type: ignore[index]  # a restart with another file
        update={"reschedule": stricter}
    )
    done = await stack.move(booking, await stack.in_days(6))
    assert done.move.state is MoveState.DONE


async def test_another_service_only_where_the_owner_allows_it(stack: Stack) -> None:
    booking, later = await stack.confirmed(), await stack.in_days(6, "headshot")
    assert [service.id for service in await stack.parts.reschedule.services(booking, Actor.CUSTOMER)] == [
        stack.portrait_id
    ]
    with pytest.raises(InvalidRequest):
        await stack.move(booking, later, service="headshot")
    owners = await stack.move(booking, later, service="headshot", by=Actor.OWNER)
    assert owners.booking.service_id == stack.headshot_id


async def test_where_another_service_is_allowed_the_own_comes_first(open_minded: Stack) -> None:
    stack = open_minded
    booking = await stack.confirmed(service="headshot")
    options = [service.id for service in await stack.parts.reschedule.services(booking, Actor.CUSTOMER)]
    assert options[0] == stack.headshot_id
    assert set(options) == {stack.headshot_id, stack.portrait_id, stack.planning_id}


async def test_another_person_only_where_the_owner_allows_it(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="reschedule = { other_resource = false }") as stack:
        astrid, jonas = (stack.ids.resources[name] for name in ("Astrid Lindqvist", "Jonas Berg"))
        booking = await stack.confirmed(await stack.in_days(3, resource_id=astrid), resource_id=astrid)
        both = await shared_time(stack)
        await stack.hold(both, resource_id=astrid)
        with pytest.raises(SlotTaken):
            await stack.move(booking, both)
        with pytest.raises(SlotTaken):
            await stack.move(booking, both, resource_id=jonas)
        owners = await stack.move(booking, both, resource_id=jonas, by=Actor.OWNER)
        assert owners.booking.resource_id == jonas


async def test_a_time_that_has_passed_or_never_was_is_not_moved_to(stack: Stack) -> None:
    booking = await stack.confirmed()
    for nowhere in (stack.clock() - DAY, booking.starts_at, stack.clock() + 400 * DAY):
        with pytest.raises(SlotTaken):
            await stack.move(booking, nowhere)
    with pytest.raises(NotFound):
        await stack.parts.reschedule.booking(
            booking.id, starts_at=booking.starts_at, service_id="nothing", by=Actor.CUSTOMER
        )


async def test_a_canceled_booking_is_not_moved(stack: Stack) -> None:
    booking, later = await stack.confirmed(), await stack.in_days(6)
    await stack.cancel(booking)
    with pytest.raises(PolicyRefused) as refused:
        await stack.move(booking, later)
    assert refused.value.refusal == Refusal.NOT_CONFIRMED


# -- what comes later --------------------------------------------------------------------------------------


async def test_a_moved_booking_is_canceled_by_its_new_time_and_its_new_price(open_minded: Stack) -> None:
    stack = open_minded
    booking = await stack.confirmed()
    moved = (await stack.move(booking, await stack.in_days(6, "headshot"), service="headshot")).booking
    stack.clock.set(moved.starts_at - 5 * HOUR)
    await stack.cancel(moved)
    await stack.until_quiet()
    assert stack.money_kept() == 32500


async def test_refunds_draw_on_the_newest_payment_first_and_never_on_more_than_it_brought(open_minded: Stack) -> None:
    stack = open_minded
    booking, moving = await dearer(stack)
    moved = await stack.pay_difference(moving)
    first, second = [payment.id for payment in (await stack.parts.bookings.view(booking.id)).payments]
    stack.clock.set(moved.starts_at - 5 * HOUR)
    await stack.cancel(moved)
    await stack.until_quiet()
    drawn = [(refund.payment_id, refund.amount.amount) for refund in await stack.refunds(booking)]
    assert drawn == [(second, 55000), (first, 5000)]
    assert stack.money_kept() == 60000


async def test_a_partial_refund_that_one_payment_covers_is_one_refund(open_minded: Stack) -> None:
    stack = open_minded
    booking, moving = await dearer(stack)
    await stack.pay_difference(moving)
    await stack.parts.owner_refunds.give_back(booking.id, Money(50000, "sek"))
    await stack.cancel(booking, by=Actor.OWNER)
    await stack.until_quiet()
    assert sorted(refund["amount"] for refund in stack.stripe.state.refunds.values()) == [5000, 50000, 65000]
    assert stack.money_kept() == 0


async def test_the_cancellation_of_a_moved_booking_can_be_undone(open_minded: Stack) -> None:
    stack = open_minded
    _, moving = await dearer(stack)
    moved = await stack.pay_difference(moving)
    await stack.cancel(moved)
    back = await stack.parts.cancel.undo(moved.id)
    await stack.until_quiet()
    assert (back.status, back.starts_at) == (Status.CONFIRMED, moved.starts_at)
    assert taken(stack, back)
    assert stack.money_kept() == 120000
