"""The Calendly sandbox's API: times, event types, bookings, and its answers to Calendly's open questions."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sandbox.calendly import CalendlySandbox, Question
from sandbox.clock import Clock
from tests.contract.calendly_fixtures import NO_TRACKING, Account, Json

MONDAY = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)  # 08:00 in New York
TUESDAY = "2026-11-24T15:00:00Z"  # 10:00 in New York


@pytest.fixture
def clock() -> Clock:
    """Stand still on a Monday morning, an hour before the adviser's day begins."""
    return Clock(MONDAY)


@pytest.fixture
def sandbox(clock: Clock) -> CalendlySandbox:
    """The adviser's account."""
    sandbox = CalendlySandbox(now=clock)
    sandbox.seed_adviser()
    return sandbox


@pytest.fixture
async def account(sandbox: CalendlySandbox, clock: Clock) -> AsyncIterator[Account]:
    """The account over HTTP, with a token that may do everything."""
    async with client_of(sandbox) as client:
        yield Account(client, now=clock)


@pytest.fixture
async def session(account: Account) -> Json:
    """The event type of one hour, with a quarter of an hour after it."""
    return await account.event_type("Advice session")


def client_of(sandbox: CalendlySandbox, token: str | None = None) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {token or sandbox.token}"}
    return httpx.AsyncClient(transport=sandbox.transport(), base_url="https://api.calendly.com", headers=headers)


def parameters(response: httpx.Response) -> list[str]:
    """The parameters that a refusal names."""
    assert response.status_code == 400, response.text
    return [one["parameter"] for one in response.json()["details"]]


# Available times


async def test_times_follow_the_advisers_hours_and_step(account: Account, session: Json) -> None:
    tuesday = await account.times(session, skip_days=1, days=1)
    assert [start[11:16] for start in tuesday] == [
        # 09:00 to 12:30 and 13:30 to 17:00 in New York, which is five hours behind
        *("14:00", "14:30", "15:00", "15:30", "16:00", "16:30"),
        *("18:30", "19:00", "19:30", "20:00", "20:30", "21:00"),
    ]


async def test_a_booking_takes_its_time_and_its_buffers_from_all_types_of_the_host(
    account: Account, session: Json
) -> None:
    await account.book(session, TUESDAY)  # until 16:00, and 15 minutes after
    review = await account.event_type("Review")
    free = [start[11:16] for start in await account.times(review, skip_days=1, days=1)]
    assert free[:5] == ["14:00", "14:30", "16:30", "17:00", "18:30"]


async def test_nine_o_clock_stays_nine_o_clock_when_the_clocks_change(
    sandbox: CalendlySandbox, account: Account, session: Json, clock: Clock
) -> None:
    clock.set(datetime(2027, 3, 8, 13, 0, tzinfo=UTC))  # summer time begins on the 14th
    query = {"event_type": session["uri"], "start_time": "2027-03-12T00:00:00Z", "end_time": "2027-03-17T00:00:00Z"}
    starts = [one["start_time"] for one in (await account.get("/event_type_available_times", **query))["collection"]]
    assert "2027-03-12T14:00:00Z" in starts
    assert "2027-03-15T13:00:00Z" in starts
    assert "2027-03-15T12:30:00Z" not in starts


async def test_the_owner_can_take_a_time_in_the_connected_calendar(
    sandbox: CalendlySandbox, account: Account, session: Json
) -> None:
    sandbox.block_time(datetime(2026, 11, 24, 14, tzinfo=UTC), datetime(2026, 11, 24, 17, 30, tzinfo=UTC))
    assert (await account.times(session, skip_days=1, days=1))[0] == "2026-11-24T18:30:00Z"
    window = {"start_time": "2026-11-24T00:00:00Z", "end_time": "2026-11-25T00:00:00Z"}
    busy = await account.get("/user_busy_times", user=(await account.me())["uri"], **window)
    assert busy["collection"] == [
        {
            "type": "external",
            "start_time": "2026-11-24T14:00:00.000000Z",
            "end_time": "2026-11-24T17:30:00.000000Z",
        }
    ]


async def test_the_owner_can_change_the_hours(sandbox: CalendlySandbox, account: Account, session: Json) -> None:
    sandbox.change_hours({"tuesday": [("10:00", "11:00")]})  # type: ignore[dict-item]  # as JSON has it
    assert await account.times(session, skip_days=1, days=7) == [TUESDAY]
    schedules = (await account.get("/user_availability_schedules", user=(await account.me())["uri"]))["collection"]
    assert schedules[0]["rules"] == [
        {"type": "wday", "wday": "tuesday", "intervals": [{"from": "10:00", "to": "11:00"}]}
    ]


async def test_a_time_too_soon_is_not_offered(account: Account, session: Json, clock: Clock) -> None:
    clock.set(datetime(2026, 11, 24, 14, 0, tzinfo=UTC))  # four hours of notice
    query = {"event_type": session["uri"], "start_time": "2026-11-24T14:01:00Z", "end_time": "2026-11-25T00:00:00Z"}
    times = (await account.get("/event_type_available_times", **query))["collection"]
    assert times[0]["start_time"] == "2026-11-24T18:30:00Z"


@pytest.mark.parametrize(("limit", "allowed"), [(31, 31), (7, 7)])
async def test_the_window_of_available_times_is_switched(
    sandbox: CalendlySandbox, account: Account, session: Json, limit: Any, allowed: int
) -> None:
    sandbox.switches.window_limit_days = limit
    await account.times(session, skip_days=1, days=allowed)
    start = MONDAY + timedelta(days=1)
    query = {"event_type": session["uri"], "start_time": f"{start:%Y-%m-%dT%H:%M:%SZ}"}
    end = start + timedelta(days=allowed, seconds=1)
    query["end_time"] = f"{end:%Y-%m-%dT%H:%M:%SZ}"
    assert parameters(await account.client.get("/event_type_available_times", params=query)) == ["end_time"]


async def test_busy_times_fail_with_the_connected_calendar(sandbox: CalendlySandbox, account: Account) -> None:
    sandbox.switches.external_calendar = "failing"
    window = {"start_time": "2026-11-24T00:00:00Z", "end_time": "2026-11-25T00:00:00Z"}
    query = {"user": (await account.me())["uri"], **window}
    response = await account.client.get("/user_busy_times", params=query)
    assert (response.status_code, response.json()["title"]) == (424, "External Calendar Error")


async def test_busy_times_name_bookings_with_their_buffers(account: Account, session: Json) -> None:
    invitee = await account.book(session, TUESDAY)
    window = {"start_time": "2026-11-24T00:00:00Z", "end_time": "2026-11-25T00:00:00Z"}
    busy = (await account.get("/user_busy_times", user=(await account.me())["uri"], **window))["collection"]
    assert [(one["type"], one["event"]["uri"]) for one in busy] == [("calendly", invitee["event"])]
    assert busy[0]["buffered_end_time"] == "2026-11-24T16:15:00.000000Z"
    assert (await account.client.get("/user_busy_times", params={"user": "me"})).status_code == 400


# Event types


async def test_a_deactivated_type_is_shown_and_has_no_times(
    sandbox: CalendlySandbox, account: Account, session: Json
) -> None:
    sandbox.change_event_type(session["uri"], active=False)
    assert (await account.get(session["uri"]))["resource"]["active"] is False
    assert await account.times(session) == []
    assert parameters(await account.post(account.order(session, TUESDAY))) == ["event_type"]
    user = (await account.me())["uri"]
    names = [one["name"] for one in (await account.get("/event_types", user=user, active="false"))["collection"]]
    assert names == ["Advice session"]


async def test_a_deleted_type_keeps_its_events_and_takes_no_more(
    sandbox: CalendlySandbox, account: Account, session: Json
) -> None:
    invitee = await account.book(session, TUESDAY)
    sandbox.delete_event_type(session["uri"])
    assert (await account.get(session["uri"]))["resource"]["deleted_at"] is not None
    assert (await account.post(account.order(session, "2026-11-24T19:00:00Z"))).status_code == 404
    assert (await account.get(invitee["event"]))["resource"]["status"] == "active"
    user = (await account.me())["uri"]
    names = [one["name"] for one in (await account.get("/event_types", user=user))["collection"]]
    assert names == ["Intro call", "Review"]


@pytest.mark.parametrize("settings", [{"booking_method": "poll"}, {"collects_payment": True}])
async def test_polls_and_types_with_calendlys_own_payment_are_not_booked(
    sandbox: CalendlySandbox, account: Account, session: Json, settings: Json
) -> None:
    sandbox.change_event_type(session["uri"], **settings)
    assert parameters(await account.post(account.order(session, TUESDAY))) == ["event_type"]


async def test_an_unknown_query_parameter_is_ignored_and_a_wrong_one_refused(account: Account) -> None:
    user = (await account.me())["uri"]
    assert len((await account.get("/event_types", user=user, colour="red"))["collection"]) == 3
    for wrong in ({"sort": "duration:asc"}, {"active": "yes"}, {"page_token": "!"}, {"user": "me"}):
        assert parameters(await account.client.get("/event_types", params={"user": user} | wrong)) == list(wrong)


async def test_pages_go_forward_and_back(account: Account) -> None:
    query = {"user": (await account.me())["uri"], "sort": "name:desc", "count": "2"}
    first = await account.get("/event_types", **query)
    assert [one["name"] for one in first["collection"]] == ["Review", "Intro call"]
    second = (await account.client.get(first["pagination"]["next_page"])).json()
    assert [one["name"] for one in second["collection"]] == ["Advice session"]
    assert second["pagination"]["next_page"] is None
    back = await account.get("/event_types", **query, page_token=second["pagination"]["previous_page_token"])
    assert back["collection"] == first["collection"]


# Booking


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"idempotency_key": "1"}, "idempotency_key"),
        ({"start_time": "2026-11-24T15:00:00+00:00"}, "start_time"),
        ({"start_time": "2026-11-22T15:00:00Z"}, "start_time"),
        ({"start_time": "2026-11-24T15:10:00Z"}, "start_time"),
        ({"start_time": "2026-11-24T03:00:00Z"}, "start_time"),
        ({"invitee": None}, "invitee"),
        ({"location": {"kind": "physical"}}, "location.kind"),
        ({"tracking": NO_TRACKING | {"utm_content": "x" * 256}}, "tracking.utm_content"),
        ({"tracking": NO_TRACKING | {"booking": "1"}}, "tracking"),
        ({"event_guests": ["nobody"]}, "event_guests"),
        ({"questions_and_answers": [{"question": "Age?", "answer": "9", "position": 0}]}, "questions_and_answers"),
    ],
)
async def test_a_create_with_something_wrong_is_refused_and_names_it(
    sandbox: CalendlySandbox, account: Account, session: Json, wrong: Json, named: str
) -> None:
    body = account.order(session, TUESDAY) | wrong
    assert parameters(await account.post(body)) == [named]
    assert sandbox.state.events == {}


async def test_a_refusal_names_all_that_is_wrong(account: Account, session: Json) -> None:
    body = account.order(session, "tomorrow") | {"invitee": {"email": "kim", "timezone": "Berlin", "phone": "1"}}
    assert set(parameters(await account.post(body))) == {
        "start_time",
        "invitee.email",
        "invitee.timezone",
        "invitee.phone",
        "invitee.name",
    }


async def test_a_required_question_must_be_answered_in_its_own_words(
    sandbox: CalendlySandbox, account: Account, session: Json
) -> None:
    questions = [
        Question("How many are you?", type="single_select", required=True, answer_choices=("1", "2")),
        Question("Your phone", type="phone_number"),
    ]
    sandbox.change_questions(session["uri"], questions)
    shown = (await account.get(session["uri"]))["resource"]["custom_questions"]
    assert [(one["name"], one["required"], one["position"]) for one in shown] == [
        ("How many are you?", True, 0),
        ("Your phone", False, 1),
    ]
    many = {"question": "How many are you?", "answer": "2", "position": 0}
    for wrong in (
        [],
        [many | {"answer": ""}],
        [many | {"answer": "3"}],
        [many | {"position": 1}],
        [many, many],
        [many, {"question": "Your phone", "answer": "none", "position": 1}],
    ):
        body = account.order(session, TUESDAY, questions_and_answers=wrong)
        assert set(parameters(await account.post(body))) == {"questions_and_answers"}
    invitee = await account.book(session, TUESDAY, questions_and_answers=[many])
    assert invitee["questions_and_answers"] == [many]


async def test_a_type_with_two_name_fields_needs_the_first_name(
    sandbox: CalendlySandbox, account: Account, session: Json
) -> None:
    sandbox.change_event_type(session["uri"], name_form="split")
    person = {"email": "kim@example.com", "name": "Kim Doe", "timezone": "Europe/Berlin"}
    body = account.order(session, TUESDAY)
    assert parameters(await account.post(body | {"invitee": person})) == ["invitee.first_name"]
    invitee = await account.book(session, TUESDAY, invitee=person | {"first_name": "Kim", "last_name": "Doe"})
    assert (invitee["name"], invitee["first_name"], invitee["last_name"]) == ("Kim Doe", "Kim", "Doe")


async def test_the_kind_of_a_single_location_is_needed_or_not(
    sandbox: CalendlySandbox, account: Account, session: Json
) -> None:
    body = account.order(session, TUESDAY)
    del body["location"]
    assert parameters(await account.post(body)) == ["location"]
    sandbox.switches.location_kind = "optional"
    invitee = (await account.post(body)).json()["resource"]
    event = (await account.get(invitee["event"]))["resource"]
    assert (event["location"]["type"], event["location"]["status"]) == ("zoom_conference", "pushed")


async def test_a_call_to_the_invitee_needs_a_number(sandbox: CalendlySandbox, account: Account, session: Json) -> None:
    sandbox.change_event_type(session["uri"], locations=[{"kind": "outbound_call"}])
    sandbox.switches.location_kind = "optional"
    body = account.order(session, TUESDAY)
    for wrong in (None, {"kind": "outbound_call"}, {"kind": "outbound_call", "location": "soon"}):
        assert parameters(await account.post(body | {"location": wrong}))[0].startswith("location")
    invitee = await account.book(session, TUESDAY, location={"kind": "outbound_call", "location": "+49 30 555 123"})
    event = (await account.get(invitee["event"]))["resource"]
    assert event["location"] == {"type": "outbound_call", "location": "+49 30 555 123"}


async def test_of_several_locations_one_is_chosen(sandbox: CalendlySandbox, account: Account, session: Json) -> None:
    locations = [{"kind": "physical", "location": "41 Court Street"}, {"kind": "google_conference"}]
    sandbox.change_event_type(session["uri"], locations=locations)
    sandbox.switches.location_kind = "optional"
    body = account.order(session, TUESDAY)
    del body["location"]
    assert parameters(await account.post(body)) == ["location"]
    invitee = await account.book(session, TUESDAY, location={"kind": "physical"})
    event = (await account.get(invitee["event"]))["resource"]
    assert event["location"] == {"type": "physical", "location": "41 Court Street"}


async def test_a_conference_has_no_link_for_a_while(
    sandbox: CalendlySandbox, account: Account, session: Json, clock: Clock
) -> None:
    sandbox.switches.conference_lag_seconds = 30
    invitee = await account.book(session, TUESDAY)
    location = (await account.get(invitee["event"]))["resource"]["location"]
    assert (location["status"], location["join_url"]) == ("processing", None)
    clock.advance(timedelta(seconds=30))
    assert (await account.get(invitee["event"]))["resource"]["location"]["status"] == "pushed"


@pytest.mark.parametrize(
    ("shape", "status", "code"),
    [("already_filled", 400, "already_filled"), ("start_time", 400, None), ("conflict", 409, None)],
)
async def test_a_taken_time_is_told_in_one_of_three_shapes(
    sandbox: CalendlySandbox, account: Account, session: Json, shape: Any, status: int, code: str | None
) -> None:
    sandbox.switches.taken_body = shape
    sandbox.book(session["uri"], datetime(2026, 11, 24, 15, tzinfo=UTC))
    response = await account.post(account.order(session, TUESDAY))
    assert response.status_code == status
    details = response.json().get("details", [{}])
    assert details[0].get("code") == code
    closed = await account.post(account.order(session, "2026-11-24T03:00:00Z"))
    assert "code" not in closed.json()["details"][0]


async def test_one_of_four_wins_when_the_check_is_atomic(account: Account) -> None:
    body = account.order(await account.event_type("Review"), "2026-11-24T16:30:00Z")
    answers = await asyncio.gather(*(account.post(body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 400, 400, 400]


@pytest.mark.parametrize("parties", [0, 4])
async def test_all_four_win_when_there_is_a_gap(sandbox: CalendlySandbox, account: Account, parties: int) -> None:
    sandbox.switches.update({"race_mode": "gap", "race_parties": parties})
    body = account.order(await account.event_type("Review"), "2026-11-24T16:30:00Z")
    answers = await asyncio.gather(*(account.post(body) for _ in range(4)))
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len(sandbox.state.events) == 4


async def test_a_race_that_nobody_joins_goes_on_alone(
    sandbox: CalendlySandbox, account: Account, session: Json
) -> None:
    sandbox.switches.update({"race_mode": "gap", "race_parties": 2, "race_wait_seconds": 0})
    await account.book(session, TUESDAY)
    assert (await account.post(account.order(session, TUESDAY))).status_code == 400


async def test_a_group_fills_one_event_place_by_place(sandbox: CalendlySandbox, account: Account) -> None:
    group = sandbox.add_event_type("Workshop", 60, kind="group", invitee_limit=2)
    query = {
        "event_type": group["uri"],
        "start_time": "2026-11-24T14:00:00Z",
        "end_time": "2026-11-24T14:30:00Z",
    }
    first = await account.book(group, "2026-11-24T14:00:00Z")
    assert (await account.get("/event_type_available_times", **query))["collection"][0]["invitees_remaining"] == 1
    second = await account.book(group, "2026-11-24T14:00:00Z")
    assert first["event"] == second["event"]
    assert (await account.get("/event_type_available_times", **query))["collection"] == []
    sandbox.cancel_as_invitee(first["cancel_url"])
    event = (await account.get(first["event"]))["resource"]
    assert event["status"] == "active"
    assert event["invitees_counter"] == {"total": 2, "active": 1, "limit": 2}
    assert (await account.cancel(first["event"])).status_code == 201
    assert (await account.get(second["uri"]))["resource"]["status"] == "canceled"


async def test_a_round_robin_takes_a_host_who_is_free_and_a_collective_needs_all(
    sandbox: CalendlySandbox, account: Account
) -> None:
    me = await account.me()
    other = sandbox.add_user("Omar Diaz", "omar@whitfield.example")
    hosts = [me["uri"], other["uri"]]
    robin = sandbox.add_event_type("Any of us", 30, hosts=hosts, pooling_type="round_robin")
    all_of_us = sandbox.add_event_type("All of us", 30, hosts=hosts, pooling_type="collective")
    start = "2026-11-24T14:00:00Z"
    chosen = []
    for _ in range(2):
        event = (await account.get((await account.book(robin, start))["event"]))["resource"]
        chosen += [one["user"] for one in event["event_memberships"]]
    assert chosen == hosts
    assert parameters(await account.post(account.order(robin, start))) == ["start_time"]
    assert start not in await account.times(all_of_us, skip_days=1, days=1)
