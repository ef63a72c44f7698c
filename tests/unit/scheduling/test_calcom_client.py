"""What Cal.com answers, and what becomes of it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.domain.booking import Actor
from app.domain.catalogue import Location, Resource
from app.errors import (
    SchedulerDown,
    SchedulerError,
    SchedulerFailed,
    SchedulerNotFound,
    SchedulerRateLimited,
    SchedulerUnauthorized,
    SchedulerUnreachable,
)
from app.scheduling.calcom.client import versioned
from sandbox.calcom import Account
from sandbox.faults import Fault, FaultKind
from tests.support.calcom_coach import ADA, HOUR, MINUTE, TEN, CalcomCoach, open_coach, visit
from tests.support.hapio_studio import MONDAY

DAY = timedelta(days=1)


@pytest.fixture
async def coach() -> AsyncIterator[CalcomCoach]:
    async with open_coach() as coach:
        yield coach


# What there is


async def test_the_keys_owner_is_the_one_place_and_the_one_person(coach: CalcomCoach) -> None:
    [place] = await coach.scheduler.locations()
    assert place == Location(coach.owner_id, "", "Europe/London")
    assert await coach.scheduler.resources() == [Resource(coach.owner_id, "Maya Collins", 1)]
    assert await coach.scheduler.service_resource_ids(coach.session) == [coach.owner_id]


async def test_event_types_are_services_without_prices(coach: CalcomCoach) -> None:
    services = {one.name: one for one in await coach.scheduler.services()}
    assert set(services) == {"Discovery call", "Coaching session", "Interview practice"}
    session = services["Coaching session"]
    assert (session.id, session.duration, session.price) == (coach.session, HOUR, None)
    assert (session.buffer_before, session.buffer_after) == (timedelta(0), 15 * MINUTE)
    assert (session.booking_window_start, session.booking_window_end) == (4 * HOUR, None)


@pytest.mark.parametrize("switch", ["empty", "own"])
async def test_hidden_event_types_are_services_too(coach: CalcomCoach, switch: Any) -> None:
    """Hiding one is how an owner keeps it off the public page."""
    coach.sandbox.switches.event_types_without_username = switch
    await coach.set_type(hidden=True)
    assert coach.session in {one.id for one in await coach.scheduler.services()}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"lengthInMinutesOptions": [30, 60]}, "several lengths"),
        ({"seats": {"seatsPerTimeSlot": 4, "showAttendeeInfo": False, "showAvailabilityCount": True}}, "seats"),
        ({"recurrence": {"interval": 1, "occurrences": 4, "frequency": "weekly"}}, "recurs"),
        ({"confirmationPolicy": {"type": "always", "blockUnconfirmedBookingsInBooker": True}}, "confirmation"),
        ({"requiresBookerEmailVerification": True}, "verifies"),
        ({"disableCancelling": {"disabled": True}}, "cancelling is disabled"),
        ({"bookingFields": [{"type": "text", "slug": "dog", "required": True}]}, "questions (dog)"),
        ({"locations": [{"type": "attendeeAddress"}]}, "asks the customer for the place"),
    ],
)
async def test_a_service_that_cannot_be_sold_is_left_out_and_the_log_says_why(
    coach: CalcomCoach, settings: dict[str, Any], reason: str
) -> None:
    await coach.set_type(**settings)
    with capture_logs() as logs:
        left = {one.id for one in await coach.scheduler.services()}
        await coach.scheduler.services()
    assert len(left) == 2
    assert coach.session not in left
    [line] = [entry for entry in logs if entry["event"] == "service left out"]
    assert line["service"] == coach.session
    assert reason in line["reason"]


async def test_a_service_with_a_payment_app_is_left_out(coach: CalcomCoach) -> None:
    coach.sandbox.set_price(int(coach.session), 6500)
    assert coach.session not in {one.id for one in await coach.scheduler.services()}


@pytest.mark.parametrize(
    "settings",
    [
        {"bookingFields": [{"type": "text", "slug": "dog", "required": False}]},
        {"bookingFields": [{"type": "text", "slug": "dog", "required": True, "hidden": True}]},
        {"confirmationPolicy": {"disabled": True}, "seats": {"disabled": True}, "recurrence": None},
        {"disableCancelling": {"disabled": False}, "lengthInMinutesOptions": [60]},
        {"locations": [{"type": "attendeePhone"}, {"type": "address", "address": "1 High Street"}]},
    ],
)
async def test_settings_that_ask_for_nothing_do_not_keep_a_service_out(
    coach: CalcomCoach, settings: dict[str, Any]
) -> None:
    await coach.set_type(**settings)
    assert coach.session in {one.id for one in await coach.scheduler.services()}


@pytest.mark.parametrize(
    ("window", "days"),
    [
        ({"type": "calendarDays", "value": 14, "rolling": False}, 16),
        ({"type": "businessDays", "value": 10, "rolling": False}, 18),
        ({"type": "calendarDays", "value": 14, "rolling": True}, 62),
        ({"type": "range", "value": ["2026-11-01", "2026-12-24"]}, None),
        ({"disabled": True}, None),
    ],
)
async def test_a_booking_window_is_never_read_too_short(
    coach: CalcomCoach, window: dict[str, Any], days: int | None
) -> None:
    await coach.set_type(bookingWindow=window)
    ends = {one.id: one.booking_window_end for one in await coach.scheduler.services()}
    assert ends[coach.session] == (None if days is None else days * DAY)
    if days:
        times = await coach.scheduler.bookable_slots(
            coach.session, location_id=coach.owner_id, starts_from=MONDAY, ends_to=MONDAY + 90 * DAY
        )
        assert times[-1].starts_at < MONDAY + days * DAY


# Free times


async def slots(coach: CalcomCoach, starts_from: datetime, ends_to: datetime, service: str = "") -> list[datetime]:
    found = await coach.scheduler.bookable_slots(
        service or coach.session, location_id=coach.owner_id, starts_from=starts_from, ends_to=ends_to
    )
    return [slot.starts_at for slot in found]


async def test_free_times_come_in_utc_with_the_buffers_of_their_service(coach: CalcomCoach) -> None:
    [slot] = await coach.scheduler.bookable_slots(
        coach.session, location_id=coach.owner_id, starts_from=TEN, ends_to=TEN + HOUR
    )
    assert (slot.starts_at, slot.ends_at, slot.resource_ids) == (TEN, TEN + HOUR, (coach.owner_id,))
    assert slot.starts_at.tzinfo is UTC
    assert (slot.buffer_starts_at, slot.buffer_ends_at) == (TEN, TEN + 75 * MINUTE)


@pytest.mark.parametrize("quirk", ["none", "outside_range"])
async def test_times_outside_of_the_asked_interval_are_dropped(coach: CalcomCoach, quirk: Any) -> None:
    coach.sandbox.switches.slots_quirk = quirk
    midnight = datetime(2026, 11, 25, tzinfo=UTC)
    found = await slots(coach, TEN, midnight)
    assert found == sorted(set(found))
    assert found[0] == TEN
    assert found[-1] == datetime(2026, 11, 24, 16, 30, tzinfo=UTC)


async def test_no_free_times_is_an_answer(coach: CalcomCoach) -> None:
    assert await slots(coach, TEN + 4 * DAY, TEN + 5 * DAY) == []


async def test_an_event_type_that_is_gone_is_not_found(coach: CalcomCoach) -> None:
    with pytest.raises(SchedulerNotFound):
        await slots(coach, TEN, TEN + DAY, service="999999")
    with pytest.raises(SchedulerNotFound):
        await slots(coach, TEN, TEN + DAY, service="nope/../4107")


# What a booking tells


async def test_a_booking_is_read_as_it_is(coach: CalcomCoach) -> None:
    made = await coach.confirm()
    booking = await coach.scheduler.read(made.id)
    assert booking == made
    assert (booking.starts_at, booking.ends_at) == (TEN, TEN + HOUR)
    assert (booking.buffer_starts_at, booking.buffer_ends_at) == (TEN, TEN + 75 * MINUTE)
    assert (booking.service_id, booking.service_name) == (coach.session, "Coaching session")
    assert (booking.resource_id, booking.resource_name) == (coach.owner_id, "Maya Collins")
    assert (booking.location_id, booking.location_name, booking.time_zone) == (coach.owner_id, "", "Europe/London")
    assert (booking.is_canceled, booking.is_temporary, booking.price) == (False, False, None)
    assert booking.metadata["holdfast_id"] == "bk_1"
    assert booking.created_at == coach.clock()


async def test_who_canceled_is_told(coach: CalcomCoach) -> None:
    first, second = (await coach.confirm()).id, (await coach.confirm(starts_at=TEN + 4 * HOUR, tag="bk_2")).id
    coach.sandbox.cancel_as_owner(first)
    coach.sandbox.cancel_as_attendee(second)
    there = [await coach.scheduler.read(uid) for uid in (first, second)]
    assert [one.is_canceled for one in there] == [True, True]
    assert [one.canceled_by for one in there] == [Actor.OWNER, Actor.CUSTOMER]


async def test_the_letters_case_of_an_address_does_not_hide_who_canceled(coach: CalcomCoach) -> None:
    made = await coach.confirm()
    coach.sandbox.cancel_as_attendee(made.id)
    state = coach.sandbox.state
    state.change(state.bookings[made.id], cancelled_by="ADA@Example.com")
    assert (await coach.scheduler.read(made.id)).canceled_by is Actor.CUSTOMER
    state.change(state.bookings[made.id], cancelled_by=None)
    assert (await coach.scheduler.read(made.id)).canceled_by is None


async def test_a_move_there_names_what_has_taken_the_bookings_place(coach: CalcomCoach) -> None:
    made = await coach.confirm()
    moved = coach.sandbox.move_as_attendee(made.id, TEN + 4 * HOUR)
    old = await coach.scheduler.read(made.id)
    assert (old.is_canceled, old.successor, old.canceled_by) == (True, moved["uid"], Actor.CUSTOMER)
    again = coach.sandbox.move_as_owner(moved["uid"], TEN + 5 * HOUR)
    middle = await coach.scheduler.read(moved["uid"])
    assert (middle.successor, middle.canceled_by) == (again["uid"], Actor.OWNER)
    assert (await coach.scheduler.read(again["uid"])).starts_at == TEN + 5 * HOUR


async def test_an_owner_who_asks_for_a_new_time_has_canceled(coach: CalcomCoach) -> None:
    made = await coach.confirm()
    coach.sandbox.ask_for_new_time(made.id)
    there = await coach.scheduler.read(made.id)
    assert (there.is_canceled, there.successor, there.canceled_by) == (True, None, Actor.OWNER)


async def test_a_declined_booking_is_canceled_by_the_owner(coach: CalcomCoach) -> None:
    coach.sandbox.set_confirmation(int(coach.session), True)
    uid = coach.sandbox.book_as_stranger(int(coach.session), TEN)["uid"]
    assert (await coach.scheduler.read(uid)).is_temporary
    coach.sandbox.decline(uid)
    there = await coach.scheduler.read(uid)
    assert (there.is_canceled, there.is_temporary, there.canceled_by) == (True, False, Actor.OWNER)


async def test_a_booking_whose_event_type_was_deleted_can_still_be_read(coach: CalcomCoach) -> None:
    made = await coach.confirm()
    state = coach.sandbox.state
    state.change(state.bookings[made.id], event_type_id=None)
    there = await coach.scheduler.read(made.id)
    assert (there.service_id, there.service_name, there.starts_at) == (None, "", TEN)


@pytest.mark.parametrize("reference", ["", "..", "a/../b", "uid?x=1", "reservation:nope", "none:bk_1", "a b", "å"])
async def test_a_reference_that_is_no_uid_never_reaches_the_address(coach: CalcomCoach, reference: str) -> None:
    with pytest.raises(SchedulerNotFound):
        await coach.scheduler.read(reference)
    with pytest.raises(SchedulerNotFound):
        await coach.scheduler.move(reference, coach.wanted(), visit(), lock=None)
    with pytest.raises(SchedulerNotFound):
        await coach.scheduler.cancel(reference)
    assert coach.sandbox.calls == []


# Lists


async def test_a_list_is_read_to_its_last_page(coach: CalcomCoach) -> None:
    uids = {coach.sandbox.book_as_stranger(int(coach.call), start)["uid"] for start in await every_call(coach, 230)}
    coach.sandbox.calls.clear()
    assert {one.id for one in await coach.scheduler.changed(MONDAY)} == uids
    assert {one.id for one in await coach.scheduler.coming(MONDAY)} == uids
    assert len(coach.called("GET", "/bookings")) == 2 * coach.scheduler.calls_to_list(230) == 6
    assert coach.scheduler.calls_to_list(0) == 1


async def every_call(coach: CalcomCoach, number: int) -> list[datetime]:
    """So many discovery calls that leave room for one another."""
    found: list[datetime] = []
    for start in await slots(coach, MONDAY, MONDAY + 60 * DAY, service=coach.call):
        if not found or start >= found[-1] + 40 * MINUTE:
            found.append(start)
    return found[:number]


async def test_changes_are_told_from_a_moment_on_cancellations_and_both_halves_of_a_move_too(
    coach: CalcomCoach,
) -> None:
    old, canceled, moved = [
        (await coach.confirm(starts_at=TEN + start, tag=f"bk_{start}")).id for start in (0 * HOUR, 4 * HOUR, 2 * DAY)
    ]
    coach.clock.advance(HOUR)
    since = coach.clock()
    coach.sandbox.cancel_as_owner(canceled)
    new = coach.sandbox.move_as_owner(moved, TEN + 2 * DAY + 4 * HOUR)["uid"]
    changed = {one.id: one for one in await coach.scheduler.changed(since)}
    assert set(changed) == {canceled, moved, new}
    assert old not in changed
    assert (changed[moved].successor, changed[new].is_canceled) == (new, False)


async def test_what_is_to_come_is_told_by_its_end(coach: CalcomCoach) -> None:
    early, late = [(await coach.confirm(starts_at=TEN + hours * HOUR, tag=f"bk_{hours}")).id for hours in (0, 4)]
    coach.sandbox.cancel_as_owner(late)
    assert {one.id for one in await coach.scheduler.coming(TEN + 59 * MINUTE)} == {early, late}
    assert {one.id for one in await coach.scheduler.coming(TEN + HOUR)} == {late}


async def test_reservations_are_in_no_list(coach: CalcomCoach) -> None:
    await coach.lock()
    assert await coach.scheduler.locks(created_before=coach.clock() + DAY) == []
    assert await coach.scheduler.overlapping(coach.owner_id, starts_from=TEN, ends_to=TEN + HOUR) == []


# Versions, limits and failures


async def test_every_call_names_the_version_of_its_resource(coach: CalcomCoach) -> None:
    """The sandbox has no route without it, so that each of these calls would be a 404."""
    lock = await coach.lock()
    made = await coach.confirm(lock)
    moved = await coach.scheduler.move(made.id, coach.wanted(TEN + 4 * HOUR), visit(), lock=None)
    await coach.scheduler.cancel(moved.id)
    assert {call.status for call in coach.sandbox.calls} <= {200, 201}
    assert versioned("/bookings/uid/cancel") == {"cal-api-version": "2024-08-13"}
    assert versioned("/me") == {}


async def test_what_is_left_of_the_minute_is_known(coach: CalcomCoach) -> None:
    coach.sandbox.switches.rate_limit_per_minute = 120
    assert (coach.scheduler.pulse.remaining, coach.scheduler.pulse.limit) == (None, None)
    await coach.scheduler.locations()
    assert (coach.scheduler.pulse.remaining, coach.scheduler.pulse.limit) == (119, 120)
    coach.clock.advance(MINUTE)
    assert coach.scheduler.pulse.remaining is None


@pytest.mark.parametrize(
    ("header", "retry_after", "wait"), [(False, 5, 60.0), (True, 5, 5.0), (True, 3600, 60.0)], ids=str
)
async def test_a_blocked_key_waits_a_minute_or_less_if_it_is_told_so(
    coach: CalcomCoach, header: bool, retry_after: int, wait: float
) -> None:
    coach.sandbox.switches.retry_after_header = header
    coach.sandbox.faults.append(Fault("rate_limited", retry_after=retry_after))
    with pytest.raises(SchedulerRateLimited) as limited:
        await coach.scheduler.locations()
    assert limited.value.retry_after == wait
    assert coach.waits == []


@pytest.mark.parametrize("unit", ["seconds", "unix"])
async def test_the_reset_header_is_not_believed_in_either_unit(coach: CalcomCoach, unit: Any) -> None:
    coach.sandbox.switches.rate_reset = unit
    coach.sandbox.switches.rate_limit_per_minute = 1
    await coach.scheduler.locations()
    with pytest.raises(SchedulerRateLimited) as limited:
        await coach.scheduler.locations()
    assert limited.value.retry_after == 60.0


async def test_an_expired_key_is_told_apart(coach: CalcomCoach) -> None:
    coach.sandbox.expire_key()
    with pytest.raises(SchedulerUnauthorized):
        await coach.scheduler.locations()
    with pytest.raises(SchedulerUnauthorized):
        await coach.lock()
    with pytest.raises(SchedulerUnauthorized):
        await coach.confirm()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("error_before", SchedulerFailed),
        ("html_body", SchedulerFailed),
        ("truncated_json", SchedulerFailed),
        ("drop_before", SchedulerUnreachable),
        ("hang", SchedulerUnreachable),
    ],
)
async def test_a_read_is_tried_three_times(coach: CalcomCoach, kind: FaultKind, error: type[SchedulerError]) -> None:
    coach.sandbox.faults.append(Fault(kind, times=2))
    assert await coach.scheduler.locations()
    coach.sandbox.faults.append(Fault(kind, times=3))
    with pytest.raises(error) as raised:
        await coach.scheduler.locations()
    assert "getMe" in str(raised.value)


async def test_what_cal_com_says_is_in_the_error_with_and_without_the_envelope(coach: CalcomCoach) -> None:
    coach.sandbox.faults.append(Fault("error_before", times=3))
    with pytest.raises(SchedulerFailed, match="Internal server error"):
        await coach.scheduler.locations()
    with pytest.raises(SchedulerNotFound, match="was not found in the database"):
        await coach.scheduler.read("nobody")


async def test_after_repeated_failures_nothing_is_sent(coach: CalcomCoach) -> None:
    coach.sandbox.faults.append(Fault("error_before", times=None))
    for _ in range(10):
        if coach.scheduler.pulse.down:
            break
        with pytest.raises(SchedulerError):
            await coach.scheduler.locations()
    assert coach.scheduler.pulse.tripped
    before = len(coach.sandbox.calls)
    with pytest.raises(SchedulerDown):
        await coach.scheduler.locations()
    assert len(coach.sandbox.calls) == before


async def test_another_accounts_key_sees_that_account(coach: CalcomCoach) -> None:
    coach.sandbox.add_user(Account("otto", "Otto Other", "otto@example.test", "Europe/Berlin"), "cal_otto")
    other = coach.make_scheduler("cal_otto")
    [place] = await other.locations()
    assert place.id != coach.owner_id
    assert await other.services() == []


async def test_no_name_and_no_address_is_logged(coach: CalcomCoach) -> None:
    coach.sandbox.block_attendee(ADA.email)
    with capture_logs() as logs, pytest.raises(SchedulerError):
        await coach.confirm()
    told = repr(logs).lower()
    assert "ada" not in told
    assert "cal_sandbox" not in told
