"""Slots, reservations and new bookings in the Cal.com sandbox, and its answers to what is not known of them."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from sandbox.calcom import BadControl, CalcomSandbox
from sandbox.clock import Clock
from tests.contract.calcom_fixtures import ATTENDEE, CANCELLED, Coach, Json
from tests.support.calcom_account import CONFIRMED_BY_HAND, FRIDAY, OTTO, Receiver, instant, message, subscribe


@pytest.fixture
def clock() -> Clock:
    """Stand still on a Friday morning."""
    return Clock(FRIDAY)


@pytest.fixture
def receiver() -> Receiver:
    """Someone who is told."""
    return Receiver()


@pytest.fixture
async def sandbox(clock: Clock, receiver: Receiver) -> AsyncIterator[CalcomSandbox]:
    """An account without event types."""
    transport = httpx.ASGITransport(app=receiver)
    async with httpx.AsyncClient(transport=transport) as client:
        yield CalcomSandbox(now=clock, webhook_client=client)


@pytest.fixture
async def client(sandbox: CalcomSandbox) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the owner's key."""
    headers = {"authorization": f"Bearer {sandbox.token}"}
    transport = sandbox.transport()
    async with httpx.AsyncClient(transport=transport, base_url="http://cal.test/v2", headers=headers) as client:
        yield client


@pytest.fixture
def coach(client: httpx.AsyncClient, clock: Clock) -> Coach:
    """Shorthands for making things."""
    return Coach(client, clock, random.Random(1))


# reservations


async def race(coach: Coach, *calls: Callable[[], Any]) -> list[int]:
    """Make calls at once and return the statuses."""
    answers = await asyncio.gather(*(call() for call in calls))
    return sorted(answer.status_code for answer in answers)


@pytest.mark.parametrize("parties", [0, 3])
async def test_parallel_reservations_of_one_time_all_succeed_in_the_gap(
    sandbox: CalcomSandbox, coach: Coach, parties: int
) -> None:
    kind = await coach.event_type()
    reserve = [lambda: coach.reserve(kind, "10:00")] * 3
    sandbox.switches.update({"race_mode": "gap", "race_parties": parties})
    assert await race(coach, *reserve) == [201, 201, 201]
    sandbox.state.reservations.clear()
    sandbox.switches.race_mode = "atomic"
    assert await race(coach, *reserve) == [201, 422, 422]


async def test_a_reservation_lapses_by_the_clock_and_is_shown_until_a_listing_cleans_up(
    clock: Clock, coach: Coach
) -> None:
    kind = await coach.event_type()
    path = f"slots/reservations/{(await coach.reserved(kind, '10:00', reservationDuration=60))['reservationUid']}"
    clock.advance(timedelta(minutes=59))
    assert "10:00" not in await coach.starts(kind)
    clock.advance(timedelta(minutes=1))
    assert (await coach.get(path))["slotStart"] == instant(coach, "10:00").strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert "10:00" in await coach.starts(kind)
    assert await coach.get(path) is None


async def test_a_lapsed_reservation_is_in_nobodys_way(clock: Clock, coach: Coach) -> None:
    kind, other = await coach.event_type(), await coach.event_type()
    await coach.reserved(kind, "10:00")
    clock.advance(timedelta(minutes=5))
    assert "10:00" in await coach.starts(other)
    await coach.reserved(kind, "10:00")


async def test_a_stranger_with_a_key_reserves_for_five_minutes_and_no_longer(
    sandbox: CalcomSandbox, client: httpx.AsyncClient, coach: Coach
) -> None:
    kind = await coach.event_type()
    sandbox.add_user(OTTO, "cal_otto")
    client.headers["authorization"] = "Bearer cal_otto"
    assert (await coach.reserve(kind, "10:00", reservationDuration=10)).status_code == 403
    assert (await coach.reserve(kind, "10:00")).status_code == 201


async def test_reservations_may_have_a_longest_life(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    await coach.reserved(kind, "09:00", reservationDuration=100_000)
    sandbox.switches.reservation_cap_minutes = 60
    assert (await coach.reserve(kind, "10:00", reservationDuration=61)).status_code == 400
    await coach.reserved(kind, "10:00", reservationDuration=60)


async def test_a_stranger_books_what_we_reserved(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    await coach.reserved(kind, "10:00", reservationDuration=60)
    assert sandbox.book_as_stranger(kind, instant(coach, "10:00"))["status"] == "accepted"
    assert (await coach.book(kind, "10:00")).status_code == 400


async def test_a_create_may_be_made_to_look_at_reservations(clock: Clock, sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    made = await coach.reserved(kind, "10:00", reservationDuration=60)
    sandbox.switches.reservation_enforced = True
    clock.advance(timedelta(minutes=10))
    refused = await coach.book(kind, "10:00")
    assert refused.status_code == 409
    assert "3000 seconds" in message(refused)
    await coach.call("DELETE", f"slots/reservations/{made['reservationUid']}")
    await coach.booked(kind, "10:00")


# create


async def test_one_of_five_bookings_of_one_time_succeeds_when_the_check_is_atomic(coach: Coach) -> None:
    kind = await coach.event_type()
    assert await race(coach, *[lambda: coach.book(kind, "10:00")] * 5) == [201, 400, 400, 400, 400]


async def test_exact_twins_meet_the_unique_key_in_the_gap(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind, twin = await coach.event_type(), await coach.event_type()
    sandbox.switches.race_mode = "gap"
    assert await race(coach, lambda: coach.book(kind, "10:00"), lambda: coach.book(twin, "10:00")) == [201, 409]
    assert len(sandbox.state.bookings) == 1


async def test_overlaps_that_are_no_twins_both_succeed_in_the_gap(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind, longer = await coach.event_type(), await coach.event_type(lengthInMinutes=60)
    sandbox.switches.update({"race_mode": "gap", "race_parties": 2})
    assert await race(coach, lambda: coach.book(kind, "10:00"), lambda: coach.book(longer, "10:00")) == [201, 201]


async def test_the_key_of_a_cancelled_booking_is_free_again(coach: Coach) -> None:
    kind = await coach.event_type()
    first = await coach.booked(kind, "10:00")
    await coach.cancel(first["uid"], **CANCELLED)
    again = await coach.booked(kind, "10:00")
    assert again["uid"] != first["uid"]


async def test_taken_is_a_400_or_a_409(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    await coach.booked(kind, "10:00")
    assert message(await coach.book(kind, "10:00")) == (
        "User either already has booking at this time or is not available"
    )
    sandbox.switches.taken_status = 409
    assert (await coach.book(kind, "10:00")).status_code == 409


async def test_a_blocked_attendee_is_told_so_or_deceived(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    sandbox.block_attendee(ATTENDEE["email"].upper())
    assert (await coach.book(kind, "10:00")).status_code == 403
    sandbox.switches.decoy = True
    decoy = (await coach.book(kind, "10:00")).json()["data"]
    assert (decoy["id"], decoy["status"]) == (0, "accepted")
    assert sandbox.state.bookings == {}
    assert (await coach.call("GET", f"bookings/{decoy['uid']}")).status_code == 404


async def test_a_price_makes_bookings_pending_and_confirming_asks_for_no_money(
    sandbox: CalcomSandbox, receiver: Receiver, coach: Coach
) -> None:
    kind = await coach.event_type()
    await subscribe(coach)
    assert sandbox.set_price(kind, 5000)["price"] == 5000
    made = await coach.booked(kind, "10:00")
    assert made["status"] == "pending"
    assert not {"price", "paid"} & set(made)
    assert (await coach.call("POST", f"bookings/{made['uid']}/confirm")).json()["data"]["status"] == "accepted"
    await sandbox.deliver_due()
    assert receiver.triggers == ["BOOKING_PAYMENT_INITIATED", "BOOKING_CREATED"]
    sandbox.set_price(kind, 0)
    assert (await coach.booked(kind, "11:00"))["status"] == "accepted"


async def test_confirmation_can_be_asked_for_short_notice_alone(clock: Clock, coach: Coach) -> None:
    policy = CONFIRMED_BY_HAND | {"type": "time", "noticeThreshold": {"unit": "hours", "count": 24}}
    kind = await coach.event_type(confirmationPolicy=policy)
    assert (await coach.booked(kind, "10:00"))["status"] == "accepted"
    clock.set(instant(coach, "10:00") - timedelta(hours=12))
    assert (await coach.booked(kind, "11:00"))["status"] == "pending"


async def test_pending_bookings_block_their_own_type_where_it_says_so(coach: Coach) -> None:
    policy = CONFIRMED_BY_HAND | {"blockUnconfirmedBookingsInBooker": True}
    kind, other = await coach.event_type(confirmationPolicy=policy), await coach.event_type()
    await coach.booked(kind, "10:00")
    assert "10:00" not in await coach.starts(kind)
    assert "10:00" in await coach.starts(other)


async def test_a_confirmation_does_not_look_at_what_else_is_at_that_time(coach: Coach) -> None:
    waiting, other = await coach.event_type(confirmationPolicy=CONFIRMED_BY_HAND), await coach.event_type()
    pending = await coach.booked(waiting, "10:00")
    await coach.booked(other, "10:00")
    confirmed = await coach.call("POST", f"bookings/{pending['uid']}/confirm")
    assert confirmed.json()["data"]["status"] == "accepted"


async def test_a_cancelled_booking_is_confirmed_only_where_it_is_switched_so(
    sandbox: CalcomSandbox, coach: Coach
) -> None:
    made = await coach.booked(await coach.event_type(), "10:00")
    await coach.cancel(made["uid"], **CANCELLED)
    refused = await coach.call("POST", f"bookings/{made['uid']}/confirm")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "TRPCError")
    sandbox.switches.confirm_from_cancelled = "resurrects"
    assert (await coach.call("POST", f"bookings/{made['uid']}/confirm")).json()["data"]["status"] == "accepted"


async def test_another_user_manages_nothing_of_ours(
    sandbox: CalcomSandbox, client: httpx.AsyncClient, coach: Coach
) -> None:
    kind = await coach.event_type(confirmationPolicy=CONFIRMED_BY_HAND, bookingRequiresAuthentication=True)
    made = await coach.booked(kind, "10:00")
    schedule = await coach.schedule()
    sandbox.add_user(OTTO, "cal_otto")
    client.headers["authorization"] = "Bearer cal_otto"
    assert (await coach.call("POST", f"bookings/{made['uid']}/confirm")).status_code == 403
    assert (await coach.call("GET", f"event-types/{kind}")).status_code == 404
    assert (await coach.call("GET", f"schedules/{schedule}")).status_code == 403
    assert (await coach.book(kind, "11:00")).status_code == 403
    assert await coach.get("bookings") == []


async def test_a_public_page_may_stay_open_when_the_api_is_closed(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type(bookingRequiresAuthentication=True)
    sandbox.book_as_stranger(kind, instant(coach, "10:00"))
    sandbox.switches.page_requires_authentication = True
    with pytest.raises(BadControl, match="401"):
        sandbox.book_as_stranger(kind, instant(coach, "11:00"))


async def test_a_managed_parent_has_neither_slots_nor_bookings(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    sandbox.set_managed_parent(kind, True)
    params = {"eventTypeId": kind, "start": coach.at("00:00"), "end": coach.at("23:30")}
    assert (await coach.call("GET", "slots", params=params)).status_code == 400
    assert "parent managed event type" in message(await coach.book(kind, "10:00"))


async def test_an_email_that_must_be_verified_needs_the_code(coach: Coach) -> None:
    kind = await coach.event_type(requiresBookerEmailVerification=True)
    assert (await coach.book(kind, "10:00")).status_code == 400
    await coach.booked(kind, "10:00", emailVerificationCode="123456")


async def test_so_many_bookings_a_day_and_no_more(coach: Coach) -> None:
    kind = await coach.event_type(bookingLimitsCount={"day": 1})
    made = await coach.booked(kind, "10:00")
    assert await coach.starts(kind) == []
    assert (await coach.book(kind, "14:00")).status_code == 400
    assert (await coach.move(made["uid"], "14:00")).status_code == 201


async def test_a_type_of_variable_length_is_booked_in_the_length_that_was_asked_for(coach: Coach) -> None:
    kind = await coach.event_type(lengthInMinutesOptions=[30, 90])
    assert "16:00" not in await coach.starts(kind, duration=90)
    assert (await coach.booked(kind, "10:00", lengthInMinutes=90))["duration"] == 90
    assert (await coach.book(kind, "14:00", lengthInMinutes=45)).status_code == 400


async def test_a_phone_number_stands_for_an_email_only_where_the_type_says_so(coach: Coach) -> None:
    texting = {"name": "Ada Example", "timeZone": "Europe/Stockholm", "phoneNumber": "+46701234567"}
    plain = await coach.event_type()
    refused = await coach.book(plain, "10:00", attendee=texting)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "BAD_REQUEST")
    assert message(refused) == "responses - {email}error_required_field"
    fields: list[Json] = [
        {"type": "email", "required": False},
        {"type": "phone", "slug": "attendeePhoneNumber", "required": True},
    ]
    by_phone = await coach.event_type(bookingFields=fields)
    made = await coach.booked(by_phone, "10:00", attendee=texting)
    assert made["attendees"][0]["phoneNumber"] == "+46701234567"
    assert (await coach.book(by_phone, "11:00")).status_code == 400


async def test_a_place_that_the_attendee_names_must_be_named(coach: Coach) -> None:
    kind = await coach.event_type(locations=[{"type": "attendeePhone"}])
    assert (await coach.book(kind, "10:00")).status_code == 400
    made = await coach.booked(kind, "10:00", location={"type": "attendeePhone", "phone": "+46701234567"})
    assert made["location"] == "+46701234567"


async def test_answers_are_held_to_their_kind(coach: Coach) -> None:
    fields: list[Json] = [
        {"type": "number", "slug": "age", "label": "Age"},
        {"type": "select", "slug": "level", "label": "Level", "options": ["new", "old"]},
    ]
    kind = await coach.event_type(bookingFields=fields)
    assert (await coach.book(kind, "10:00", bookingFieldsResponses={"age": "forty"})).status_code == 400
    assert (await coach.book(kind, "10:00", bookingFieldsResponses={"level": "odd"})).status_code == 400
    await coach.booked(kind, "10:00", bookingFieldsResponses={"age": 40, "level": "new"})


# seats


async def test_seats_are_shared_until_they_are_gone(coach: Coach) -> None:
    seats = {"seatsPerTimeSlot": 2, "showAttendeeInfo": True, "showAvailabilityCount": True}
    kind = await coach.event_type(seats=seats)
    first = await coach.booked(kind, "10:00")
    second = await coach.booked(kind, "10:00", attendee=ATTENDEE | {"email": "bo@example.com"})
    assert second["uid"] == first["uid"]
    assert (await coach.book(kind, "10:00", attendee=ATTENDEE | {"email": "cy@example.com"})).status_code == 409
    assert (await coach.reserve(kind, "10:00")).status_code == 422
    slots = (await coach.slots(kind))[coach.day.isoformat()]
    assert "10:00" not in [one["start"][11:16] for one in slots]
    assert slots[0]["seatsRemaining"] == 2


async def test_a_seat_is_given_up_and_the_last_one_ends_the_booking(coach: Coach) -> None:
    seats = {"seatsPerTimeSlot": 2, "showAttendeeInfo": True, "showAvailabilityCount": True}
    kind = await coach.event_type(seats=seats)
    await coach.booked(kind, "10:00")
    made = await coach.booked(kind, "10:00", attendee=ATTENDEE | {"email": "bo@example.com"})
    one, two = (each["seatUid"] for each in made["attendees"])
    left = (await coach.cancel(made["uid"], seatUid=one)).json()["data"]
    assert (left["status"], len(left["attendees"])) == ("accepted", 1)
    assert (await coach.cancel(made["uid"], seatUid=one)).status_code == 400
    assert (await coach.cancel(made["uid"], seatUid=two)).json()["data"]["status"] == "cancelled"
    older = await coach.read(made["uid"])
    newer = await coach.call("GET", f"bookings/{made['uid']}", version="2026-02-25")
    assert older["attendees"] == []
    assert len(newer.json()["data"]["attendees"]) == 1


# slots


async def test_slots_can_be_wrong_as_they_have_been_there(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    narrow = {"start": coach.at("09:00"), "end": coach.at("10:00")}
    assert await coach.starts(kind, **narrow) == ["09:00", "09:30", "10:00"]
    sandbox.switches.slots_quirk = "outside_range"
    assert "16:30" in await coach.starts(kind, **narrow)
    sandbox.switches.slots_quirk = "empty"
    assert await coach.slots(kind) == {}


async def test_an_end_at_midnight_means_the_day_that_begins_then(coach: Coach) -> None:
    kind = await coach.event_type(lengthInMinutes=480)
    day = coach.day.isoformat()
    assert day in await coach.slots(kind, start=f"{day}T00:00:00Z", end=f"{day}T00:00:00Z", timeZone="UTC")


async def test_the_grid_begins_again_after_each_busy_time(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type(lengthInMinutes=60)
    sandbox.add_calendar_block(instant(coach, "10:00"), instant(coach, "10:10"))
    assert (await coach.starts(kind))[:3] == ["09:00", "11:00", "12:00"]
    often = await coach.event_type(lengthInMinutes=60, slotInterval=15)
    assert (await coach.starts(often))[:3] == ["09:00", "10:15", "10:30"]


async def test_the_owners_calendar_hides_times_and_leaves_bookings_alone(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    made = await coach.booked(kind, "10:00")
    block = sandbox.add_calendar_block(instant(coach, "10:00"), instant(coach, "12:00"))
    assert (await coach.read(made["uid"]))["status"] == "accepted"
    assert "11:30" not in await coach.starts(kind)
    assert (await coach.book(kind, "11:00")).status_code == 400
    sandbox.remove_calendar_block(block)
    assert "11:30" in await coach.starts(kind)


async def test_two_hosts_are_in_nobodys_way(sandbox: CalcomSandbox, client: httpx.AsyncClient, coach: Coach) -> None:
    kind = await coach.event_type()
    await coach.booked(kind, "10:00")
    await coach.reserved(kind, "11:00")
    sandbox.add_user(OTTO, "cal_otto")
    client.headers["authorization"] = "Bearer cal_otto"
    otto = Coach(client, lambda: FRIDAY, random.Random(1))
    his = await otto.event_type()
    assert {"10:00", "11:00"} <= set(await otto.starts(his))
    await otto.booked(his, "10:00")


async def test_changed_hours_count_at_once(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type(scheduleId=None)
    day = coach.day.isoformat()
    sandbox.change_hours(
        [], overrides=[{"date": day, "startTime": "18:00", "endTime": "19:00"}], time_zone=coach.zone.key
    )
    assert await coach.starts(kind) == ["18:00", "18:30"]
    with pytest.raises(BadControl):
        sandbox.change_hours([{"days": ["Someday"], "startTime": "09:00", "endTime": "17:00"}])


async def test_a_window_counts_working_days_or_names_its_dates(coach: Coach) -> None:
    day = coach.day
    named = await coach.event_type(bookingWindow={"type": "range", "value": [day.isoformat(), day.isoformat()]})
    before = await coach.event_type(
        bookingWindow={"type": "range", "value": ["2026-11-20", (day - timedelta(days=1)).isoformat()]}
    )
    soon = await coach.event_type(bookingWindow={"type": "businessDays", "value": 5})
    assert await coach.starts(named) != []
    assert await coach.starts(before) == await coach.starts(soon) == []
