"""Bookings that change in the Cal.com sandbox: moved, cancelled, asked for again, and found in the list."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from sandbox.calcom import BadControl, CalcomSandbox
from sandbox.clock import Clock
from tests.contract.calcom_fixtures import ATTENDEE, CANCELLED, Coach, Json
from tests.support.calcom_account import FRIDAY, Receiver, instant, subscribe


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


# moves, cancellations


async def test_a_move_by_the_attendee_waits_for_the_owner_and_one_by_the_owner_does_not(
    sandbox: CalcomSandbox, coach: Coach
) -> None:
    kind = await coach.event_type()
    mine, theirs = await coach.booked(kind, "10:00"), await coach.booked(kind, "11:00")
    sandbox.set_confirmation(kind, True)
    assert sandbox.move_as_owner(mine["uid"], instant(coach, "14:00"))["status"] == "accepted"
    assert sandbox.move_as_attendee(theirs["uid"], instant(coach, "15:00"))["status"] == "pending"


async def test_a_move_tells_who_moved_it_on_both_halves(sandbox: CalcomSandbox, coach: Coach) -> None:
    made = await coach.booked(await coach.event_type(), "10:00")
    new = sandbox.move_as_attendee(made["uid"], instant(coach, "14:00"), "Rain")
    assert new["rescheduledByEmail"] == ATTENDEE["email"]
    assert new["reschedulingReason"] == "Rain"
    old = await coach.read(made["uid"])
    assert old["rescheduledByEmail"] == ATTENDEE["email"]
    assert old["cancelledByEmail"] is None
    assert "rescheduledToUid" not in new


async def test_what_was_paid_at_cal_com_stays_paid_after_a_move(
    sandbox: CalcomSandbox, receiver: Receiver, coach: Coach
) -> None:
    kind = await coach.event_type()
    free = await coach.booked(kind, "10:00")
    sandbox.set_price(kind, 5000)
    await subscribe(coach)
    paid = sandbox.pay_at_calcom((await coach.booked(kind, "11:00"))["uid"])
    assert paid["status"] == "accepted"
    assert (await coach.move(free["uid"], "14:00")).json()["data"]["status"] == "pending"
    assert (await coach.move(paid["uid"], "15:00")).json()["data"]["status"] == "accepted"
    await sandbox.deliver_due()
    assert receiver.triggers[:3] == ["BOOKING_PAYMENT_INITIATED", "BOOKING_PAID", "BOOKING_CREATED"]


async def test_moving_can_be_disabled_for_attendees_wholly_or_close_to_the_start(
    clock: Clock, sandbox: CalcomSandbox, coach: Coach
) -> None:
    kind = await coach.event_type()
    made = await coach.booked(kind, "10:00")
    sandbox.set_rescheduling(kind, False)
    with pytest.raises(BadControl, match="403"):
        sandbox.move_as_attendee(made["uid"], instant(coach, "11:00"))
    sandbox.set_rescheduling(kind, True, minutes_before=240)
    clock.set(instant(coach, "08:30"))
    with pytest.raises(BadControl, match="403"):
        sandbox.move_as_attendee(made["uid"], instant(coach, "11:00"))
    moved = (await coach.move(made["uid"], "11:00")).json()["data"]
    sandbox.switches.disabled_rescheduling_binds_owner = True
    assert (await coach.move(moved["uid"], "12:00")).status_code == 403


async def test_a_cancelled_booking_is_moved_only_where_its_type_allows_it(coach: Coach) -> None:
    kind = await coach.event_type(allowReschedulingCancelledBookings=True)
    made = await coach.booked(kind, "10:00")
    await coach.cancel(made["uid"], **CANCELLED)
    assert (await coach.move(made["uid"], "14:00")).status_code == 201


async def test_a_host_who_asks_for_a_new_time_leaves_no_successor_until_the_attendee_picks_one(
    sandbox: CalcomSandbox, receiver: Receiver, coach: Coach
) -> None:
    made = await coach.booked(await coach.event_type(), "10:00", metadata={"holdfast_id": "bk_1"})
    await subscribe(coach)
    sandbox.ask_for_new_time(made["uid"])
    read = await coach.read(made["uid"])
    assert (read["status"], read["cancelledByEmail"]) == ("cancelled", sandbox.owner.email)
    assert "rescheduledToUid" not in read
    assert (await coach.move(made["uid"], "14:00")).status_code == 400
    picked = sandbox.move_as_attendee(made["uid"], instant(coach, "14:00"))
    assert (await coach.read(made["uid"]))["rescheduledToUid"] == picked["uid"]
    assert picked["metadata"] == {"holdfast_id": "bk_1"}
    await sandbox.deliver_due()
    assert receiver.triggers == ["BOOKING_CANCELLED", "BOOKING_RESCHEDULED"]
    assert receiver.events[0]["payload"]["requestReschedule"] is True


async def test_a_move_decided_in_a_race_does_not_bring_back_a_cancelled_booking(
    sandbox: CalcomSandbox, coach: Coach
) -> None:
    made = await coach.booked(await coach.event_type(), "10:00")
    sandbox.switches.race_mode = "gap"
    moved, cancelled = await asyncio.gather(coach.move(made["uid"], "14:00"), coach.cancel(made["uid"], **CANCELLED))
    assert (moved.status_code, cancelled.status_code) == (400, 200)
    assert len(sandbox.state.bookings) == 1


async def test_who_cancelled_is_told_by_address(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    by_link, by_owner = await coach.booked(kind, "10:00"), await coach.booked(kind, "11:00")
    by_nobody = await coach.booked(kind, "12:00")
    assert sandbox.cancel_as_attendee(by_link["uid"])["cancelledByEmail"] == ATTENDEE["email"]
    assert sandbox.cancel_as_owner(by_owner["uid"])["cancelledByEmail"] == sandbox.owner.email
    anonymous = await coach.call("POST", f"bookings/{by_nobody['uid']}/cancel", {}, anonymous=True)
    assert anonymous.json()["data"]["cancelledByEmail"] is None


async def test_what_is_over_is_not_cancelled_and_absence_can_be_marked(
    clock: Clock, sandbox: CalcomSandbox, receiver: Receiver, coach: Coach
) -> None:
    made = await coach.booked(await coach.event_type(), "10:00")
    await subscribe(coach)
    clock.set(instant(coach, "10:31"))
    assert (await coach.cancel(made["uid"], **CANCELLED)).status_code == 400
    body = {"attendees": [{"email": ATTENDEE["email"], "absent": True}]}
    marked = (await coach.call("POST", f"bookings/{made['uid']}/mark-absent", body)).json()["data"]
    assert marked["attendees"][0]["absent"] is True
    assert marked["absentHost"] is False
    await sandbox.deliver_due()
    assert receiver.triggers == ["BOOKING_NO_SHOW_UPDATED"]


async def test_disabled_cancelling_stops_the_links_in_the_mail_too(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    made = await coach.booked(kind, "10:00")
    sandbox.set_cancelling(kind, False)
    for cancel in (sandbox.cancel_as_attendee, sandbox.cancel_as_owner):
        with pytest.raises(BadControl, match="does not allow cancellations"):
            cancel(made["uid"])
    sandbox.set_cancelling(kind, True)
    sandbox.cancel_as_owner(made["uid"])


# the list


async def test_the_list_can_be_behind_and_a_single_read_is_not(
    clock: Clock, sandbox: CalcomSandbox, coach: Coach
) -> None:
    kind = await coach.event_type()
    sandbox.switches.list_lag_seconds = 10
    made = await coach.booked(kind, "10:00")
    assert await coach.get("bookings") == []
    assert (await coach.read(made["uid"]))["status"] == "accepted"
    clock.advance(timedelta(seconds=10))
    assert [one["status"] for one in await coach.get("bookings")] == ["accepted"]
    await coach.cancel(made["uid"], **CANCELLED)
    assert [one["status"] for one in await coach.get("bookings")] == ["accepted"]
    clock.advance(timedelta(seconds=10))
    assert [one["status"] for one in await coach.get("bookings")] == ["cancelled"]


async def test_every_change_is_found_by_when_it_was_made(clock: Clock, sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    moved, stays = await coach.booked(kind, "10:00"), await coach.booked(kind, "11:00")
    clock.advance(timedelta(minutes=1))
    since = clock().strftime("%Y-%m-%dT%H:%M:%SZ")
    new = sandbox.move_as_owner(moved["uid"], instant(coach, "14:00"))
    changed = await coach.get("bookings", afterUpdatedAt=since, sortUpdatedAt="asc")
    assert {one["uid"] for one in changed} == {moved["uid"], new["uid"]}
    assert stays["uid"] not in {one["uid"] for one in changed}


@pytest.mark.parametrize(
    "query",
    [{"take": 0}, {"take": 251}, {"skip": -1}, {"status": "gone"}, {"sortStart": "up"}, {"afterStart": "noon"}],
    ids=lambda query: next(iter(query)),
)
async def test_a_list_with_a_wrong_parameter_is_refused(coach: Coach, query: Json) -> None:
    assert (await coach.call("GET", "bookings", params=query)).status_code == 400


async def test_event_types_without_a_name_are_none_or_ones_own(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    assert await coach.get("event-types") == []
    sandbox.switches.event_types_without_username = "own"
    assert [one["id"] for one in await coach.get("event-types")] == [kind]


async def test_the_bookings_of_a_deleted_event_type_stay(coach: Coach) -> None:
    kind = await coach.event_type()
    made = await coach.booked(kind, "10:00")
    assert (await coach.call("DELETE", f"event-types/{kind}")).status_code == 200
    read = await coach.read(made["uid"])
    assert (read["status"], read["eventType"]) == ("accepted", None)


async def test_without_its_default_a_schedule_takes_its_place(sandbox: CalcomSandbox, coach: Coach) -> None:
    default = (await coach.get("schedules/default"))["id"]
    other = await coach.schedule()
    assert (await coach.call("DELETE", f"schedules/{default}")).status_code == 200
    assert (await coach.get("me"))["defaultScheduleId"] == other
