"""The database is put back as it was before, and what was chosen, moved, undone or cancelled since then stands."""

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from app.domain.booking import Actor, Booking, Status
from app.domain.money import Money
from app.errors import BookingConflict, SchedulerError
from app.operations.alerts import AlertKind
from sandbox.hapio import Fault
from sandbox.stripe import Fault as StripeFault
from tests.support.backups import OWNER, copied, money_alarms, put_back
from tests.support.stack import Crash, Stack, open_stack, session_of

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PRICE = 120_000
ALL_BACK, HALF_BACK = (f"[{{ at_least_hours = 1, refund_percent = {part} }}]" for part in (100, 50))
NOTHING_BACK = "[{ at_least_hours = 300, refund_percent = 100 }]"
OTHER_SERVICE = "reschedule = { other_service = true }"
BY_EITHER = pytest.mark.parametrize("by", [Actor.CUSTOMER, Actor.OWNER])
ALL = pytest.mark.parametrize("scheduler", ["hapio", "calcom", "calendly"])


async def dies_at(stack: Stack, effect: int) -> None:
    """The process dies at so many effects from now, in days of its worker's steps, and is started again."""
    stack.doom.at = stack.doom.effects + effect
    with suppress(Crash):
        await some_days(stack)
    assert stack.doom.effects >= stack.doom.at, "it did die"
    stack.doom.at = 0
    await stack.restart()


async def some_days(stack: Stack) -> None:
    for _ in range(40):
        await stack.tick(after=HOUR)


def booked(stack: Stack) -> list[str]:
    """The ids of what stands at the scheduler."""
    return [one.reference for one in stack.side.booked()]


async def offered_other_times(stack: Stack) -> Booking:
    """A customer whose payment came when the time was gone."""
    booking = await stack.hold(await stack.in_days(6))
    session = await stack.at_stripe(booking)
    await stack.tick(after=40 * MINUTE)
    await stack.side.stranger_takes(booking.starts_at)
    await stack.take_everyone(booking.starts_at)
    await stack.pay_late(session)
    await stack.tick(times=2)
    assert await stack.status(booking) is Status.OFFERED
    return booking


async def chosen_since(stack: Stack, folder: Path) -> tuple[Booking, list[str]]:
    """The copy knows of the choice, and not what was chosen: that, and the ids of all the times."""
    booking = await offered_other_times(stack)
    copy = copied(stack, folder)
    offered = [one.id for one in await stack.parts.store.offered(booking.id)]
    chosen = await stack.parts.late_money.choose(booking.id, offered[0])
    assert chosen.status is Status.CONFIRMED
    await put_back(stack, copy)
    return chosen, offered


@ALL
async def test_a_time_that_was_chosen_since_stays_booked_and_paid(tmp_path: Path, scheduler: str) -> None:
    async with open_stack(tmp_path, widget="choose_hours = 24", scheduler=scheduler) as stack:
        chosen, _ = await chosen_since(stack, tmp_path)
        await some_days(stack)
        now = await stack.now(chosen)
        assert (now.status, now.starts_at, now.reservation.reference) == (
            Status.CONFIRMED,
            chosen.starts_at,
            chosen.reservation.reference,
        )
        assert chosen.reservation.reference in booked(stack)
        assert stack.money_kept() == PRICE


async def test_a_customer_who_chooses_again_is_shown_what_they_have(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="choose_hours = 24") as stack:
        chosen, offered = await chosen_since(stack, tmp_path)
        again = await stack.parts.late_money.choose(chosen.id, offered[0])
        assert (again.status, again.starts_at) == (Status.CONFIRMED, chosen.starts_at)


async def test_who_cancels_what_was_chosen_since_is_shown_the_booking_first(tmp_path: Path) -> None:
    """The page showed a full refund, as while times are offered; a booked time has its terms."""
    async with open_stack(tmp_path, widget="choose_hours = 24") as stack:
        chosen, _ = await chosen_since(stack, tmp_path)
        shown = (await stack.now(chosen)).revision
        with pytest.raises(BookingConflict):
            await stack.parts.cancel.booking(chosen.id, by=Actor.CUSTOMER, revision=shown)
        assert (await stack.status(chosen), stack.money_kept()) == (Status.CONFIRMED, PRICE)


async def hapio_refuses_for_good(stack: Stack) -> None:
    stack.hapio.faults.append(Fault("error_before", times=None))


async def test_the_owner_hears_of_an_offer_that_hapio_does_not_let_end_and_the_booking_stands(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="choose_hours = 24", settings={"staff_emails": (OWNER,)}) as stack:
        chosen, _ = await chosen_since(stack, tmp_path)
        await hapio_refuses_for_good(stack)
        await some_days(stack)
        assert (await stack.status(chosen), stack.money_kept()) == (Status.OFFERED, PRICE)
        told = [subject.partition(":")[0] for subject in await stack.mail(OWNER)]
        assert told == ["Needs your attention"]
        assert [one.kind for one in await stack.parts.alerts.all() if one.kind is AlertKind.NOT_CONFIRMED]
        stack.hapio.faults.clear()
        await some_days(stack)
        assert (await stack.status(chosen), stack.money_kept()) == (Status.CONFIRMED, PRICE)


async def test_the_owner_can_end_it_while_hapio_refuses_and_all_goes_back(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="choose_hours = 24") as stack:
        chosen, offered = await chosen_since(stack, tmp_path)
        await hapio_refuses_for_good(stack)
        with pytest.raises(SchedulerError):
            await stack.parts.late_money.choose(chosen.id, offered[0])
        with pytest.raises(SchedulerError):
            await stack.cancel(chosen)
        await stack.cancel(chosen, by=Actor.OWNER)
        await stack.tick()
        assert (await stack.status(chosen), stack.money_kept()) == (Status.CANCELED, 0)
        stack.hapio.faults.clear()
        await some_days(stack)
        assert chosen.reservation.reference not in booked(stack)


async def test_once_all_offered_times_have_begun_hapio_is_not_waited_for(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="choose_hours = 24") as stack:
        chosen, _ = await chosen_since(stack, tmp_path)
        await hapio_refuses_for_good(stack)
        for _ in range(10):
            await stack.tick(after=24 * HOUR)
        assert (await stack.status(chosen), stack.money_kept()) == (Status.CANCELED, 0)


@pytest.mark.parametrize("effect", [1, 2])
async def test_a_process_that_dies_while_it_takes_up_the_choice_ends_well(tmp_path: Path, effect: int) -> None:
    """At Hapio it confirms what is final already, and mails that."""
    async with open_stack(tmp_path, widget="choose_hours = 24") as stack:
        chosen, _ = await chosen_since(stack, tmp_path)
        stack.clock.advance(25 * HOUR)
        stack.doom.at = stack.doom.effects + effect
        with pytest.raises(Crash):
            await some_days(stack)
        stack.doom.at = 0
        await stack.restart()
        await some_days(stack)
        assert (await stack.status(chosen), stack.money_kept()) == (Status.CONFIRMED, PRICE)
        assert chosen.reservation.reference in booked(stack)


async def paid_and_moved_since(stack: Stack, folder: Path) -> tuple[Booking, datetime]:
    """The copy, which is put back, knows the payment page, so that nothing need be found at Stripe; and the new
    time."""
    booking = await stack.hold(await stack.in_days(6))
    session = await stack.at_stripe(booking)
    await stack.tick()
    copy = copied(stack, folder)
    await stack.stripe.pay(session)
    await stack.tick(times=2)
    later = await stack.in_days(8)
    await stack.move(booking, later)
    await stack.tick(times=2)
    await put_back(stack, copy)
    return booking, later


@ALL
async def test_what_was_paid_and_moved_since_by_who_was_at_stripe_then_is_booked_once(
    tmp_path: Path, scheduler: str
) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        booking, later = await paid_and_moved_since(stack, tmp_path)
        await some_days(stack)
        now = await stack.now(booking)
        assert (now.status, now.starts_at, stack.money_kept()) == (Status.CONFIRMED, later, PRICE)
        assert booked(stack) == [now.reservation.reference]


@pytest.mark.parametrize("effect", [1, 2, 3, 4])
@pytest.mark.parametrize("scheduler", ["calcom", "calendly"])
async def test_a_process_that_dies_while_it_takes_that_in_books_it_once(
    tmp_path: Path, scheduler: str, effect: int
) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        booking, later = await paid_and_moved_since(stack, tmp_path)
        await dies_at(stack, effect)
        await some_days(stack)
        now = await stack.now(booking)
        assert (now.status, now.starts_at, stack.money_kept()) == (Status.CONFIRMED, later, PRICE)
        assert booked(stack) == [now.reservation.reference]


async def test_while_the_calendar_does_not_say_where_it_is_nothing_is_booked(tmp_path: Path) -> None:
    async with open_stack(tmp_path, scheduler="calcom", settings={"staff_emails": (OWNER,)}) as stack:
        booking, later = await paid_and_moved_since(stack, tmp_path)
        standing = booked(stack)
        stack.side.faults.append(Fault("error_before", times=None))
        await some_days(stack)
        assert (await stack.status(booking), booked(stack)) == (Status.PAID, standing)
        assert "Needs your attention" in [subject.partition(":")[0] for subject in await stack.mail(OWNER)]
        stack.side.faults.clear()
        await some_days(stack)
        now = await stack.now(booking)
        assert (now.status, now.starts_at, booked(stack)) == (Status.CONFIRMED, later, standing)


async def paid_too_late_since(stack: Stack, folder: Path, *, days: int) -> tuple[Booking, Path]:
    """A booking whose late payment has bought its time back, and a copy that knows it as expired."""
    booking = await stack.hold(await stack.in_days(days))
    session = await stack.at_stripe(booking)
    await stack.tick(after=40 * MINUTE, times=2)
    assert await stack.status(booking) is Status.EXPIRED
    copy = copied(stack, folder)
    await stack.pay_late(session)
    await stack.tick(times=2)
    assert await stack.status(booking) is Status.CONFIRMED
    return booking, copy


@ALL
async def test_a_time_that_late_money_has_bought_since_is_taken_here_too(tmp_path: Path, scheduler: str) -> None:
    """The copy knows it as expired, so that its time would be free in our own rows."""
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        booking, copy = await paid_too_late_since(stack, tmp_path, days=6)
        await put_back(stack, copy)
        await some_days(stack)
        now = await stack.now(booking)
        assert (now.status, now.reservation.occupies) == (Status.CONFIRMED, True)
        assert (booked(stack), stack.money_kept()) == ([now.reservation.reference], PRICE)


@ALL
async def test_an_offer_that_nobody_has_chosen_from_ends_as_it_should(tmp_path: Path, scheduler: str) -> None:
    async with open_stack(tmp_path, widget="choose_hours = 24", scheduler=scheduler) as stack:
        booking = await offered_other_times(stack)
        await put_back(stack, copied(stack, tmp_path))
        await some_days(stack)
        assert (await stack.status(booking), stack.money_kept()) == (Status.CANCELED, 0)


@ALL
async def test_what_the_terms_kept_is_kept(tmp_path: Path, scheduler: str) -> None:
    """It was cancelled at half its price since the copy."""
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        booking = await stack.confirmed(await stack.in_days(4, "headshot"), service="headshot")
        copy = copied(stack, tmp_path)
        stack.clock.set(booking.starts_at - 10 * HOUR)
        await stack.cancel(booking)
        await stack.tick(after=10 * MINUTE, times=2)
        assert stack.money_kept() == 32_500
        await put_back(stack, copy)
        for _ in range(8):
            await stack.tick(after=HOUR)
        assert (await stack.status(booking), stack.money_kept()) == (Status.CANCELED, 32_500)
        assert stack.mailbox.messages == []


@ALL
async def test_what_the_terms_kept_of_a_time_that_was_chosen_since_is_kept(tmp_path: Path, scheduler: str) -> None:
    """The copy knows only that times were offered."""
    async with open_stack(tmp_path, widget="choose_hours = 24", scheduler=scheduler) as stack:
        booking = await offered_other_times(stack)
        copy = copied(stack, tmp_path)
        offered = [one.id for one in await stack.parts.store.offered(booking.id)]
        chosen = await stack.parts.late_money.choose(booking.id, offered[0])
        stack.clock.set(chosen.starts_at - 10 * HOUR)
        await stack.cancel(chosen)
        await stack.tick(after=10 * MINUTE, times=2)
        kept = stack.money_kept()
        assert 0 < kept < PRICE
        standing = booked(stack)
        await put_back(stack, copy)
        await some_days(stack)
        assert (await stack.status(booking), stack.money_kept()) == (Status.CANCELED, kept)
        assert (booked(stack), await money_alarms(stack)) == (standing, [])


async def test_a_goodwill_refund_since_the_copy_is_no_cancellation(tmp_path: Path) -> None:
    """The owner cancels in Hapio after it: everything that is left goes back."""
    async with open_stack(tmp_path) as stack:
        booking = await stack.confirmed(await stack.in_days(10))
        copy = copied(stack, tmp_path)
        await stack.parts.owner_refunds.give_back(booking.id, Money(10_000, "sek"))
        await stack.until_quiet()
        assert stack.money_kept() == PRICE - 10_000
        await put_back(stack, copy)
        await stack.side.owner_cancels(booking.reservation.reference or "")
        for _ in range(30):
            await stack.tick(after=HOUR)
        assert (await stack.status(booking), stack.money_kept()) == (Status.CANCELED, 0)


@ALL
@pytest.mark.parametrize("shared", [False, True], ids=["one process", "of several processes"])
async def test_what_was_cancelled_since_is_known_at_once_although_the_scheduler_was_asked_just_before_the_copy(
    tmp_path: Path, scheduler: str, shared: bool
) -> None:
    """At no refund, so that Stripe knows nothing of it; and the visit may begin before it is time to ask again."""
    async with open_stack(tmp_path, scheduler=scheduler, cancellation=NOTHING_BACK) as stack:
        stack.shared = shared
        await stack.restart()
        booking = await stack.confirmed(await stack.in_days(5, "headshot"), service="headshot")
        await stack.tick()
        copy = copied(stack, tmp_path)
        await stack.cancel(booking)
        await stack.tick(after=3 * MINUTE)
        await put_back(stack, copy)
        await stack.tick()
        assert await stack.status(booking) is Status.CANCELED


# The copy does not know the move whose difference is being paid


async def difference_since(stack: Stack, folder: Path, first: str) -> tuple[Booking, str]:
    """A hold that was booked since the copy, and the page on which its customer pays for a dearer service. Another
    hold is over when the copy is put back, so that Stripe's open pages are read."""
    await stack.hold(await stack.in_days(4), visitor=stack.visitor("bert"))
    booking = await stack.hold(await stack.in_days(6, first), service=first)
    copy = copied(stack, folder)
    await (stack.paid(booking) if booking.terms.price.amount else stack.parts.checkout.start(booking.id))
    await stack.tick()
    stack.clock.advance(20 * MINUTE)
    moving = await stack.move(booking, await stack.in_days(9), service="portrait")
    await put_back(stack, copy)
    await stack.tick(times=2)
    return await stack.now(booking), session_of(moving)


@ALL
@pytest.mark.parametrize("first", ["planning", "headshot"])
async def test_the_page_of_a_move_that_nobody_knows_any_more_is_closed(
    tmp_path: Path, scheduler: str, first: str
) -> None:
    async with open_stack(tmp_path, widget=OTHER_SERVICE, scheduler=scheduler) as stack:
        booking, session = await difference_since(stack, tmp_path, first)
        kept = stack.money_kept()
        assert stack.stripe.state.sessions[session]["status"] == "expired"
        await some_hours(stack)
        now = await stack.now(booking)
        assert (now.status, now.starts_at, stack.money_kept()) == (Status.CONFIRMED, booking.starts_at, kept)
        assert kept == now.terms.price.amount


async def test_what_is_paid_on_such_a_page_that_stripe_does_not_close_goes_back(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget=OTHER_SERVICE) as stack:
        stack.stripe.faults.append(StripeFault("refuse", path="/expire$", status=400, times=None))
        booking, session = await difference_since(stack, tmp_path, "planning")
        await stack.stripe.pay(session)
        await some_hours(stack)
        now = await stack.now(booking)
        assert (now.status, now.starts_at, stack.money_kept()) == (Status.CONFIRMED, booking.starts_at, 0)


# The copy knows a cancellation that could still be undone


async def undone_since(stack: Stack, folder: Path) -> tuple[Booking, Path]:
    """A cancellation of which the copy has the last word; and its customer undid it."""
    booking = await stack.confirmed(await stack.in_days(5, "headshot"), service="headshot")
    await stack.tick()
    await stack.cancel(booking)
    await stack.tick()
    copy = copied(stack, folder)
    await stack.parts.cancel.undo(booking.id)
    await stack.tick(after=3 * MINUTE)
    return await stack.now(booking), copy


async def some_hours(stack: Stack) -> None:
    for minutes in (0, *[1] * 10, *[5] * 38):
        await stack.tick(after=minutes * MINUTE)


@ALL
@pytest.mark.parametrize("terms", [ALL_BACK, HALF_BACK, NOTHING_BACK], ids=["all", "half", "nothing"])
async def test_what_was_undone_since_stays_booked_and_paid(tmp_path: Path, scheduler: str, terms: str) -> None:
    async with open_stack(tmp_path, scheduler=scheduler, cancellation=terms) as stack:
        undone, copy = await undone_since(stack, tmp_path)
        standing = booked(stack)
        await put_back(stack, copy)
        assert await stack.status(undone) is Status.CANCELED
        await some_hours(stack)
        now = await stack.now(undone)
        assert (now.status, now.starts_at, stack.money_kept()) == (Status.CONFIRMED, undone.starts_at, 65_000)
        assert booked(stack) == standing == [now.reservation.reference]
        assert [subject.partition(":")[0] for subject in await stack.mail("anna@customer.example")][
            -1
        ] == "Booked again"


@ALL
async def test_what_was_undone_and_moved_since_is_where_it_was_moved_to(tmp_path: Path, scheduler: str) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        undone, copy = await undone_since(stack, tmp_path)
        later = await stack.in_days(8, "headshot")
        await stack.move(undone, later)
        await stack.tick()
        standing = booked(stack)
        await put_back(stack, copy)
        await some_hours(stack)
        now = await stack.now(undone)
        assert (now.status, now.starts_at, stack.money_kept()) == (Status.CONFIRMED, later, 65_000)
        assert booked(stack) == standing == [now.reservation.reference]


@ALL
async def test_what_was_undone_since_and_cancelled_again_gives_what_the_second_cancellation_gave(
    tmp_path: Path, scheduler: str
) -> None:
    async with open_stack(tmp_path, scheduler=scheduler, cancellation=HALF_BACK) as stack:
        undone, copy = await undone_since(stack, tmp_path)
        await stack.cancel(undone)
        await stack.tick(after=10 * MINUTE, times=2)
        assert (stack.money_kept(), booked(stack)) == (32_500, [])
        await put_back(stack, copy)
        await some_hours(stack)
        assert (await stack.status(undone), stack.money_kept()) == (Status.CANCELED, 32_500)
        assert (booked(stack), await money_alarms(stack)) == ([], [])


@ALL
async def test_the_refund_of_a_cancellation_that_was_not_undone_goes_out_soon_after_a_restart(
    tmp_path: Path, scheduler: str
) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        booking = await stack.confirmed(await stack.in_days(5, "headshot"), service="headshot")
        await stack.cancel(booking)
        await stack.tick()
        stack.clock.advance(10 * MINUTE)
        await stack.restart()
        await stack.tick()
        for _ in range(4):
            await stack.tick(after=MINUTE)
        assert (await stack.status(booking), stack.money_kept()) == (Status.CANCELED, 0)


@ALL
async def test_a_restart_does_not_shorten_the_time_in_which_a_cancellation_can_be_undone(
    tmp_path: Path, scheduler: str
) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        booking = await stack.confirmed(await stack.in_days(5, "headshot"), service="headshot")
        undo_until = (await stack.cancel(booking)).undo_until
        await stack.tick()
        await stack.restart()
        assert undo_until is not None
        assert undo_until > stack.clock() + 4 * MINUTE
        while stack.clock() + MINUTE < undo_until:
            await stack.tick(after=MINUTE)
            assert stack.money_kept() == 65_000
        await stack.tick(after=MINUTE)
        assert stack.money_kept() == 0


@ALL
async def test_a_refund_waits_for_the_scheduler_for_some_hours_and_no_longer(tmp_path: Path, scheduler: str) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        booking = await stack.confirmed(await stack.in_days(5, "headshot"), service="headshot")
        await stack.cancel(booking)
        await stack.tick()
        copy = copied(stack, tmp_path)
        stack.clock.advance(10 * MINUTE)
        await put_back(stack, copy)
        stack.side.faults.append(Fault("error_before", times=None))
        await some_hours(stack)
        assert stack.money_kept() == 65_000
        await some_hours(stack)
        assert (await stack.status(booking), stack.money_kept()) == (Status.CANCELED, 0)


@ALL
@pytest.mark.parametrize("terms", [ALL_BACK, NOTHING_BACK], ids=["all", "nothing"])
async def test_a_process_that_dies_before_it_knows_looks_again(tmp_path: Path, scheduler: str, terms: str) -> None:
    async with open_stack(tmp_path, scheduler=scheduler, cancellation=terms) as stack:
        undone, copy = await undone_since(stack, tmp_path)
        await put_back(stack, copy)
        stack.side.faults.append(Fault("error_before", times=None))
        for _ in range(10):
            await stack.tick(after=MINUTE)
        stack.side.faults.clear()
        await stack.restart()
        await some_hours(stack)
        assert (await stack.status(undone), stack.money_kept()) == (Status.CONFIRMED, 65_000)
        assert booked(stack) == [(await stack.now(undone)).reservation.reference]


@ALL
async def test_a_cancellation_of_which_the_scheduler_has_not_heard_is_not_undone(
    tmp_path: Path, scheduler: str
) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        booking = await stack.confirmed(await stack.in_days(5, "headshot"), service="headshot")
        await stack.tick()
        stack.side.faults.append(Fault("error_before", times=None))
        await stack.cancel(booking)
        copy = copied(stack, tmp_path)
        await put_back(stack, copy)
        stack.side.faults.clear()
        assert len(booked(stack)) == 1
        await some_hours(stack)
        assert (await stack.status(booking), stack.money_kept(), booked(stack)) == (Status.CANCELED, 0, [])


@pytest.mark.parametrize("scheduler", ["calcom", "calendly"])
async def test_where_it_is_booked_anew_that_cancellation_was_undone(tmp_path: Path, scheduler: str) -> None:
    """The copy is from before the scheduler heard of the cancellation."""
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        booking = await stack.confirmed(await stack.in_days(5, "headshot"), service="headshot")
        await stack.tick()
        stack.side.faults.append(Fault("error_before", times=None))
        await stack.cancel(booking)
        copy = copied(stack, tmp_path)
        stack.side.faults.clear()
        await stack.tick(after=3 * MINUTE)
        await stack.parts.cancel.undo(booking.id)
        standing = booked(stack)
        await put_back(stack, copy)
        await some_hours(stack)
        assert (await stack.status(booking), stack.money_kept()) == (Status.CONFIRMED, 65_000)
        assert booked(stack) == standing == [(await stack.now(booking)).reservation.reference]


async def test_what_was_undone_moments_before_is_looked_for_once_lists_must_show_it(tmp_path: Path) -> None:
    async with open_stack(tmp_path, scheduler="calcom") as stack:
        booking = await stack.confirmed(await stack.in_days(5, "headshot"), service="headshot")
        await stack.tick()
        await stack.cancel(booking)
        await stack.tick()
        copy = copied(stack, tmp_path)
        stack.side.switches({"list_lag_seconds": 60})
        await stack.parts.cancel.undo(booking.id)
        await put_back(stack, copy)
        await some_hours(stack)
        assert (await stack.status(booking), stack.money_kept()) == (Status.CONFIRMED, 65_000)


# Cal.com books anew where others change a booking


async def test_a_move_whose_difference_was_paid_since_is_made(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget=OTHER_SERVICE, scheduler="calcom") as stack:
        booking = await stack.confirmed(await stack.in_days(6, "headshot"), service="headshot")
        moving = await stack.move(booking, await stack.in_days(9, "portrait"), service="portrait")
        copy = copied(stack, tmp_path)
        moved = await stack.pay_difference(moving)
        await put_back(stack, copy)
        await stack.until_quiet()
        now = await stack.now(booking)
        assert (now.status, now.starts_at, stack.money_kept()) == (Status.CONFIRMED, moved.starts_at, PRICE)
        assert booked(stack) == [moved.reservation.reference]


async def test_a_cancellation_that_was_undone_since_stays_undone(tmp_path: Path) -> None:
    async with open_stack(tmp_path, scheduler="calcom") as stack:
        booking = await stack.confirmed(await stack.in_days(4))
        await stack.tick()
        copy = copied(stack, tmp_path)
        await stack.cancel(booking)
        await stack.parts.cancel.undo(booking.id)
        standing = booked(stack)
        await put_back(stack, copy)
        await stack.until_quiet()
        assert (await stack.status(booking), stack.money_kept()) == (Status.CONFIRMED, PRICE)
        assert booked(stack) == standing


async def test_a_booking_that_was_moved_to_another_service_since_is_that_one(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget=OTHER_SERVICE, scheduler="calcom") as stack:
        booking = await stack.confirmed(await stack.in_days(4, "headshot"), service="headshot")
        await stack.tick()
        copy = copied(stack, tmp_path)
        moved = await stack.move(booking, await stack.in_days(7, "planning"), service="planning", by=Actor.OWNER)
        standing = booked(stack)
        await put_back(stack, copy)
        await stack.until_quiet()
        now = await stack.now(booking)
        assert (now.status, now.starts_at) == (Status.CONFIRMED, moved.booking.starts_at)
        assert booked(stack) == standing


# The visit took place before the copy was put back


async def after_the_visit(stack: Stack, booking: Booking, copy: Path) -> None:
    """The copy is put back when the visit is over, and the worker has done all it wants to."""
    stack.clock.set(booking.ends_at + HOUR)
    await put_back(stack, copy)
    for _ in range(8):
        await stack.tick(after=HOUR)


@ALL
async def test_a_visit_that_was_paid_for_since_and_took_place_stays_booked_and_paid(
    tmp_path: Path, scheduler: str
) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        booking = await stack.hold(await stack.in_days(2))
        await stack.tick()
        copy = copied(stack, tmp_path)
        await stack.paid(booking)
        await stack.tick()
        had = await stack.now(booking)
        assert had.status is Status.CONFIRMED
        standing = booked(stack)
        await after_the_visit(stack, had, copy)
        now = await stack.now(booking)
        assert (now.status, now.reservation.reference) == (Status.CONFIRMED, had.reservation.reference)
        assert (booked(stack), stack.money_kept()) == (standing, PRICE)
        assert not [subject for subject in await stack.mail("anna@customer.example") if "efund" in subject]


@ALL
async def test_a_visit_whose_late_payment_had_bought_its_time_back_stays_booked_and_paid(
    tmp_path: Path, scheduler: str
) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        booking, copy = await paid_too_late_since(stack, tmp_path, days=2)
        standing = booked(stack)
        await after_the_visit(stack, booking, copy)
        assert (await stack.status(booking), stack.money_kept()) == (Status.CONFIRMED, PRICE)
        assert booked(stack) == standing


@ALL
async def test_a_visit_at_a_time_that_was_chosen_since_stays_booked_and_paid(tmp_path: Path, scheduler: str) -> None:
    async with open_stack(tmp_path, widget="choose_hours = 24", scheduler=scheduler) as stack:
        booking = await offered_other_times(stack)
        copy = copied(stack, tmp_path)
        offered = [one.id for one in await stack.parts.store.offered(booking.id)]
        chosen = await stack.parts.late_money.choose(booking.id, offered[0])
        standing = booked(stack)
        await after_the_visit(stack, chosen, copy)
        now = await stack.now(booking)
        assert (now.status, now.starts_at) == (Status.CONFIRMED, chosen.starts_at)
        assert (booked(stack), stack.money_kept()) == (standing, PRICE)


@pytest.mark.parametrize("scheduler", ["hapio", "calcom"])
async def test_a_move_that_was_paid_for_since_is_made_although_the_visit_took_place(
    tmp_path: Path, scheduler: str
) -> None:
    async with open_stack(tmp_path, widget=OTHER_SERVICE, scheduler=scheduler) as stack:
        booking = await stack.confirmed(await stack.in_days(6, "headshot"), service="headshot")
        moving = await stack.move(booking, await stack.in_days(4, "portrait"), service="portrait")
        copy = copied(stack, tmp_path)
        moved = await stack.pay_difference(moving)
        assert moved.starts_at == moving.move.starts_at
        standing = booked(stack)
        await after_the_visit(stack, moved, copy)
        now = await stack.now(booking)
        assert (now.status, now.starts_at, stack.money_kept()) == (Status.CONFIRMED, moved.starts_at, PRICE)
        assert booked(stack) == standing


async def test_a_payment_that_nothing_came_of_before_the_visit_goes_back_after_a_restore_too(tmp_path: Path) -> None:
    """It was paid shortly before the copy was put back, and the calendar never had more than the hold."""
    async with open_stack(tmp_path, webhooks=False) as stack:
        booking = await stack.hold(await stack.in_days(2))
        await stack.tick()
        copy = copied(stack, tmp_path)
        await stack.paid(booking)
        await after_the_visit(stack, booking, copy)
        assert (await stack.status(booking), stack.money_kept(), booked(stack)) == (Status.CANCELED, 0, [])


async def test_a_paid_visit_waits_for_what_the_calendar_says(tmp_path: Path) -> None:
    async with open_stack(tmp_path) as stack:
        booking = await stack.hold(await stack.in_days(2))
        await stack.tick()
        copy = copied(stack, tmp_path)
        await stack.paid(booking)
        await stack.until_quiet()
        assert await stack.status(booking) is Status.CONFIRMED
        stack.clock.set(booking.ends_at + HOUR)
        await put_back(stack, copy)
        await hapio_refuses_for_good(stack)
        await some_days(stack)
        assert stack.money_kept() == PRICE
        stack.hapio.faults.clear()
        await some_days(stack)
        assert (await stack.status(booking), stack.money_kept()) == (Status.CONFIRMED, PRICE)


async def test_a_difference_that_was_paid_in_time_waits_for_what_the_calendar_says_but_not_for_ever(
    tmp_path: Path,
) -> None:
    async with open_stack(tmp_path, widget=OTHER_SERVICE) as stack:
        booking = await stack.confirmed(await stack.in_days(6, "headshot"), service="headshot")
        moving = await stack.move(booking, await stack.in_days(4, "portrait"), service="portrait")
        copy = copied(stack, tmp_path)
        await stack.pay_difference(moving)
        await stack.until_quiet()
        stack.clock.set(moving.move.ends_at + HOUR)
        await put_back(stack, copy)
        await hapio_refuses_for_good(stack)
        await stack.tick()
        assert stack.money_kept() == PRICE
        for _ in range(10):
            await stack.tick(after=HOUR)
        assert (await stack.status(booking), stack.money_kept()) == (Status.CONFIRMED, 65_000)


async def test_an_answer_that_was_lost_before_the_copy_comes_too_late_after_the_visit(tmp_path: Path) -> None:
    """Nobody had told the customer that the visit was theirs."""
    async with open_stack(tmp_path) as stack:
        booking = await stack.hold(await stack.in_days(2))
        stack.hapio.faults.append(Fault("error_after", times=None, method="PATCH"))
        await stack.paid(booking)
        await stack.tick()
        assert await stack.status(booking) is Status.PAID
        stack.clock.set(booking.ends_at + HOUR)
        await stack.restart()
        stack.hapio.faults.clear()
        await some_days(stack)
        assert (await stack.status(booking), stack.money_kept()) == (Status.CANCELED, 0)


@pytest.mark.parametrize("scheduler", ["calcom", "calendly"])
async def test_who_has_paid_before_a_restart_that_lost_nothing_does_not_wait_for_lists(
    tmp_path: Path, scheduler: str
) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        booking = await stack.hold(await stack.in_days(3))
        session = await stack.at_stripe(booking)
        stack.side.faults.append(Fault("error_before", times=None))
        await stack.stripe.pay(session)
        await stack.tick(times=2)
        assert await stack.status(booking) is Status.PAID
        stack.side.faults.clear()
        stack.clock.advance(timedelta(seconds=10))
        await stack.restart()
        await stack.tick(after=timedelta(seconds=30))
        assert await stack.status(booking) is Status.CONFIRMED


@pytest.mark.parametrize("scheduler", ["calcom", "calendly"])
async def test_a_payment_from_before_the_copy_was_put_back_waits_until_lists_must_show_its_booking(
    tmp_path: Path, scheduler: str
) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        booking = await stack.hold(await stack.in_days(3))
        session = await stack.at_stripe(booking)
        copy = copied(stack, tmp_path)
        await stack.stop()
        await stack.stripe.pay(session)
        stack.clock.advance(timedelta(seconds=10))
        await put_back(stack, copy)
        await stack.tick(after=timedelta(seconds=30), times=2)
        assert await stack.status(booking) is Status.PAID
        assert booked(stack) == []
        await stack.tick(after=2 * MINUTE, times=2)
        assert await stack.status(booking) is Status.CONFIRMED
        assert len(booked(stack)) == 1


# It is called off before what was done since is known


async def put_back_while_the_scheduler_is_silent(stack: Stack, copy: Path) -> None:
    stack.clock.advance(MINUTE)
    await put_back(stack, copy)
    stack.side.faults.append(Fault("error_before", times=None))
    await stack.tick(after=timedelta(seconds=30))


async def nothing_is_left_of(stack: Stack, booking: Booking, *, by: Actor) -> None:
    await stack.parts.cancel.booking(booking.id, by=by)
    stack.side.faults.clear()
    await some_days(stack)
    assert (await stack.status(booking), stack.money_kept(), booked(stack)) == (Status.CANCELED, 0, [])


@BY_EITHER
@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("scheduler", ["calcom", "calendly"])
async def test_what_was_confirmed_since_is_released_wherever_it_is(
    tmp_path: Path, scheduler: str, by: Actor, *, moved: bool
) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        booking = await stack.hold(await stack.in_days(26))
        session = await stack.at_stripe(booking)
        copy = copied(stack, tmp_path)
        await stack.stripe.pay(session)
        await stack.tick(times=2)
        if moved:
            await stack.move(booking, await stack.in_days(28))
        assert (await stack.status(booking), len(booked(stack))) == (Status.CONFIRMED, 1)
        await put_back_while_the_scheduler_is_silent(stack, copy)
        assert await stack.status(booking) is Status.PAID
        await nothing_is_left_of(stack, booking, by=by)


@ALL
async def test_so_is_a_time_that_late_money_has_bought_since(tmp_path: Path, scheduler: str) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        booking = await stack.hold(await stack.in_days(20))
        session = await stack.at_stripe(booking)
        await stack.tick(after=40 * MINUTE)
        copy = copied(stack, tmp_path)
        await stack.pay_late(session)
        await stack.tick(times=2)
        assert (await stack.status(booking), len(booked(stack))) == (Status.CONFIRMED, 1)
        await put_back_while_the_scheduler_is_silent(stack, copy)
        assert await stack.status(booking) is Status.PAID
        await nothing_is_left_of(stack, booking, by=Actor.CUSTOMER)


@BY_EITHER
@ALL
async def test_so_is_the_time_to_which_a_booking_was_moved_since(tmp_path: Path, scheduler: str, by: Actor) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        booking = await stack.confirmed(await stack.in_days(26))
        await stack.tick()
        copy = copied(stack, tmp_path)
        for days in (29, 33):
            await stack.move(booking, await stack.in_days(days))
            await stack.tick()
        assert len(booked(stack)) == 1
        await put_back_while_the_scheduler_is_silent(stack, copy)
        await nothing_is_left_of(stack, booking, by=by)


@BY_EITHER
@ALL
async def test_so_is_the_time_of_a_move_whose_difference_was_paid_since(
    tmp_path: Path, scheduler: str, by: Actor
) -> None:
    async with open_stack(tmp_path, widget=OTHER_SERVICE, scheduler=scheduler) as stack:
        booking = await stack.confirmed(await stack.in_days(26, "headshot"), service="headshot")
        moving = await stack.move(booking, await stack.in_days(29, "portrait"), service="portrait")
        copy = copied(stack, tmp_path)
        await stack.pay_difference(moving)
        assert len(booked(stack)) == 1
        await put_back_while_the_scheduler_is_silent(stack, copy)
        await nothing_is_left_of(stack, booking, by=by)


@pytest.mark.parametrize("effect", [0, 1, 2, 3, 4])
async def test_nothing_is_left_if_the_process_is_replaced_or_dies_before_the_scheduler_answers(
    tmp_path: Path, effect: int
) -> None:
    async with open_stack(tmp_path, scheduler="calendly") as stack:
        booking = await stack.confirmed(await stack.in_days(26))
        await stack.tick()
        copy = copied(stack, tmp_path)
        await stack.move(booking, await stack.in_days(29))
        await put_back_while_the_scheduler_is_silent(stack, copy)
        await stack.cancel(booking)
        stack.clock.advance(7 * HOUR)
        await stack.restart()
        stack.side.faults.clear()
        if effect:
            await dies_at(stack, effect)
        await some_days(stack)
        assert (await stack.status(booking), stack.money_kept(), booked(stack)) == (Status.CANCELED, 0, [])


# It was called off just before, and the scheduler had not heard


async def refunded_before_the_restore(stack: Stack, folder: Path, *, off: bool, ago: timedelta) -> Booking:
    """The copy knows a hold. Since then it was paid, and all of it refunded: for a cancellation of which the scheduler
    does not hear, or as goodwill."""
    booking = await stack.hold(await stack.in_days(20))
    copy = copied(stack, folder)
    await stack.paid(booking)
    await stack.tick(times=2)
    if off:
        stack.side.faults.append(Fault("error_before", times=None))
        await stack.cancel(booking)
    else:
        await stack.parts.owner_refunds.give_back(booking.id, Money(PRICE, "sek"))
    await stack.tick(times=2)
    assert (stack.money_kept(), len(booked(stack))) == (0, 1)
    stack.clock.advance(ago)
    await put_back(stack, copy)
    stack.side.faults.clear()
    return booking


@ALL
async def test_what_was_called_off_just_before_is_released(tmp_path: Path, scheduler: str) -> None:
    async with open_stack(tmp_path, widget="undo_minutes = 0", scheduler=scheduler) as stack:
        booking = await refunded_before_the_restore(stack, tmp_path, off=True, ago=MINUTE)
        await some_days(stack)
        assert (await stack.status(booking), stack.money_kept(), booked(stack)) == (Status.EXPIRED, 0, [])


@ALL
async def test_so_it_is_once_stripe_says_again_what_was_refunded(tmp_path: Path, scheduler: str) -> None:
    settings = {"staff_emails": (OWNER,)}
    async with open_stack(tmp_path, widget="undo_minutes = 0", scheduler=scheduler, settings=settings) as stack:
        stack.stripe.faults.append(StripeFault("refuse", method="GET", path="/refunds", status=403, times=None))
        booking = await refunded_before_the_restore(stack, tmp_path, off=True, ago=MINUTE)
        await some_days(stack)
        assert await stack.status(booking) is Status.PAID
        assert [subject.partition(":")[0] for subject in await stack.mail(OWNER)] == ["Needs your attention"]
        stack.stripe.faults.clear()
        await some_days(stack)
        assert (await stack.status(booking), stack.money_kept(), booked(stack)) == (Status.CANCELED, 0, [])


@ALL
async def test_a_visit_that_its_owner_had_given_away_stays_in_the_calendar(tmp_path: Path, scheduler: str) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        await refunded_before_the_restore(stack, tmp_path, off=False, ago=2 * HOUR)
        await some_days(stack)
        assert len(booked(stack)) == 1
