"""The Calendly sandbox's API: times, bookings, limits, rights, faults, and its answers to Calendly's open questions."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sandbox.calendly import BadControl, CalendlySandbox, ConnectionDropped, Fault, Question
from sandbox.clock import Clock
from sandbox.serve import serve_app
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


# Finding and listing


async def test_events_are_found_by_email_and_start(account: Account, session: Json) -> None:
    invitee = await account.book(session, TUESDAY)
    await account.book(session, "2026-11-26T15:00:00Z")
    user = (await account.me())["uri"]

    async def found(**query: str) -> list[str]:
        return [one["uri"] for one in (await account.get("/scheduled_events", user=user, **query))["collection"]]

    assert len(await found(invitee_email="kim@example.com")) == 2
    assert await found(invitee_email="Kim@example.com") == []
    around = {"min_start_time": "2026-11-24T14:59:59Z", "max_start_time": "2026-11-24T15:00:01Z"}
    assert await found(**around, invitee_email="kim@example.com", status="active") == [invitee["event"]]
    assert await found(min_start_time="2026-11-26T15:00:00Z") == []
    query = {"user": user, "min_start_time": "yesterday"}
    assert parameters(await account.client.get("/scheduled_events", params=query)) == ["min_start_time"]


async def test_a_new_event_can_be_read_before_it_is_listed(
    sandbox: CalendlySandbox, account: Account, session: Json, clock: Clock
) -> None:
    sandbox.switches.listing_lag_seconds = 20
    invitee = await account.book(session, TUESDAY)
    user = (await account.me())["uri"]
    assert (await account.get(invitee["event"]))["resource"]["status"] == "active"
    assert (await account.get("/scheduled_events", user=user))["collection"] == []
    clock.advance(timedelta(seconds=20))
    assert len((await account.get("/scheduled_events", user=user))["collection"]) == 1


async def test_a_colleague_sees_their_own_events_and_an_admin_sees_all(
    sandbox: CalendlySandbox, account: Account, session: Json
) -> None:
    invitee = await account.book(session, TUESDAY)
    me = await account.me()
    colleague = sandbox.add_user("Omar Diaz", "omar@whitfield.example")
    sandbox.add_token("omars-token", user=colleague["uri"])
    async with client_of(sandbox, "omars-token") as client:
        for path in (invitee["event"], invitee["uri"]):
            response = await client.get(path)
            assert (response.status_code, response.json()["title"]) == (403, "Permission Denied")
        response = await client.post(f"{invitee['event']}/cancellation", json={})
        assert response.json()["message"] == "You are not allowed to cancel this event"
        organization = {"organization": me["current_organization"]}
        assert (await client.get("/scheduled_events", params=organization)).status_code == 403
        assert (await client.get("/scheduled_events", params={"user": me["uri"]})).status_code == 403
        own = await client.get("/scheduled_events", params={"user": colleague["uri"]})
        assert own.json()["collection"] == []
    listed = await account.get("/scheduled_events", organization=me["current_organization"])
    assert len(listed["collection"]) == 1


# Cancelling


async def test_a_reason_may_be_refused_without_effect_and_an_empty_body_passes(
    sandbox: CalendlySandbox, account: Account, session: Json
) -> None:
    invitee = await account.book(session, TUESDAY)
    sandbox.switches.cancel_with_reason = "refused"
    assert parameters(await account.cancel(invitee["event"], {"reason": "Ill"})) == ["reason"]
    assert (await account.get(invitee["event"]))["resource"]["status"] == "active"
    assert (await account.client.post(f"{invitee['event']}/cancellation")).status_code == 201


async def test_a_cancellation_is_shown_on_the_event_and_the_invitee_and_frees_the_time(
    account: Account, session: Json
) -> None:
    invitee = await account.book(session, TUESDAY)
    answer = (await account.cancel(invitee["event"], {"reason": "Ill"})).json()["resource"]
    assert answer == {
        "canceled_by": "Nora Whitfield",
        "reason": "Ill",
        "canceler_type": "host",
        "created_at": "2026-11-23T13:00:00.000000Z",
    }
    for uri in (invitee["event"], invitee["uri"]):
        assert (await account.get(uri))["resource"]["cancellation"] == answer
    assert TUESDAY in await account.times(session, skip_days=1, days=1)


async def test_an_event_that_has_begun_is_not_cancelled(account: Account, session: Json, clock: Clock) -> None:
    invitee = await account.book(session, TUESDAY)
    clock.set(datetime(2026, 11, 24, 15, 0, tzinfo=UTC))
    response = await account.cancel(invitee["event"])
    assert (response.status_code, response.json()["message"]) == (403, "Event in the past")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "{event}/reschedule"),
        ("PATCH", "{event}"),
        ("DELETE", "{event}"),
        ("PATCH", "{uri}"),
        ("POST", "/holds"),
        ("POST", "/event_types"),
    ],
)
async def test_what_the_api_does_not_have_is_not_found(account: Account, session: Json, method: str, path: str) -> None:
    invitee = await account.book(session, TUESDAY)
    response = await account.client.request(method, path.format(**invitee))
    assert response.status_code == 404
    assert response.json()["message"] == "The server could not find the requested resource."


# No-shows and links


async def test_a_customer_who_did_not_come_is_marked_once_and_unmarked(
    account: Account, session: Json, clock: Clock
) -> None:
    invitee = await account.book(session, TUESDAY)
    body = {"invitee": invitee["uri"]}
    assert (await account.client.post("/invitee_no_shows", json=body)).status_code == 400
    clock.set(datetime(2026, 11, 24, 16, 0, tzinfo=UTC))
    made = (await account.client.post("/invitee_no_shows", json=body)).json()["resource"]
    assert (await account.get(made["uri"]))["resource"] == made
    assert (await account.get(invitee["uri"]))["resource"]["no_show"]["uri"] == made["uri"]
    assert (await account.client.post("/invitee_no_shows", json=body)).status_code == 409
    assert (await account.client.delete(made["uri"])).status_code == 204
    assert (await account.get(invitee["uri"]))["resource"]["no_show"] is None


async def test_a_scheduling_link_is_for_one_event(account: Account, session: Json) -> None:
    body = {"max_event_count": 1, "owner": session["uri"], "owner_type": "EventType"}
    made = (await account.client.post("/scheduling_links", json=body)).json()["resource"]
    assert made["booking_url"].startswith("https://calendly.com/d/")
    assert (made["owner"], made["owner_type"]) == (session["uri"], "EventType")
    wrong = await account.client.post("/scheduling_links", json=body | {"max_event_count": 2})
    assert parameters(wrong) == ["max_event_count"]


# Rates


async def test_the_minute_of_calls_refuses_and_tells_the_seconds(
    sandbox: CalendlySandbox, account: Account, clock: Clock
) -> None:
    sandbox.switches.plan = "free"
    answers = [await account.client.get("/users/me") for _ in range(50)]
    assert [answers[0].headers[f"x-ratelimit-{one}"] for one in ("limit", "remaining")] == ["50", "49"]
    clock.advance(timedelta(seconds=20))
    refused = await account.client.get("/users/me")
    assert (refused.status_code, refused.json()["title"]) == (429, "Too Many Requests")
    assert (refused.headers["x-ratelimit-remaining"], refused.headers["x-ratelimit-reset"]) == ("0", "40")
    assert "retry-after" not in refused.headers
    clock.advance(timedelta(seconds=40))
    assert (await account.client.get("/users/me")).status_code == 200


async def test_a_paid_plan_books_ten_a_minute_fifty_an_hour_a_hundred_a_day(
    sandbox: CalendlySandbox, account: Account, clock: Clock
) -> None:
    sandbox.change_hours({"wednesday": [("00:00", "23:59")], "thursday": [("00:00", "23:59")]})  # type: ignore[dict-item]
    short = sandbox.add_event_type("Short", 5, start_time_increment=5)
    starts = iter(await account.times(short, skip_days=1, days=6))

    async def booked(times: int) -> list[int]:
        return [(await account.post(account.order(short, next(starts)))).status_code for _ in range(times)]

    for _ in range(5):
        assert await booked(10) == [201] * 10
        assert await booked(1) == [429]
        clock.advance(timedelta(minutes=1))
    assert await booked(1) == [429], "fifty an hour"
    clock.advance(timedelta(hours=1))
    for _ in range(5):
        assert await booked(10) == [201] * 10
        clock.advance(timedelta(minutes=1))
    clock.advance(timedelta(hours=1))
    refused = await account.post(account.order(short, next(starts)))
    assert (refused.status_code, refused.headers["x-ratelimit-limit"]) == (429, "100")
    clock.advance(timedelta(seconds=int(refused.headers["x-ratelimit-reset"])))
    assert await booked(1) == [201]


@pytest.mark.parametrize(
    ("plan", "override", "wins"), [("trial", None, 5), ("free", None, 5), ("enterprise", None, 9), ("paid", 3, 3)]
)
async def test_each_plan_has_its_ration_of_creates(
    sandbox: CalendlySandbox, account: Account, plan: Any, override: int | None, wins: int
) -> None:
    sandbox.switches.plan, sandbox.switches.creates_per_day = plan, override
    intro = await account.event_type("Intro call")
    starts = (await account.times(intro))[:9]
    statuses = [(await account.post(account.order(intro, start))).status_code for start in starts]
    assert statuses == [201] * wins + [429] * (9 - wins)


@pytest.mark.parametrize(("counted", "status"), [(True, 429), (False, 201)])
async def test_refused_creates_count_or_not(
    sandbox: CalendlySandbox, account: Account, session: Json, counted: bool, status: int
) -> None:
    sandbox.switches.update({"creates_per_day": 1, "refused_creates_count": counted})
    assert (await account.post(account.order(session, "never"))).status_code == 400
    assert (await account.post(account.order(session, TUESDAY))).status_code == status


@pytest.mark.parametrize(("shown", "limit"), [("calls", "500"), ("creates", "10")])
async def test_the_headers_of_a_create_show_one_of_two_allowances(
    sandbox: CalendlySandbox, account: Account, session: Json, shown: Any, limit: str
) -> None:
    sandbox.switches.create_headers = shown
    response = await account.post(account.order(session, TUESDAY))
    assert response.headers["x-ratelimit-limit"] == limit


async def test_the_old_free_plan_may_neither_book_nor_subscribe(
    sandbox: CalendlySandbox, account: Account, session: Json
) -> None:
    sandbox.switches.plan = "free_old"
    for response in (
        await account.post(account.order(session, TUESDAY)),
        await account.subscribe("https://shop.example/hook"),
    ):
        assert response.status_code == 403
        assert response.json()["message"] == "Please upgrade to a paid Calendly account."
    assert await account.times(session) != []


# Rights


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/users/me", "users:read"),
        ("GET", "/event_types", "event_types:read"),
        ("GET", "/event_type_available_times", "availability:read"),
        ("GET", "/scheduled_events", "scheduled_events:read"),
        ("POST", "/invitees", "scheduled_events:write"),
        ("POST", "/scheduled_events/none/cancellation", "scheduled_events:write"),
        ("GET", "/webhook_subscriptions", "webhooks:read"),
        ("POST", "/webhook_subscriptions", "webhooks:write"),
        ("POST", "/scheduling_links", "scheduling_links:write"),
    ],
)
async def test_a_missing_scope_is_named(
    sandbox: CalendlySandbox, account: Account, method: str, path: str, scope: str
) -> None:
    has = sandbox.state.tokens[sandbox.token].scopes - {scope, scope.replace(":read", ":write")}
    sandbox.set_scopes(sorted(has))
    response = await account.client.request(method, path)
    assert response.status_code == 403
    assert response.json()["required_scopes"] == [scope]


async def test_the_scope_that_writes_includes_the_one_that_reads(sandbox: CalendlySandbox, account: Account) -> None:
    sandbox.set_scopes(["users:read", "scheduled_events:write"])
    user = (await account.me())["uri"]
    assert (await account.get("/scheduled_events", user=user))["collection"] == []


@pytest.mark.parametrize(
    ("switch", "status", "message"),
    [
        ("expired", 401, "The access token expired"),
        ("revoked", 401, "The access token was revoked"),
        ("scope_missing", 403, "Insufficient scope"),
    ],
)
async def test_all_tokens_can_lose_their_power_at_once(
    sandbox: CalendlySandbox, account: Account, switch: Any, status: int, message: str
) -> None:
    sandbox.switches.token = switch
    response = await account.client.get("/users/me")
    assert (response.status_code, response.json()["message"]) == (status, message)


async def test_one_token_is_expired_or_revoked_by_its_owner(sandbox: CalendlySandbox, account: Account) -> None:
    sandbox.add_token("another")
    sandbox.expire_token()
    assert (await account.client.get("/users/me")).json()["message"] == "The access token expired"
    sandbox.revoke_token()
    assert (await account.client.get("/users/me")).json()["message"] == "The access token was revoked"
    async with client_of(sandbox, "another") as client:
        assert (await client.get("/users/me")).status_code == 200


# Faults, switches, the call log


@pytest.mark.parametrize(
    ("kind", "outcome", "effect"),
    [
        ("error_before", 500, False),
        ("error_after", 500, True),
        ("drop_before", httpx.ReadError, False),
        ("drop_after", httpx.ReadError, True),
        ("hang", httpx.ReadTimeout, False),
        ("hang_after", httpx.ReadTimeout, True),
        ("html_body", 502, False),
        ("truncated_json", 201, True),
        ("rate_limited", 429, False),
        ("refuse", 500, False),
    ],
)
async def test_a_fault_strikes_the_next_create_once(
    sandbox: CalendlySandbox, account: Account, session: Json, kind: Any, outcome: Any, effect: bool
) -> None:
    sandbox.faults.append(Fault(kind, method="POST", path="/invitees$"))
    body = account.order(session, TUESDAY)
    seen: Any
    try:
        seen = (await account.client.post("/invitees", json=body)).status_code
    except httpx.TransportError as error:
        seen = type(error)
    assert seen == outcome
    assert len(sandbox.state.events) == int(effect)
    assert sandbox.faults == []


async def test_bodies_of_faults_are_calendlys(sandbox: CalendlySandbox, account: Account) -> None:
    sandbox.faults += [Fault("error_before"), Fault("rate_limited", retry_after=7), Fault("html_body")]
    assert (await account.client.get("/users/me")).json()["title"] == "Internal Server Error"
    limited = await account.client.get("/users/me")
    assert (limited.headers["x-ratelimit-remaining"], limited.headers["x-ratelimit-reset"]) == ("0", "7")
    assert (await account.client.get("/users/me")).text.startswith("<html>")


async def test_a_plain_asgi_transport_sees_a_dropped_connection_as_its_own_error(sandbox: CalendlySandbox) -> None:
    sandbox.faults.append(Fault("drop_before"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox.app), base_url="http://c") as client:
        with pytest.raises(ConnectionDropped):
            await client.get("/users/me")


async def test_a_dropped_connection_is_dropped_over_sockets_too(sandbox: CalendlySandbox) -> None:
    sandbox.faults.append(Fault("drop_before"))
    headers = {"authorization": f"Bearer {sandbox.token}"}
    async with serve_app(sandbox.app, port=0) as url, httpx.AsyncClient(base_url=url, headers=headers) as client:
        with pytest.raises(httpx.TransportError):
            await client.get("/users/me")
        assert (await client.get("/users/me")).status_code == 200


async def test_every_call_is_logged_with_its_body_and_status(
    sandbox: CalendlySandbox, account: Account, session: Json
) -> None:
    sandbox.calls.clear()
    body = account.order(session, TUESDAY)
    await account.post(body)
    call = sandbox.calls[0]
    assert (call.method, call.path, call.status, call.body) == ("POST", "/invitees", 201, body)


@pytest.mark.parametrize(
    "change",
    [
        {"race_mode": "sometimes"},
        {"window_limit_days": 30},
        {"window_limit_days": "7"},
        {"refused_creates_count": 1},
        {"listing_lag_seconds": -1},
        {"creates_per_day": True},
        {"no_such_switch": 1},
        [],
    ],
)
async def test_a_switch_that_makes_no_sense_is_refused_and_nothing_is_turned(
    sandbox: CalendlySandbox, change: Any
) -> None:
    mixed = {"plan": "trial", **change} if isinstance(change, dict) else change
    with pytest.raises(BadControl):
        sandbox.switches.update(mixed)
    assert sandbox.switches.plan == "paid"


async def test_the_same_seed_gives_the_same_ids_and_a_reset_starts_over(clock: Clock) -> None:
    first, second = CalendlySandbox(now=clock, seed=3), CalendlySandbox(now=clock, seed=3)
    ids = first.seed_adviser()
    assert second.seed_adviser() == ids
    first.book(ids.uris["Review"], datetime(2026, 11, 24, 15, tzinfo=UTC))
    first.switches.plan = "trial"
    first.reset()
    assert (first.state.events, first.state.event_types, first.switches.plan) == ({}, {}, "paid")
    assert first.seed_adviser() == ids
