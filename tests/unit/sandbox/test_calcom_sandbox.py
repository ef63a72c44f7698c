"""The Cal.com sandbox around its operations: version, keys, limits, faults, switches, the operator's page, the seed."""

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from sandbox.calcom import CalcomSandbox, ConnectionDropped, Fault
from sandbox.calcom.acts import BY_NAME
from sandbox.calcom.seed import CoachIds, seed_coach
from sandbox.clock import Clock
from sandbox.serve import serve_app
from tests.contract.calcom_fixtures import Coach, Json
from tests.support.calcom_account import FRIDAY, Receiver, message, subscribe


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
async def control(sandbox: CalcomSandbox) -> AsyncIterator[httpx.AsyncClient]:
    """The operator's client."""
    transport = sandbox.transport()
    async with httpx.AsyncClient(transport=transport, base_url="http://cal.test/_sandbox") as client:
        yield client


@pytest.fixture
def coach(client: httpx.AsyncClient, clock: Clock) -> Coach:
    """Shorthands for making things."""
    return Coach(client, clock, random.Random(1))


# the version header, keys


@pytest.mark.parametrize("path", ["slots", "bookings", "event-types", "schedules"])
@pytest.mark.parametrize("version", ["", "2024-04-15", "nonsense"])
async def test_a_forgotten_or_unknown_version_finds_no_route(coach: Coach, path: str, version: str) -> None:
    response = await coach.call("GET", path, version=version)
    assert response.status_code == 404
    assert message(response) == f"Cannot GET /v2/{path}"


async def test_both_versions_of_bookings_are_answered(coach: Coach) -> None:
    uid = (await coach.booked(await coach.event_type(), "10:00"))["uid"]
    for version in ("2024-08-13", "2026-02-25"):
        assert (await coach.call("GET", f"bookings/{uid}", version=version)).status_code == 200


async def test_an_expired_key_is_refused_even_where_none_is_needed(sandbox: CalcomSandbox, coach: Coach) -> None:
    uid = (await coach.booked(await coach.event_type(), "10:00"))["uid"]
    sandbox.expire_key()
    for path in ("me", f"bookings/{uid}"):
        response = await coach.call("GET", path)
        assert response.status_code == 401
        assert message(response) == "CustomThrottlerGuard - Invalid API Key"
    assert (await coach.call("GET", f"bookings/{uid}", anonymous=True)).status_code == 200
    sandbox.renew_key()
    assert (await coach.call("GET", "me")).status_code == 200


async def test_a_key_is_replaced_by_one_that_ends_in_thirty_days(
    clock: Clock, client: httpx.AsyncClient, coach: Coach
) -> None:
    fresh = (await coach.call("POST", "api-keys/refresh", {})).json()["data"]["apiKey"]
    assert (await coach.call("GET", "me")).status_code == 401
    client.headers["authorization"] = f"Bearer {fresh}"
    assert (await coach.call("GET", "me")).status_code == 200
    clock.advance(timedelta(days=30))
    assert (await coach.call("GET", "me")).status_code == 401


async def test_a_browser_may_ask_from_any_origin(client: httpx.AsyncClient) -> None:
    preflight = await client.options("slots", headers={"origin": "https://elsewhere.test"})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "cal-api-version" in preflight.headers["access-control-allow-headers"]


# limits


async def test_the_hundred_and_twenty_first_request_of_a_minute_begins_a_block(clock: Clock, coach: Coach) -> None:
    answers = [await coach.call("GET", "me") for _ in range(120)]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[-1].headers["x-ratelimit-remaining-default"] == "0"
    clock.advance(timedelta(seconds=50))
    blocked = await coach.call("GET", "me")
    assert blocked.status_code == 429
    assert blocked.json()["error"]["code"] == "ThrottlerException"
    assert "retry-after" not in blocked.headers
    clock.advance(timedelta(seconds=59))
    assert (await coach.call("GET", "me")).status_code == 429
    clock.advance(timedelta(seconds=1))
    assert (await coach.call("GET", "me")).status_code == 200


async def test_who_sends_no_key_has_an_allowance_of_their_own(sandbox: CalcomSandbox, coach: Coach) -> None:
    sandbox.switches.rate_limit_per_minute = 1
    assert [(await coach.call("GET", "me")).status_code for _ in range(2)] == [200, 429]
    assert (await coach.call("GET", "event-types", anonymous=True)).status_code == 200


async def test_the_reset_is_told_in_seconds_or_as_unix_time(sandbox: CalcomSandbox, coach: Coach) -> None:
    assert (await coach.call("GET", "me")).headers["x-ratelimit-reset-default"] == "60"
    sandbox.switches.rate_reset = "unix"
    at = (await coach.call("GET", "me")).headers["x-ratelimit-reset-default"]
    assert int(at) == int(FRIDAY.timestamp()) + 60


async def test_a_block_may_tell_when_to_come_back(sandbox: CalcomSandbox, coach: Coach) -> None:
    sandbox.switches.update({"retry_after_header": True, "rate_limit_per_minute": 1})
    first, blocked = await coach.call("GET", "me"), await coach.call("GET", "me")
    assert "retry-after" not in first.headers
    assert blocked.headers["retry-after"] == "60"


async def test_a_request_beyond_the_limit_has_no_effect(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    sandbox.switches.rate_limit_per_minute = 1
    assert (await coach.reserve(kind, "10:00")).status_code == 429
    assert sandbox.state.reservations == {}


# faults


@pytest.mark.parametrize(
    ("fault", "status", "happens"),
    [
        (Fault("error_before"), 500, False),
        (Fault("error_after"), 500, True),
        (Fault("error_after", status=503), 503, True),
        (Fault("html_body"), 502, False),
        (Fault("rate_limited"), 429, False),
        (Fault("refuse", status=401), 401, False),
    ],
)
async def test_a_fault_strikes_the_next_call_before_or_after_its_effect(
    sandbox: CalcomSandbox, coach: Coach, fault: Fault, status: int, happens: bool
) -> None:
    kind = await coach.event_type()
    sandbox.faults.append(fault)
    assert (await coach.book(kind, "10:00")).status_code == status
    assert bool(sandbox.state.bookings) is happens
    assert sandbox.faults == []


@pytest.mark.parametrize(
    ("kind", "error", "happens"),
    [
        ("drop_before", httpx.ReadError, False),
        ("drop_after", httpx.ReadError, True),
        ("hang", httpx.ReadTimeout, False),
        ("hang_after", httpx.ReadTimeout, True),
    ],
)
async def test_a_reply_can_be_lost_with_the_effect_or_without(
    sandbox: CalcomSandbox, coach: Coach, kind: Any, error: type[Exception], happens: bool
) -> None:
    event_type = await coach.event_type()
    sandbox.faults.append(Fault(kind, method="POST", path="/bookings"))
    with pytest.raises(error):
        await coach.book(event_type, "10:00")
    assert bool(sandbox.state.bookings) is happens
    assert sandbox.calls[-1].status is None


async def test_bodies_of_faults_are_as_broken_as_real_ones(sandbox: CalcomSandbox, coach: Coach) -> None:
    sandbox.faults += [Fault("error_before"), Fault("html_body"), Fault("truncated_json")]
    bare, page, cut = [await coach.call("GET", "me") for _ in range(3)]
    assert bare.json() == {"statusCode": 500, "message": "Internal server error"}
    assert "<h1>502" in page.text
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        cut.json()


async def test_a_plain_asgi_transport_sees_a_dropped_connection_as_its_own_error(sandbox: CalcomSandbox) -> None:
    sandbox.faults.append(Fault("drop_before"))
    transport = httpx.ASGITransport(app=sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://cal.test") as plain:
        with pytest.raises(ConnectionDropped):
            await plain.get("/v2/me")


async def test_over_a_socket_the_connection_is_cut_or_silent(sandbox: CalcomSandbox) -> None:
    sandbox.faults += [Fault("drop_before"), Fault("hang")]
    headers = {"authorization": f"Bearer {sandbox.token}"}
    async with serve_app(sandbox.app, port=0) as url, httpx.AsyncClient(base_url=url, headers=headers) as real:
        with pytest.raises(httpx.RemoteProtocolError):
            await real.get("/v2/me")
        with pytest.raises(httpx.ReadTimeout):
            await real.get("/v2/me", timeout=0.2)
        assert (await real.get("/v2/me")).status_code == 200


# bodies


async def test_a_body_must_be_a_json_object(client: httpx.AsyncClient, coach: Coach) -> None:
    headers = {"cal-api-version": "2024-08-13", "content-type": "application/json"}
    for content in (b"{", b"[]"):
        assert (await client.post("bookings", content=content, headers=headers)).status_code == 400
    as_form = await client.post(
        "bookings", data={"start": coach.at("10:00")}, headers={"cal-api-version": "2024-08-13"}
    )
    errors = as_form.json()["error"]["details"]["errors"]
    assert [error["property"] for error in errors] == ["start", "attendee"]


@pytest.mark.parametrize("start", ["2026-12-01T10:00:00+01:00", "2026-12-01T10:00:00", "2026-12-01", 1764579600])
async def test_a_start_that_is_not_utc_is_refused(coach: Coach, start: Any) -> None:
    response = await coach.book(await coach.event_type(), "10:00", start=start)
    assert response.status_code == 400
    assert response.json()["error"]["details"]["errors"][0]["property"] == "start"


async def test_a_filter_that_the_list_does_not_know_is_ignored(coach: Coach) -> None:
    await coach.booked(await coach.event_type(), "10:00", metadata={"holdfast_id": "bk_1"})
    assert len(await coach.get("bookings", metadata="bk_2", holdfast_id="bk_2")) == 1


# the operator


async def test_switches_are_read_and_set_over_http(sandbox: CalcomSandbox, control: httpx.AsyncClient) -> None:
    changes = {"race_mode": "gap", "reservation_cap_minutes": 60, "taken_status": 409, "decoy": True}
    assert (await control.patch("switches", json=changes)).status_code == 200
    shown = (await control.get("switches")).json()
    assert {name: shown[name] for name in changes} == changes
    sandbox.reset()
    assert sandbox.switches.race_mode == "atomic"


@pytest.mark.parametrize(
    "wrong",
    [
        {"race_mode": "fast"},
        {"taken_status": 422},
        {"decoy": 1},
        {"reservation_cap_minutes": 0},
        {"list_lag_seconds": None},
        {"list_lag_seconds": True},
        {"no_such": 1},
        [],
    ],
    ids=str,
)
async def test_a_switch_that_makes_no_sense_is_refused_and_nothing_is_turned(
    sandbox: CalcomSandbox, control: httpx.AsyncClient, wrong: Any
) -> None:
    body = {"webhook_lose": 3, **wrong} if isinstance(wrong, dict) else wrong
    assert (await control.patch("switches", json=body)).status_code == 400
    assert sandbox.switches.webhook_lose == 0


async def test_faults_clock_and_calls_are_there_over_http(
    clock: Clock, coach: Coach, control: httpx.AsyncClient
) -> None:
    await control.post("faults", json={"kind": "error_before", "path": "/me$"})
    assert (await coach.call("GET", "me")).status_code == 500
    await control.put("clock", json={"advance_seconds": 60})
    assert clock() == FRIDAY + timedelta(minutes=1)
    assert [call["status"] for call in (await control.get("calls")).json()] == [500]


async def test_a_reset_account_is_new_and_gives_the_same_ids_again(
    sandbox: CalcomSandbox, coach: Coach, control: httpx.AsyncClient
) -> None:
    first = await coach.booked(await coach.event_type(scheduleId=None), "10:00", start="2026-11-23T10:00:00Z")
    await control.post("reset")
    assert (sandbox.calls, sandbox.state.bookings) == ([], {})
    await coach.make("schedules", {"name": "Other", "timeZone": "UTC", "isDefault": False})
    again = await coach.booked(await coach.event_type(scheduleId=None), "10:00", start="2026-11-23T10:00:00Z")
    assert (again["uid"], again["id"]) == (first["uid"], first["id"])


async def test_every_act_can_be_done_over_http(
    sandbox: CalcomSandbox, coach: Coach, control: httpx.AsyncClient
) -> None:
    kind = await coach.event_type(scheduleId=None, slug="call")

    async def act(name: str, /, **body: Any) -> Any:
        done.add(name)
        response = await control.post(f"acts/{name}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    done: set[str] = set()
    hours = [{"days": ["Monday", "Tuesday"], "startTime": "08:00", "endTime": "20:00"}]
    assert (await act("change_hours", availability=hours, time_zone="UTC"))["availability"] == hours
    first = await act("book_as_stranger", event_type="call", start="2026-11-23T10:00:00Z", name="Eve")
    assert first["attendees"][0]["name"] == "Eve"
    moved = await act("move_as_attendee", uid=first["uid"], start="2026-11-23T11:00:00Z")
    moved = await act("move_as_owner", uid=moved["uid"], start="2026-11-23T13:00:00+01:00", reason="Later")
    await act("ask_for_new_time", uid=moved["uid"])
    second = await act("book_as_stranger", event_type=kind, start="2026-11-23T10:00:00Z")
    assert (await act("cancel_as_attendee", uid=second["uid"]))["status"] == "cancelled"
    third = await act("book_as_stranger", event_type=kind, start="2026-11-23T10:00:00Z")
    assert (await act("cancel_as_owner", uid=third["uid"], reason="Ill"))["cancellationReason"] == "Ill"
    assert (await act("set_confirmation", event_type=kind, on=True))["confirmationPolicy"]["type"] == "always"
    pending = await act("book_as_stranger", event_type=kind, start="2026-11-23T10:00:00Z")
    assert (await act("decline", uid=pending["uid"]))["status"] == "rejected"
    pending = await act("book_as_stranger", event_type=kind, start="2026-11-23T10:00:00Z")
    assert (await act("confirm", uid=pending["uid"]))["status"] == "accepted"
    block = await act("add_calendar_block", start="2026-11-24T10:00:00Z", end="2026-11-24T11:00:00Z")
    await act("remove_calendar_block", block_id=block)
    assert (await act("set_price", event_type=kind, price=100))["price"] == 100
    await act("set_confirmation", event_type=kind, on=False)
    unpaid = await act("book_as_stranger", event_type=kind, start="2026-11-24T10:00:00Z")
    assert (await act("pay_at_calcom", uid=unpaid["uid"]))["status"] == "accepted"
    assert (await act("set_cancelling", event_type=kind, allowed=False))["disableCancelling"] == {"disabled": True}
    await act("set_rescheduling", event_type=kind, allowed=False)
    await act("set_managed_parent", event_type=kind, on=True)
    await act("block_attendee", email="eve@example.test")
    await act("expire_key")
    assert (await coach.call("GET", "me")).status_code == 401
    await act("renew_key")
    assert done == set(BY_NAME)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("nothing", {}),
        ("cancel_as_owner", {}),
        ("cancel_as_owner", {"uid": "nobody"}),
        ("book_as_stranger", {"event_type": 1, "start": "2026-11-23T10:00:00Z"}),
        ("book_as_stranger", {"event_type": "call", "start": "2026-11-23T10:00:00"}),
        ("book_as_stranger", {"event_type": "call", "start": "2026-11-22T03:00:00Z"}),
        ("add_calendar_block", {"start": "2026-11-24T11:00:00Z", "end": "2026-11-24T10:00:00Z"}),
        ("set_confirmation", {"event_type": "call", "on": "perhaps"}),
        ("expire_key", {"token": "cal_nobody"}),
    ],
)
async def test_an_act_that_cannot_be_is_refused_with_the_reason(
    coach: Coach, control: httpx.AsyncClient, name: str, body: Json
) -> None:
    await coach.event_type(scheduleId=None, slug="call")
    response = await control.post(f"acts/{name}", json=body)
    assert response.status_code == 400
    assert response.json()["message"]


async def test_the_page_shows_what_there_is_and_its_forms_work(
    sandbox: CalcomSandbox, coach: Coach, control: httpx.AsyncClient
) -> None:
    kind = await coach.event_type(title="Discovery call")
    await subscribe(coach)
    await coach.reserved(kind, "10:00")
    booked = await control.post("acts/book_as_stranger", data={"event_type": str(kind), "start": coach.at("11:00")})
    assert (booked.status_code, booked.headers["location"]) == (303, "/_sandbox/")
    await control.post(
        "forms/switches", data={"race_mode": "gap", "taken_status": "409", "reservation_cap_minutes": ""}
    )
    await control.post(
        "forms/faults", data={"kind": "hang", "method": "", "path": "/slots", "times": "2", "status": "500"}
    )
    assert (sandbox.switches.race_mode, sandbox.switches.taken_status) == ("gap", 409)
    assert (sandbox.faults[0].kind, sandbox.faults[0].times) == ("hang", 2)
    page = await control.get("/")
    assert "script-src" not in page.headers["content-security-policy"]
    for text in ("Discovery call", "Sam Stranger", "http://us.test/hook", "BOOKING_CREATED", "<code>hang</code>"):
        assert text in page.text
    refused = await control.post("acts/cancel_as_owner", data={"uid": "nobody"})
    assert refused.status_code == 400
    assert "there is no booking &#39;nobody&#39;" in refused.text
    await control.post("forms/clear_faults", data={"kind": "hang"})
    assert sandbox.faults == []
    assert (await control.post("deliver")).json() == {"sent": 1}
    assert [one["answers"] for one in (await control.get("deliveries")).json()] == [[200]]
    assert len((await control.get("bookings")).json()) == len((await control.get("reservations")).json()) == 1
    await control.post("forms/reset", data={"sure": "yes"})
    assert "Discovery call" not in (await control.get("/")).text


# the seed


@pytest.fixture
async def collins_coaching(client: httpx.AsyncClient) -> CoachIds:
    """The demo's coach."""
    return await seed_coach(client, webhook_url="http://us.test/hook")


async def test_the_demo_coach_is_worth_looking_at(coach: Coach, collins_coaching: CoachIds) -> None:
    listed = await coach.get("event-types", username=collins_coaching.username)
    assert {one["title"]: one["id"] for one in listed} == collins_coaching.event_types
    assert {one["price"] for one in listed} == {0}
    monday = {"start": "2026-11-23", "end": "2026-11-23", "timeZone": "Europe/London"}
    calls = await coach.starts(collins_coaching.event_types["Discovery call"], **monday)
    sessions = await coach.starts(collins_coaching.event_types["Coaching session"], **monday)
    assert calls[:3] == ["09:00", "09:20", "09:40"]
    assert sessions == ["09:00", "09:30", "10:00", "10:30", "11:00", "11:30", *_half_hours("13:30", "16:30")]
    assert (await coach.get(f"webhooks/{collins_coaching.webhook}"))["secret"]


async def test_the_demo_coach_is_away_on_the_day_off(coach: Coach, collins_coaching: CoachIds) -> None:
    window = {"start": "2026-12-24", "end": "2026-12-25", "timeZone": "Europe/London"}
    assert set(await coach.slots(collins_coaching.event_types["Discovery call"], **window)) == {"2026-12-25"}


def _half_hours(first: str, last: str) -> list[str]:
    start, end = (int(text[:2]) * 60 + int(text[3:]) for text in (first, last))
    return [f"{minutes // 60:02}:{minutes % 60:02}" for minutes in range(start, end + 1, 30)]
