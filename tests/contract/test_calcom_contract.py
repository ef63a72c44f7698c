"""What the product relies on at Cal.com (API v2), asked over plain HTTP.

Runs against the sandbox, or against the real service when CALCOM_CONTRACT_TOKEN is set (an account for nothing else;
about 450 requests). Only documented or observed behaviour is asserted here; the sandbox's own choices have unit tests.
"""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sandbox.clock import Clock
from tests.contract.calcom_fixtures import ATTENDEE, CANCELLED, Coach, contract_client

UNKNOWN_UID = "00000000-0000-4000-8000-000000000000"
CONFIRMED_BY_HAND = {"type": "always", "blockUnconfirmedBookingsInBooker": False}


@pytest.fixture
async def coach() -> AsyncIterator[Coach]:
    """Give an account and clean up afterwards what was made in it."""
    async with contract_client() as client:
        coach = Coach(client, Clock(), random.SystemRandom())
        yield coach
        await coach.clean_up()


def refused(response: httpx.Response, *statuses: int) -> str:
    """Hold a refusal to its status and its envelope, and return its message."""
    assert response.status_code in statuses, response.text
    body = response.json()
    assert body["status"] == "error"
    assert body["error"]["code"]
    return str(body["error"]["message"])


# transport


async def test_a_wrong_key_is_turned_away(coach: Coach) -> None:
    coach.call.client.headers["authorization"] = "Bearer cal_nonsense"
    refused(await coach.call("GET", "me"), 401)


async def test_the_owner_of_a_key_has_a_name_and_a_time_zone(coach: Coach) -> None:
    me = await coach.get("me")
    assert me["id"] > 0
    assert me["username"]
    assert me["timeZone"]


async def test_who_has_no_key_learns_nothing_about_the_owner(coach: Coach) -> None:
    refused(await coach.call("GET", "me", anonymous=True), 401)
    refused(await coach.call("GET", "bookings", anonymous=True), 401)


async def test_every_answer_has_an_id_and_tells_how_many_requests_are_left(coach: Coach) -> None:
    first, second = await coach.call("GET", "me"), await coach.call("GET", "me")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert int(first.headers["x-ratelimit-limit-default"]) > 0
    assert int(first.headers["x-ratelimit-reset-default"]) > 0
    assert int(second.headers["x-ratelimit-remaining-default"]) < int(first.headers["x-ratelimit-limit-default"])


@pytest.mark.parametrize("version", ["", '"2024-09-04"'], ids=["missing", "in quotes"])
async def test_without_its_version_the_answer_is_not_the_one_we_read(coach: Coach, version: str) -> None:
    kind = await coach.event_type()
    params = {"eventTypeId": kind, "start": coach.at("00:00"), "end": coach.at("23:30")}
    response = await coach.call("GET", "slots", params=params, version=version)
    assert response.status_code != 200 or coach.day.isoformat() not in response.json()["data"]


# set-up


async def test_what_the_api_has_no_input_for_is_dropped_without_a_word(coach: Coach) -> None:
    kind = await coach.event_type(price=5000, currency="gbp", no_such_setting=1)
    read = await coach.get(f"event-types/{kind}")
    assert read["price"] == 0
    assert "no_such_setting" not in read


async def test_an_event_type_is_found_under_its_owners_name(coach: Coach) -> None:
    kind = await coach.event_type(title="Discovery call", description="Free")
    me = await coach.get("me")
    found = {one["id"]: one for one in await coach.get("event-types", username=me["username"])}
    assert found[kind]["title"] == "Discovery call"
    assert found[kind]["lengthInMinutes"] == 30
    assert found[kind]["ownerId"] == me["id"]
    assert found[kind]["confirmationPolicy"] == {"disabled": True}


async def test_a_hidden_event_type_is_listed_for_its_owner_alone(coach: Coach) -> None:
    kind = await coach.event_type(hidden=True)
    params = {"username": (await coach.get("me"))["username"]}
    stranger = await coach.call("GET", "event-types", params=params, anonymous=True)
    assert kind in [one["id"] for one in await coach.get("event-types", **params)]
    assert kind not in [one["id"] for one in stranger.json()["data"]]


async def test_an_event_type_is_changed_field_by_field(coach: Coach) -> None:
    kind = await coach.event_type()
    response = await coach.call("PATCH", f"event-types/{kind}", {"lengthInMinutes": 45})
    assert response.status_code == 200
    read = await coach.get(f"event-types/{kind}")
    assert (read["lengthInMinutes"], read["title"]) == (45, "Contract")


@pytest.mark.parametrize("wrong", [{"lengthInMinutes": 0}, {"lengthInMinutes": "30"}, {"title": None}])
async def test_an_event_type_with_a_wrong_field_is_refused(coach: Coach, wrong: dict[str, Any]) -> None:
    body = {"title": "Wrong", "slug": "contract-wrong", "lengthInMinutes": 30} | wrong
    refused(await coach.call("POST", "event-types", body), 400)


async def test_a_patch_of_a_schedule_replaces_each_array_that_it_carries(coach: Coach) -> None:
    schedule = await coach.schedule()
    monday = [{"days": ["Monday"], "startTime": "10:00", "endTime": "11:00"}]
    assert (await coach.call("PATCH", f"schedules/{schedule}", {"availability": monday})).status_code == 200
    read = await coach.get(f"schedules/{schedule}")
    assert read["availability"] == monday
    assert [one["date"] for one in read["overrides"]] == [coach.day.isoformat()]
    assert read["isDefault"] is False


async def test_the_default_schedule_is_the_one_that_the_owner_names(coach: Coach) -> None:
    me, default = await coach.get("me"), await coach.get("schedules/default")
    assert default["id"] == me["defaultScheduleId"]
    assert default["isDefault"] is True


# slots


async def test_slots_are_the_open_hours_in_steps_of_the_length(coach: Coach) -> None:
    kind = await coach.event_type(lengthInMinutes=60)
    hours = ["09:00", "10:00", "11:00", "12:00", "13:00", "14:00", "15:00", "16:00"]
    assert await coach.starts(kind) == hours


async def test_slots_carry_the_offset_of_the_zone_that_was_asked_for(coach: Coach) -> None:
    kind = await coach.event_type()
    slots = (await coach.slots(kind))[coach.day.isoformat()]
    start, end = (datetime.fromisoformat(slots[0][edge]) for edge in ("start", "end"))
    assert start.utcoffset() == start.astimezone(coach.zone).utcoffset() != timedelta(0)
    assert end - start == timedelta(minutes=30)
    assert start.astimezone(UTC) == datetime.fromisoformat(coach.at("09:00"))


async def test_a_plain_date_means_the_whole_day_and_the_plain_format_has_no_end(coach: Coach) -> None:
    kind = await coach.event_type(lengthInMinutes=240)
    day = coach.day.isoformat()
    found = await coach.slots(kind, start=day, end=day, format="time", timeZone="UTC")
    assert [set(one) for one in found[day]] == [{"start"}, {"start"}]


async def test_a_day_without_slots_is_left_out(coach: Coach) -> None:
    kind = await coach.event_type()
    assert await coach.slots(kind, start=coach.at("18:00"), end=coach.at("23:00")) == {}


async def test_a_window_that_ends_before_it_begins_is_refused(coach: Coach) -> None:
    kind = await coach.event_type()
    params = {"eventTypeId": kind, "start": coach.at("12:00"), "end": coach.at("09:30")}
    refused(await coach.call("GET", "slots", params=params), 400)


async def test_an_event_type_is_named_by_id_or_by_slug_and_not_by_both(coach: Coach) -> None:
    kind = await coach.event_type()
    slug = (await coach.get(f"event-types/{kind}"))["slug"]
    named = {"eventTypeSlug": slug, "username": (await coach.get("me"))["username"]}
    params = {"start": coach.at("00:00"), "end": coach.at("23:30")}
    by_name = await coach.call("GET", "slots", params={**params, **named}, anonymous=True)
    assert by_name.status_code == 200
    assert by_name.json()["data"]
    refused(await coach.call("GET", "slots", params={**params, "eventTypeId": kind, "eventTypeSlug": slug}), 400)


async def test_slots_of_an_unknown_event_type_are_not_found(coach: Coach) -> None:
    params = {"eventTypeId": 2_000_000_000, "start": coach.at("00:00"), "end": coach.at("23:30")}
    refused(await coach.call("GET", "slots", params=params), 404)


# reservations


async def test_a_reservation_lasts_five_minutes_unless_the_owner_asks_for_more(coach: Coach) -> None:
    kind = await coach.event_type()
    short = await coach.reserve(kind, "09:00", anonymous=True)
    long = await coach.reserved(kind, "10:00", reservationDuration=60)
    assert short.json()["data"]["reservationDuration"] == 5
    assert long["reservationDuration"] == 60
    assert long["slotDuration"] == 30
    lasts = datetime.fromisoformat(long["reservationUntil"]) - datetime.now(UTC)
    assert timedelta(minutes=58) < lasts < timedelta(minutes=62)


async def test_a_reserved_time_is_not_listed_for_any_event_type_of_the_host(coach: Coach) -> None:
    kind, other = await coach.event_type(), await coach.event_type()
    await coach.reserved(kind, "10:00")
    assert "10:00" not in await coach.starts(kind)
    assert "10:00" not in await coach.starts(other)
    assert "10:30" in await coach.starts(kind)


async def test_a_reservation_excludes_others_of_its_own_event_type_alone(coach: Coach) -> None:
    kind, other = await coach.event_type(), await coach.event_type()
    await coach.reserved(kind, "10:00")
    refused(await coach.reserve(kind, "10:15"), 422)
    await coach.reserved(other, "10:00")


async def test_the_hours_do_not_matter_to_a_reservation(coach: Coach) -> None:
    await coach.reserved(await coach.event_type(), "03:17")


async def test_a_booked_time_cannot_be_reserved(coach: Coach) -> None:
    kind = await coach.event_type()
    await coach.booked(kind, "10:00")
    refused(await coach.reserve(kind, "10:00"), 422)


async def test_only_the_owner_chooses_how_long_a_reservation_lasts(coach: Coach) -> None:
    kind = await coach.event_type()
    refused(await coach.reserve(kind, "10:00", anonymous=True, reservationDuration=10), 401)


async def test_only_a_type_of_variable_length_takes_a_length(coach: Coach) -> None:
    fixed, variable = await coach.event_type(), await coach.event_type(lengthInMinutesOptions=[30, 60])
    refused(await coach.reserve(fixed, "10:00", slotDuration=30), 400)
    refused(await coach.reserve(variable, "10:00", slotDuration=45), 400)
    made = await coach.reserved(variable, "10:00", slotDuration=60)
    assert made["slotDuration"] == 60


async def test_a_reservation_for_an_unknown_event_type_is_not_found(coach: Coach) -> None:
    refused(await coach.reserve(2_000_000_000, "10:00"), 404)


async def test_an_unknown_reservation_is_null_and_no_error(coach: Coach) -> None:
    assert await coach.get(f"slots/reservations/{UNKNOWN_UID}") is None


async def test_a_reservation_is_moved_but_not_extended_in_place(coach: Coach) -> None:
    kind = await coach.event_type()
    made = await coach.reserved(kind, "10:00")
    path = f"slots/reservations/{made['reservationUid']}"
    refused(await coach.call("PATCH", path, {"eventTypeId": kind, "slotStart": coach.at("10:00")}), 422)
    moved = await coach.call("PATCH", path, {"eventTypeId": kind, "slotStart": coach.at("14:00")})
    assert moved.status_code == 200
    assert (await coach.get(path))["slotStart"].startswith(coach.at("14:00")[:16])
    assert "10:00" in await coach.starts(kind)


async def test_a_release_can_be_repeated(coach: Coach) -> None:
    kind = await coach.event_type()
    path = f"slots/reservations/{(await coach.reserved(kind, '10:00'))['reservationUid']}"
    assert [(await coach.call("DELETE", path, anonymous=True)).status_code for _ in range(2)] == [200, 200]
    assert "10:00" in await coach.starts(kind)


# bookings


async def test_a_booking_is_accepted_at_once_and_keeps_our_metadata(coach: Coach) -> None:
    kind = await coach.event_type()
    made = await coach.booked(kind, "10:00", metadata={"holdfast_id": "bk_1"})
    read = await coach.read(made["uid"])
    assert read["id"] > 0
    assert read["status"] == "accepted"
    assert read["metadata"]["holdfast_id"] == "bk_1"
    assert (read["duration"], read["eventType"]["id"]) == (30, kind)
    assert datetime.fromisoformat(read["start"]) == datetime.fromisoformat(coach.at("10:00"))
    assert read["attendees"][0]["email"] == ATTENDEE["email"]
    assert read["hosts"][0]["id"] == (await coach.get("me"))["id"]
    assert "10:00" not in await coach.starts(kind)


async def test_a_booking_needs_no_key_to_be_made_or_read(coach: Coach) -> None:
    made = await coach.booked(await coach.event_type(), "10:00", anonymous=True)
    read = await coach.call("GET", f"bookings/{made['uid']}", anonymous=True)
    assert read.json()["data"]["uid"] == made["uid"]


async def test_a_taken_time_is_refused_to_every_event_type_of_the_host(coach: Coach) -> None:
    kind, other = await coach.event_type(), await coach.event_type(lengthInMinutes=60)
    await coach.booked(kind, "10:00")
    refused(await coach.book(kind, "10:00"), 400, 409)
    refused(await coach.book(other, "09:30"), 400, 409)


async def test_a_time_outside_of_the_hours_is_refused(coach: Coach) -> None:
    refused(await coach.book(await coach.event_type(), "20:00"), 400)


async def test_a_time_in_the_past_is_refused(coach: Coach) -> None:
    kind = await coach.event_type()
    refused(await coach.book(kind, "10:00", start="2020-01-02T10:00:00Z"), 400)


async def test_buffers_notice_and_window_are_kept(coach: Coach) -> None:
    buffered = await coach.event_type(afterEventBuffer=30)
    await coach.booked(buffered, "10:00")
    assert not {"10:00", "10:30"} & set(await coach.starts(buffered))
    assert "11:00" in await coach.starts(buffered)
    late = await coach.event_type(minimumBookingNotice=60 * 24 * 365)
    assert await coach.starts(late) == []
    refused(await coach.book(late, "14:00"), 400)
    near = await coach.event_type(bookingWindow={"type": "calendarDays", "value": 7, "rolling": False})
    assert await coach.starts(near) == []
    refused(await coach.book(near, "15:00"), 400)


async def test_a_required_question_must_be_answered(coach: Coach) -> None:
    question = {"type": "text", "slug": "goal", "label": "Your goal", "required": True}
    kind = await coach.event_type(bookingFields=[question])
    refused(await coach.book(kind, "10:00"), 400)
    made = await coach.booked(kind, "10:00", bookingFieldsResponses={"goal": "Speak up"})
    assert made["bookingFieldsResponses"]["goal"] == "Speak up"


@pytest.mark.parametrize(
    "wrong",
    [
        {"attendee": {"name": "Ada", "email": "ada@example.com"}},
        {"attendee": ATTENDEE | {"timeZone": "Middle/Earth"}},
        {"start": "tomorrow"},
        {"metadata": {"k" * 41: "v"}},
        {"metadata": {"key": "v" * 501}},
        {"metadata": {str(n): "v" for n in range(51)}},
        {"metadata": {"deep": {"er": 1}}},
        {"lengthInMinutes": 45},
        {"location": {"type": "attendeePhone", "phone": "+46701234567"}},
    ],
    ids=lambda wrong: f"{next(iter(wrong))}",
)
async def test_a_booking_with_a_wrong_field_is_refused(coach: Coach, wrong: dict[str, Any]) -> None:
    kind = await coach.event_type(locations=[{"type": "link", "link": "https://example.com/room", "public": True}])
    refused(await coach.book(kind, "10:00", **wrong), 400)


async def test_an_event_type_that_does_not_exist_cannot_be_booked(coach: Coach) -> None:
    refused(await coach.book(2_000_000_000, "10:00"), 404)


async def test_an_event_type_can_be_closed_to_those_without_credentials(coach: Coach) -> None:
    kind = await coach.event_type(bookingRequiresAuthentication=True)
    refused(await coach.book(kind, "10:00", anonymous=True), 401)
    await coach.booked(kind, "10:00")


async def test_a_booking_can_wait_for_the_owner_who_says_yes(coach: Coach) -> None:
    kind = await coach.event_type(confirmationPolicy=CONFIRMED_BY_HAND)
    made = await coach.booked(kind, "10:00")
    assert made["status"] == "pending"
    confirmed = await coach.call("POST", f"bookings/{made['uid']}/confirm")
    assert confirmed.status_code == 200
    assert (await coach.read(made["uid"]))["status"] == "accepted"
    refused(await coach.call("POST", f"bookings/{made['uid']}/confirm"), 400)


async def test_a_booking_can_wait_for_the_owner_who_says_no(coach: Coach) -> None:
    kind = await coach.event_type(confirmationPolicy=CONFIRMED_BY_HAND)
    made = await coach.booked(kind, "10:00")
    assert (await coach.call("POST", f"bookings/{made['uid']}/decline", {"reason": "Away"})).status_code == 200
    assert (await coach.read(made["uid"]))["status"] == "rejected"


async def test_a_pending_booking_keeps_nobody_else_from_the_time(coach: Coach) -> None:
    waiting, other = await coach.event_type(confirmationPolicy=CONFIRMED_BY_HAND), await coach.event_type()
    await coach.booked(waiting, "10:00")
    assert "10:00" in await coach.starts(other)
    await coach.booked(other, "10:00")


async def test_the_same_attendee_asks_twice_and_gets_the_booking_that_waits_already(coach: Coach) -> None:
    kind = await coach.event_type(confirmationPolicy=CONFIRMED_BY_HAND)
    first, again = await coach.booked(kind, "10:00"), await coach.booked(kind, "10:00")
    assert again["uid"] == first["uid"]


async def test_only_the_host_confirms(coach: Coach) -> None:
    made = await coach.booked(await coach.event_type(confirmationPolicy=CONFIRMED_BY_HAND), "10:00")
    refused(await coach.call("POST", f"bookings/{made['uid']}/confirm", anonymous=True), 401)


async def test_a_cancelled_booking_tells_why_and_by_whom_and_frees_its_time(coach: Coach) -> None:
    kind = await coach.event_type()
    made = await coach.booked(kind, "10:00")
    cancelled = await coach.cancel(made["uid"], **CANCELLED)
    assert cancelled.status_code == 200
    read = await coach.read(made["uid"])
    assert read["status"] == "cancelled"
    assert read["cancellationReason"] == CANCELLED["cancellationReason"]
    assert read["cancelledByEmail"] == (await coach.get("me"))["email"]
    assert "10:00" in await coach.starts(kind)
    refused(await coach.cancel(made["uid"], **CANCELLED), 400)


async def test_the_host_must_give_a_reason_and_the_attendee_need_not(coach: Coach) -> None:
    made = await coach.booked(await coach.event_type(), "10:00")
    refused(await coach.cancel(made["uid"]), 400)
    path = f"bookings/{made['uid']}/cancel"
    assert (await coach.call("POST", path, {}, anonymous=True)).status_code == 200


async def test_disabled_cancelling_binds_the_owner_too(coach: Coach) -> None:
    kind = await coach.event_type(disableCancelling={"disabled": True})
    made = await coach.booked(kind, "10:00")
    refused(await coach.cancel(made["uid"], **CANCELLED), 400)
    # So that the test can clean up.
    await coach.call("PATCH", f"event-types/{kind}", {"disableCancelling": {"disabled": False}})


async def test_a_moved_booking_is_a_new_one_and_the_old_one_leads_to_it(coach: Coach) -> None:
    kind = await coach.event_type()
    old = await coach.booked(kind, "10:00", metadata={"holdfast_id": "bk_1"})
    me = await coach.get("me")
    response = await coach.move(old["uid"], "14:00", rescheduledBy=me["email"], reschedulingReason="Rain")
    assert response.status_code == 201
    new, before = await coach.read(response.json()["data"]["uid"]), await coach.read(old["uid"])
    assert new["uid"] != old["uid"]
    assert new["status"] == "accepted"
    assert new["rescheduledFromUid"] == old["uid"]
    assert new["metadata"]["holdfast_id"] == "bk_1"
    assert new["duration"] == old["duration"]
    assert before["status"] == "cancelled"
    assert before["rescheduledToUid"] == new["uid"]
    starts = await coach.starts(kind)
    assert "10:00" in starts
    assert "14:00" not in starts


async def test_a_booking_that_was_moved_is_moved_no_more_and_names_its_successor(coach: Coach) -> None:
    old = await coach.booked(await coach.event_type(), "10:00")
    new = (await coach.move(old["uid"], "14:00")).json()["data"]
    assert new["uid"] in refused(await coach.move(old["uid"], "15:00"), 400)
    refused(await coach.cancel(old["uid"], **CANCELLED), 400)


async def test_a_cancelled_booking_is_not_moved(coach: Coach) -> None:
    made = await coach.booked(await coach.event_type(), "10:00")
    await coach.cancel(made["uid"], **CANCELLED)
    refused(await coach.move(made["uid"], "14:00"), 400)


async def test_a_move_may_overlap_the_booking_itself_but_no_other(coach: Coach) -> None:
    kind = await coach.event_type(lengthInMinutes=60)
    mine = await coach.booked(kind, "10:00")
    await coach.booked(kind, "12:00")
    refused(await coach.move(mine["uid"], "11:30"), 400, 409)
    assert (await coach.read(mine["uid"]))["status"] == "accepted"
    assert (await coach.move(mine["uid"], "10:30")).status_code == 201


async def test_a_listing_for_a_move_shows_the_bookings_own_time(coach: Coach) -> None:
    kind = await coach.event_type()
    made = await coach.booked(kind, "10:00")
    assert "10:00" in await coach.starts(kind, bookingUidToReschedule=made["uid"])


async def test_nobody_is_marked_absent_before_the_start(coach: Coach) -> None:
    made = await coach.booked(await coach.event_type(), "10:00")
    refused(await coach.call("POST", f"bookings/{made['uid']}/mark-absent", {"host": True}), 400)


async def test_bookings_are_found_by_email_type_and_start_and_come_in_pages(coach: Coach) -> None:
    kind = await coach.event_type()
    uids = [(await coach.booked(kind, wall))["uid"] for wall in ("10:00", "11:00", "12:00")]
    query: dict[str, Any] = {"eventTypeId": kind, "attendeeEmail": ATTENDEE["email"], "sortStart": "asc"}
    response = await coach.call("GET", "bookings", params=query | {"take": 2})
    assert [one["uid"] for one in response.json()["data"]] == uids[:2]
    page = response.json()["pagination"]
    assert (page["totalItems"], page["returnedItems"], page["hasNextPage"]) == (3, 2, True)
    assert [one["uid"] for one in await coach.get("bookings", **query, take=2, skip=2)] == uids[2:]
    assert [one["uid"] for one in await coach.get("bookings", **query, afterStart=coach.at("11:30"))] == uids[2:]
    assert await coach.get("bookings", eventTypeId=kind, attendeeEmail="nobody@example.com") == []


async def test_cancelled_bookings_are_listed_apart_and_together(coach: Coach) -> None:
    kind = await coach.event_type()
    stays, goes = await coach.booked(kind, "10:00"), await coach.booked(kind, "11:00")
    await coach.cancel(goes["uid"], **CANCELLED)
    cancelled = await coach.get("bookings", eventTypeId=kind, status="cancelled")
    upcoming = await coach.get("bookings", eventTypeId=kind, status="upcoming")
    assert [one["uid"] for one in cancelled] == [goes["uid"]]
    assert [one["uid"] for one in upcoming] == [stays["uid"]]


async def test_a_booking_that_does_not_exist_is_not_found(coach: Coach) -> None:
    refused(await coach.call("GET", "bookings/nonsense"), 404)


# webhooks


async def test_a_webhook_can_be_read_again_with_its_secret(coach: Coach) -> None:
    made = await coach.webhook(secret="s" * 32, triggers=["BOOKING_CREATED", "BOOKING_CANCELLED"])
    read = await coach.get(f"webhooks/{made['id']}")
    assert read["secret"] == "s" * 32
    assert read["triggers"] == ["BOOKING_CREATED", "BOOKING_CANCELLED"]
    assert read["active"] is True
    assert made["id"] in [one["id"] for one in await coach.get("webhooks")]


async def test_the_same_address_is_not_subscribed_twice(coach: Coach) -> None:
    made = await coach.webhook()
    body = {"active": True, "subscriberUrl": made["subscriberUrl"], "triggers": ["BOOKING_CANCELLED"]}
    refused(await coach.call("POST", "webhooks", body), 409)


async def test_a_trigger_that_is_not_in_the_list_is_refused(coach: Coach) -> None:
    body = {"active": True, "subscriberUrl": "https://example.com/", "triggers": ["BOOKING_CONFIRMED"]}
    refused(await coach.call("POST", "webhooks", body), 400)


async def test_a_webhook_is_switched_off_and_deleted(coach: Coach) -> None:
    path = f"webhooks/{(await coach.webhook())['id']}"
    assert (await coach.call("PATCH", path, {"active": False})).json()["data"]["active"] is False
    assert (await coach.call("DELETE", path)).status_code == 200
    assert (await coach.call("GET", path)).status_code in (403, 404)


async def test_an_event_type_has_webhooks_of_its_own(coach: Coach) -> None:
    kind = await coach.event_type()
    body = {"active": True, "subscriberUrl": "https://example.com/type", "triggers": ["BOOKING_CREATED"]}
    made = await coach.make(f"event-types/{kind}/webhooks", body)
    assert made["eventTypeId"] == kind
    assert made["id"] not in [one["id"] for one in await coach.get("webhooks")]
