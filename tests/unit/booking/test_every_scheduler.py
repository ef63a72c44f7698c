"""What holds whichever scheduler keeps the calendar: one story each, told with all of them."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import pytest

from app.domain.booking import Actor, Booking, EndReason, Status, Visitor
from app.domain.catalogue import Service
from app.domain.payment import Pays
from app.errors import SlotTaken
from app.operations.alerts import AlertKind
from sandbox.faults import Fault, FaultKind
from tests.support.backups import copied, put_back
from tests.support.json_door import KEY, SERVER, post, wish
from tests.support.processes import another_process
from tests.support.rows import rows
from tests.support.sides import NAMES, CalendlySide
from tests.support.stack import Stack, open_stack
from tests.support.stories import at_desk

MINUTE = timedelta(minutes=1)
ANNA = "anna@customer.example"
OTHER_SERVICE = "reschedule = { other_service = true }"
#: Where a chosen time stays bookable for others until it is paid.
WEAK = ("calcom", "calendly")


@pytest.fixture(params=NAMES)
def scheduler(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def stack(tmp_path: Path, scheduler: str) -> AsyncIterator[Stack]:
    async with open_stack(tmp_path, scheduler=scheduler, widget=OTHER_SERVICE) as stack:
        yield stack


async def assert_booked_once(stack: Stack, booking: Booking) -> None:
    """It is confirmed, the scheduler has it at its time, and nothing else of ours."""
    now = await stack.now(booking)
    assert now.status is Status.CONFIRMED
    [there] = [one for one in stack.side.booked() if one.tag]
    assert (there.reference, there.starts_at) == (now.reservation.reference, now.starts_at)
    assert there.tag == booking.id
    assert stack.money_held() == 0


async def assert_nothing_there(stack: Stack) -> None:
    """The scheduler has nothing of ours that takes up time."""
    assert [one for one in stack.side.booked() if one.tag] == []
    assert stack.side.locks() == 0


# Booking


async def test_a_paid_booking_is_final_there_and_its_money_is_taken(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.paid(booking)
    await stack.until_quiet()
    await assert_booked_once(stack, booking)
    assert stack.money_kept() == 120000
    assert any("Confirmed" in subject for subject in await stack.mail(ANNA))


async def test_a_free_booking_is_final_without_a_payment(stack: Stack) -> None:
    booking = await stack.hold(service="planning")
    assert await stack.parts.checkout.start(booking.id) is None
    await stack.until_quiet()
    await assert_booked_once(stack, booking)


async def test_a_declined_card_may_be_followed_by_a_good_one(stack: Stack) -> None:
    booking = await stack.hold()
    session = await stack.paid(booking, card="decline")
    assert await stack.status(booking) is Status.AWAITING_PAYMENT
    await stack.stripe.pay(session)
    await stack.until_quiet()
    await assert_booked_once(stack, booking)


@pytest.mark.parametrize("minutes", [30, 90])
async def test_a_service_of_another_length_is_listed_and_booked_at_that_length(
    tmp_path: Path, scheduler: str, minutes: int
) -> None:
    """The owner changes it there. What was shown before may be refused once; from then on all agree."""
    async with open_stack(tmp_path, scheduler=scheduler, settings={"api_keys": (KEY,)}) as stack:
        await wish(stack)
        stack.side.owner_sets_length("portrait", minutes)
        answers = []
        for nth in range(2, 5):
            stack.clock.advance(10 * MINUTE)
            answers.append(await post(stack, "bookings/lock", await wish(stack, nth), **SERVER))
        held = answers[-1].json()
        lasts = datetime.fromisoformat(held["end"]) - datetime.fromisoformat(held["start"])
        assert lasts == minutes * MINUTE, [answer.text for answer in answers]
        listed = (await stack.client.get("/api/services")).json()["services"]
        assert [one["duration"] for one in listed if one["id"] == stack.portrait_id] == [minutes]
        booked = [row for row in await rows(stack) if row.status is Status.HELD]
        assert {row.ends_at - row.starts_at for row in booked} == {minutes * MINUTE}


async def test_a_time_as_long_as_the_service_was_is_not_held_any_more(stack: Stack) -> None:
    """What a page showed a moment ago, before the owner changed the length there."""
    start = await stack.free_slot()
    stack.clock.advance(2 * MINUTE)
    stack.side.owner_sets_length("portrait", 90)
    with pytest.raises(SlotTaken):
        await stack.hold(start)
    assert stack.side.locks() == 0
    [service] = [one for one in await offered(stack) if one.id == stack.portrait_id]
    assert service.duration == 90 * MINUTE
    booking = await stack.hold(await stack.free_slot())
    assert booking.ends_at - booking.starts_at == 90 * MINUTE


async def offered(stack: Stack) -> tuple[Service, ...]:
    return (await stack.parts.availability.catalogue(stack.parts.widgets["studio"])).services


async def test_a_move_within_a_service_of_another_length_takes_that_length(stack: Stack) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    stack.clock.advance(2 * MINUTE)
    stack.side.owner_sets_length("portrait", 30)
    with suppress(SlotTaken):  # of what was shown before
        await stack.move(booking, await stack.in_days(5))
    moved = (await stack.move(booking, await stack.in_days(7))).booking
    assert moved.ends_at - moved.starts_at == 30 * MINUTE


async def test_a_visitor_who_walks_away_leaves_nothing_there(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.at_stripe(booking)
    await stack.until_quiet()
    assert await stack.status(booking) is Status.EXPIRED
    await assert_nothing_there(stack)
    assert (stack.money_kept(), stack.money_held()) == (0, 0)


async def test_two_of_our_visitors_cannot_hold_one_time(stack: Stack) -> None:
    start = await stack.free_slot()
    await stack.take_everyone(start)
    with pytest.raises(SlotTaken):
        await stack.hold(start, visitor=stack.visitor("bo"))


async def test_late_money_buys_the_time_again_while_it_is_free(stack: Stack) -> None:
    booking = await stack.hold(await stack.in_days(3))
    session = await stack.at_stripe(booking)
    await stack.tick(after=40 * MINUTE)
    assert await stack.status(booking) is Status.EXPIRED
    await stack.pay_late(session)
    await stack.until_quiet()
    await assert_booked_once(stack, booking)
    assert stack.money_kept() == 120000


async def test_late_money_for_a_time_that_is_gone_goes_back(stack: Stack) -> None:
    booking = await stack.hold(await stack.in_days(3))
    session = await stack.at_stripe(booking)
    await stack.tick(after=40 * MINUTE)
    await stack.side.stranger_takes(booking.starts_at)
    await stack.pay_late(session)
    await stack.until_quiet()
    ended = await stack.now(booking)
    assert (ended.status, ended.end_reason) == (Status.CANCELED, EndReason.SLOT_GONE)
    await assert_nothing_there(stack)
    assert (stack.money_kept(), stack.money_held()) == (0, 0)


# A stranger takes the time while it is being paid


@pytest.mark.parametrize("scheduler", WEAK, indirect=True)
async def test_a_customer_who_loses_the_time_to_a_stranger_was_never_charged(stack: Stack) -> None:
    booking = await stack.hold()
    session = await stack.at_stripe(booking)
    await stack.side.stranger_takes(booking.starts_at)
    await stack.stripe.pay(session)
    await stack.until_quiet()
    ended = await stack.now(booking)
    assert (ended.status, ended.end_reason) == (Status.CANCELED, EndReason.TAKEN)
    await assert_nothing_there(stack)
    assert sum(one["amount_received"] for one in stack.stripe.state.payment_intents.values()) == 0
    assert stack.money_held() == 0
    [told] = [mail for mail in stack.mailbox.messages if ANNA in mail.recipients]
    assert "Someone else took this time" in (told.text or "")
    assert "You have not been charged" in (told.text or "")


@pytest.mark.parametrize("scheduler", WEAK, indirect=True)
async def test_a_customer_charged_at_once_by_the_owners_wish_is_refunded_in_full(
    tmp_path: Path, scheduler: str
) -> None:
    async with open_stack(tmp_path, scheduler=scheduler, widget='capture = "automatic"') as stack:
        booking = await stack.hold()
        session = await stack.at_stripe(booking)
        await stack.side.stranger_takes(booking.starts_at)
        await stack.stripe.pay(session)
        await stack.until_quiet()
        assert (await stack.now(booking)).end_reason is EndReason.TAKEN
        assert stack.money_kept() == 0


@pytest.mark.parametrize("scheduler", ["hapio"], indirect=True)
async def test_a_stranger_cannot_take_a_time_that_is_locked(stack: Stack) -> None:
    booking = await stack.hold()
    session = await stack.at_stripe(booking)
    await stack.side.stranger_takes(booking.starts_at)
    await stack.stripe.pay(session)
    await stack.until_quiet()
    await assert_booked_once(stack, booking)


# Many at once


async def test_fifty_visitors_want_one_time_and_one_has_it(stack: Stack) -> None:
    start = await stack.free_slot()
    person = (await stack.parts.availability.service(stack.parts.widgets["studio"], stack.portrait_id)).resources[0].id
    outcomes: Counter[str] = Counter()

    async def click(visitor: Visitor) -> None:
        try:
            await stack.hold(start, visitor=visitor, resource_id=person)
            outcomes["won"] += 1
        except SlotTaken:
            outcomes["refused"] += 1

    async with anyio.create_task_group() as at_once:
        for nth in range(50):
            at_once.start_soon(click, stack.visitor(f"visitor{nth}"))
    assert outcomes == {"won": 1, "refused": 49}


@pytest.mark.parametrize("scheduler", WEAK, indirect=True)
async def test_two_processes_that_confirm_at_once_make_one_booking(tmp_path: Path, scheduler: str) -> None:
    async with (
        open_stack(tmp_path, scheduler=scheduler, webhooks=False) as stack,
        another_process(stack, tmp_path, database=stack.settings.database_url) as other,
    ):
        booking = await stack.hold()
        await stack.paid(booking)
        # Each create passes the scheduler's own check before either is written there.
        stack.side.switches({"race_mode": "gap", "race_parties": 2, "race_wait_seconds": 1})
        async with anyio.create_task_group() as at_once:
            at_once.start_soon(stack.parts.settle.booking, booking.id)
            at_once.start_soon(other.settle.booking, booking.id)
        stack.side.switches({"race_mode": "atomic"})
        await stack.until_quiet()
        await assert_booked_once(stack, booking)


# Cancelling and moving


async def test_a_cancellation_frees_the_time_there_and_gives_the_money_back(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking)
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CANCELED
    await assert_nothing_there(stack)
    assert stack.money_kept() == 0


async def test_a_cancellation_that_is_undone_has_the_time_there_again(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking)
    await stack.tick(after=3 * MINUTE)
    await stack.parts.cancel.undo(booking.id)
    await stack.until_quiet()
    await assert_booked_once(stack, booking)
    assert stack.money_kept() == 120000


async def test_a_move_at_the_same_price_leaves_one_booking_at_the_new_time(stack: Stack) -> None:
    booking = await stack.confirmed()
    to = await stack.in_days(5)
    await stack.move(booking, to)
    await stack.until_quiet()
    await assert_booked_once(stack, booking)
    assert (await stack.now(booking)).starts_at == to
    assert stack.money_kept() == 120000


async def test_a_move_to_a_lower_price_gives_the_difference_back(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.move(booking, await stack.in_days(5, "headshot"), service="headshot")
    await stack.until_quiet()
    await assert_booked_once(stack, booking)
    assert stack.money_kept() == 65000


async def test_a_move_to_a_higher_price_is_made_once_the_difference_is_paid(stack: Stack) -> None:
    booking = await stack.confirmed(service="headshot")
    moving = await stack.move(booking, await stack.in_days(5), service="portrait")
    assert (await stack.now(booking)).starts_at == booking.starts_at
    await stack.pay_difference(moving)
    await stack.until_quiet()
    await assert_booked_once(stack, booking)
    assert (await stack.now(booking)).service_id == stack.portrait_id
    assert stack.money_kept() == 120000


async def test_a_difference_that_nobody_pays_leaves_the_booking_as_it_was(stack: Stack) -> None:
    booking = await stack.confirmed(service="headshot")
    await stack.move(booking, await stack.in_days(5), service="portrait")
    await stack.until_quiet()
    await assert_booked_once(stack, booking)
    assert (await stack.now(booking)).starts_at == booking.starts_at
    assert stack.side.locks() == 0


@pytest.mark.parametrize("scheduler", WEAK, indirect=True)
async def test_a_stranger_who_takes_the_new_time_costs_the_customer_nothing(stack: Stack) -> None:
    booking = await stack.confirmed(service="headshot")
    moving = await stack.move(booking, await stack.in_days(5), service="portrait")
    await stack.side.stranger_takes(moving.move.starts_at)
    await stack.pay_difference(moving)
    await stack.until_quiet()
    await assert_booked_once(stack, booking)
    assert (await stack.now(booking)).starts_at == booking.starts_at
    assert stack.money_kept() == 65000


async def test_the_same_service_can_be_moved_again_and_again(stack: Stack) -> None:
    booking = await stack.confirmed()
    for days in (4, 6, 8):
        await stack.move(await stack.now(booking), await stack.in_days(days), by=Actor.OWNER)
        await stack.tick(after=MINUTE)
    await stack.until_quiet()
    await assert_booked_once(stack, booking)


# What others do at the scheduler


async def test_what_the_owner_cancels_there_gives_everything_back(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.side.owner_cancels((await stack.now(booking)).reservation.reference or "")
    await stack.parts.follow.booking(booking.id)
    await stack.until_quiet()
    ended = await stack.now(booking)
    assert (ended.status, ended.end_reason) == (Status.CANCELED, EndReason.BY_OWNER)
    assert stack.money_kept() == 0
    assert any("cancelled" in subject.lower() for subject in await stack.mail(ANNA))


async def test_what_the_owner_moves_there_has_the_new_time_here(stack: Stack) -> None:
    booking = await stack.confirmed()
    to = await stack.in_days(6)
    await stack.side.owner_moves((await stack.now(booking)).reservation.reference or "", to)
    await stack.parts.follow.booking(booking.id)
    await stack.until_quiet()
    moved = await stack.now(booking)
    assert (moved.status, moved.starts_at) == (Status.CONFIRMED, to)
    [there] = stack.side.booked()
    assert there.reference == moved.reservation.reference
    assert stack.money_kept() == 120000


@pytest.mark.parametrize("scheduler", WEAK, indirect=True)
@pytest.mark.parametrize(("hours", "kept"), [(72, 0), (12, 60000), (1, 120000)])
async def test_a_customer_who_cancels_by_the_schedulers_link_gets_what_the_terms_give(
    stack: Stack, hours: int, kept: int
) -> None:
    booking = await stack.confirmed(await stack.in_days(4))
    stack.clock.set(booking.starts_at - timedelta(hours=hours))
    await stack.side.customer_cancels((await stack.now(booking)).reservation.reference or "")
    await stack.parts.follow.booking(booking.id)
    await stack.until_quiet()
    ended = await stack.now(booking)
    assert (ended.status, ended.end_reason) == (Status.CANCELED, EndReason.BY_CUSTOMER)
    assert stack.money_kept() == kept


@pytest.mark.parametrize("scheduler", WEAK, indirect=True)
async def test_a_webhook_tells_of_a_cancellation_there_at_once(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.side.owner_cancels((await stack.now(booking)).reservation.reference or "")
    await stack.side.deliver()
    assert await stack.status(booking) is Status.CANCELED


async def test_without_a_webhook_a_look_at_the_calendar_finds_it(stack: Stack) -> None:
    booking = await stack.confirmed(await stack.in_days(6))
    await stack.side.owner_cancels((await stack.now(booking)).reservation.reference or "")
    for _ in range(30):
        await stack.tick(after=timedelta(hours=1))
    assert await stack.status(booking) is Status.CANCELED


# Outages


BEFORE_AND_AFTER: tuple[FaultKind, ...] = (
    "error_before",
    "error_after",
    "drop_before",
    "drop_after",
    "html_body",
    "truncated_json",
    "rate_limited",
)


@pytest.mark.parametrize("kind", BEFORE_AND_AFTER)
@pytest.mark.parametrize("times", [1, 4])
async def test_an_outage_around_the_call_that_books_ends_with_one_booking(
    stack: Stack, kind: FaultKind, times: int
) -> None:
    booking = await stack.hold(await stack.in_days(3))
    method, path = stack.side.create
    session = await stack.at_stripe(booking)
    stack.side.faults.append(Fault(kind, times, method, path))
    await stack.stripe.pay(session)
    await stack.until_quiet()
    await assert_booked_once(stack, booking)
    assert stack.money_kept() == 120000


@pytest.mark.parametrize("kind", ["error_before", "drop_after", "hang"])
async def test_an_outage_around_everything_ends_well(stack: Stack, kind: FaultKind) -> None:
    booking = await stack.hold(await stack.in_days(3))
    session = await stack.at_stripe(booking)
    stack.side.faults.append(Fault(kind, 6))
    await stack.stripe.pay(session)
    await stack.until_quiet()
    await assert_booked_once(stack, booking)


@pytest.mark.parametrize("kind", ["error_before", "error_after", "drop_after"])
async def test_an_outage_around_a_move_ends_with_one_booking(stack: Stack, kind: FaultKind) -> None:
    booking = await stack.confirmed()
    to = await stack.in_days(5)
    stack.side.faults.append(Fault(kind, 4, path="book|invitee"))
    await stack.move(booking, to)
    await stack.until_quiet()
    await assert_booked_once(stack, booking)
    assert (await stack.now(booking)).starts_at == to


@pytest.mark.parametrize("scheduler", WEAK, indirect=True)
async def test_what_an_unanswered_confirmation_made_is_deleted_when_the_payment_was_refunded(stack: Stack) -> None:
    """The scheduler makes the booking and never says so; before it answers again, the owner refunds in Stripe."""
    booking = await stack.hold(await stack.in_days(3))
    method, path = stack.side.create
    session = await stack.at_stripe(booking)
    # The first try takes effect; then nobody answers, whatever is asked.
    stack.side.faults += [Fault("drop_after", 1, method, path), Fault("drop_before", None)]
    await stack.stripe.pay(session)
    await stack.parts.cancel.booking(booking.id, by=Actor.OWNER)
    stack.side.faults.clear()
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CANCELED
    await assert_nothing_there(stack)
    assert (stack.money_kept(), stack.money_held()) == (0, 0)


@pytest.mark.parametrize("scheduler", ["calendly"], indirect=True)
async def test_a_booking_that_was_asked_for_twice_is_there_once_in_the_end(stack: Stack) -> None:
    """The first call was given up, and lands after the second one was answered."""
    assert isinstance(stack.side, CalendlySide)
    booking = await stack.hold(await stack.in_days(3))
    method, path = stack.side.create
    session = await stack.at_stripe(booking)
    stack.side.faults.append(Fault("drop_before", 1, method, path))
    await stack.stripe.pay(session)
    confirmed = await stack.now(booking)
    assert confirmed.status is Status.CONFIRMED
    state = stack.side.sandbox.state
    invitee = next(one for one in state.invitees.values() if one.event == confirmed.reservation.reference)
    state.events["TWIN"] = replace(state.events[invitee.event], id="TWIN")
    state.invitees["TWIN"] = replace(invitee, id="TWIN", event="TWIN")
    await stack.until_quiet()
    await assert_booked_once(stack, booking)


@pytest.mark.parametrize("scheduler", ["calendly"], indirect=True)
async def test_an_owner_is_not_told_to_delete_a_booking_that_stands(stack: Stack) -> None:
    """It was asked for twice, and then the calendar is silent for a day, so that nobody can look."""
    booking = await stack.hold(await stack.in_days(3))
    method, path = stack.side.create
    session = await stack.at_stripe(booking)
    stack.side.faults.append(Fault("drop_before", 1, method, path))
    await stack.stripe.pay(session)
    stack.side.faults.append(Fault("drop_before", None))
    for _ in range(8):
        await stack.tick(after=60 * MINUTE)
    assert await stack.status(booking) is Status.CONFIRMED
    [told] = [one for one in (await stack.parts.alerts.all()) if one.kind is AlertKind.SECOND_ENTRY]
    assert told.bookings == (booking.id,)
    stack.side.faults.clear()
    await stack.until_quiet()
    await assert_booked_once(stack, booking)


@pytest.mark.parametrize("scheduler", WEAK, indirect=True)
async def test_what_an_unanswered_move_made_is_deleted_when_the_booking_is_cancelled(stack: Stack) -> None:
    booking = await stack.confirmed(await stack.in_days(5))
    stack.side.faults.append(Fault("drop_after", 1, "POST", "book|invitee"))

    async def fall_silent() -> None:
        if not stack.side.faults:
            stack.side.faults.append(Fault("drop_before", None))

    stack.interloper = fall_silent
    await stack.move(booking, await stack.in_days(3))
    assert len(stack.side.booked()) + (stack.side.name == "calcom") == 2, "it has taken effect"
    await stack.cancel(booking, by=Actor.OWNER)
    stack.interloper = None
    stack.side.faults.clear()
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CANCELED
    await assert_nothing_there(stack)
    assert stack.money_kept() == 0


# An old copy of the database is put back


async def assert_stands_as_it_was_made(stack: Stack, booking: Booking) -> None:
    """It is confirmed again, as the same booking at the scheduler, for the same customer."""
    there = stack.side.booked()
    await stack.until_quiet()
    await assert_booked_once(stack, booking)
    assert stack.side.booked() == there
    now = await stack.now(booking)
    assert now.customer
    assert (now.customer.name, now.customer.email) == ("Anna Ek", ANNA)
    assert [subject for subject in await stack.mail(ANNA) if "ot booked" in subject] == []
    assert await stack.parts.health.bookings_without_money() == []


async def hold_without_details(stack: Stack, service: str, *, days: int = 0) -> Booking:
    """As on the page, where the details come after the time; so many days from now or later."""
    return await stack.parts.hold.take(
        stack.parts.widgets["studio"],
        service_id=getattr(stack, f"{service}_id"),
        starts_at=await stack.in_days(days, service=service),
        resource_id=None,
        visitor=stack.visitor(),
    )


async def test_a_free_booking_made_after_the_copy_stands(stack: Stack, tmp_path: Path) -> None:
    booking = await hold_without_details(stack, "planning")
    copy = copied(stack, tmp_path)
    await stack.parts.checkout.add_details(booking.id, {"name": "Anna Ek", "email": ANNA})
    assert await stack.parts.checkout.start(booking.id) is None
    await put_back(stack, copy)
    await assert_stands_as_it_was_made(stack, booking)


async def test_a_booking_paid_after_the_copy_stands(stack: Stack, tmp_path: Path) -> None:
    booking = await hold_without_details(stack, "portrait")
    copy = copied(stack, tmp_path)
    await stack.parts.checkout.add_details(booking.id, {"name": "Anna Ek", "email": ANNA})
    await stack.paid(booking)
    await stack.tick()
    await put_back(stack, copy)
    await assert_stands_as_it_was_made(stack, booking)
    assert stack.money_kept() == 120000


@pytest.mark.parametrize("pays", [Pays.AT_VISIT, Pays.NO_CHARGE])
async def test_a_booking_that_the_desk_was_making_while_the_copy_was_made_stands(
    stack: Stack, tmp_path: Path, pays: Pays
) -> None:
    copies: list[Path] = []

    async def copy_once() -> None:
        if not copies and await stack.parts.store.unpaid_ids():
            copies.append(copied(stack, tmp_path))

    stack.interloper = copy_once
    booking = await stack.parts.book_for.book(await at_desk(stack, pays))
    stack.interloper = None
    assert booking.status is Status.CONFIRMED
    await put_back(stack, copies[0])
    await assert_stands_as_it_was_made(stack, booking)


async def test_a_hold_that_the_copy_knows_ends_as_any_other(stack: Stack, tmp_path: Path) -> None:
    booking = await stack.hold()
    await put_back(stack, copied(stack, tmp_path))
    await stack.until_quiet()
    assert await stack.status(booking) is Status.EXPIRED
    await assert_nothing_there(stack)


async def test_what_the_owner_has_canceled_there_since_the_copy_is_not_made_again(stack: Stack, tmp_path: Path) -> None:
    booking = await stack.hold(service="planning")
    copy = copied(stack, tmp_path)
    assert await stack.parts.checkout.start(booking.id) is None
    [there] = [one for one in stack.side.booked() if one.tag]
    await stack.side.owner_cancels(there.reference)
    await put_back(stack, copy)
    await stack.until_quiet()
    assert await stack.status(booking) is Status.EXPIRED
    await assert_nothing_there(stack)


async def test_a_booking_paid_and_moved_after_the_copy_stands_where_it_is(stack: Stack, tmp_path: Path) -> None:
    booking = await hold_without_details(stack, "portrait", days=5)
    copy = copied(stack, tmp_path)
    await stack.parts.checkout.add_details(booking.id, {"name": "Anna Ek", "email": ANNA})
    await stack.paid(booking)
    await stack.tick()
    moved = await stack.move(booking, await stack.in_days(9))
    assert moved.booking.starts_at != booking.starts_at
    await put_back(stack, copy)
    await assert_stands_as_it_was_made(stack, booking)
    assert (await stack.now(booking)).starts_at == moved.booking.starts_at
    assert stack.money_kept() == 120000


async def test_a_free_booking_moved_after_the_copy_stands_where_it_is(stack: Stack, tmp_path: Path) -> None:
    booking = await hold_without_details(stack, "planning", days=5)
    copy = copied(stack, tmp_path)
    await stack.parts.checkout.add_details(booking.id, {"name": "Anna Ek", "email": ANNA})
    assert await stack.parts.checkout.start(booking.id) is None
    moved = await stack.move(booking, await stack.in_days(9, service="planning"))
    await put_back(stack, copy)
    await stack.until_quiet()
    await assert_booked_once(stack, booking)
    assert (await stack.now(booking)).starts_at == moved.booking.starts_at


async def test_a_confirmed_booking_moved_after_the_copy_stands_where_it_is(stack: Stack, tmp_path: Path) -> None:
    booking = await stack.confirmed()
    copy = copied(stack, tmp_path)
    moved = await stack.move(booking, await stack.in_days(9))
    await put_back(stack, copy)
    await stack.until_quiet()
    await stack.parts.follow.booking(booking.id)
    await assert_booked_once(stack, booking)
    assert (await stack.now(booking)).starts_at == moved.booking.starts_at
    assert stack.money_kept() == 120000


# The owner moves it there, unheard, and it is called off


async def test_what_its_owner_has_moved_unheard_is_cancelled_where_it_is_now(stack: Stack) -> None:
    stack.clock.advance(MINUTE)  # no booking from before the start, of which a copy might know too little
    booking = await stack.confirmed(await stack.in_days(5))
    later = await stack.in_days(7, resource_id=booking.resource_id)
    await stack.side.owner_moves(booking.reservation.reference or "", later)
    stack.side.faults.append(Fault("error_before", times=None))
    await stack.cancel(booking)
    stack.side.faults.clear()
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CANCELED
    await assert_nothing_there(stack)


@pytest.mark.parametrize("scheduler", WEAK, indirect=True)
async def test_so_is_what_a_call_whose_answer_was_lost_had_made(stack: Stack) -> None:
    stack.clock.advance(MINUTE)
    booking = await stack.hold(await stack.in_days(5))
    later = await stack.in_days(7)
    session = await stack.at_stripe(booking)
    stack.side.faults.append(Fault("error_after", method="POST", path="(bookings|invitees)$"))
    stack.side.faults.append(Fault("error_before", method="GET", path="(bookings|scheduled_events)$", times=None))
    await stack.stripe.pay(session)
    [made] = stack.side.booked()
    await stack.side.owner_moves(made.reference, later)
    stack.side.faults.append(Fault("error_before", times=None))
    await stack.cancel(booking, by=Actor.OWNER)
    stack.side.faults.clear()
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CANCELED
    await assert_nothing_there(stack)
