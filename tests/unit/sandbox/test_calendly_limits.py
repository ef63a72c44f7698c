"""What stops a call to the Calendly sandbox: rations, rights and faults; and what the log keeps of it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sandbox.calendly import BadControl, CalendlySandbox, ConnectionDropped, Fault
from sandbox.clock import Clock
from sandbox.serve import serve_app
from tests.contract.calendly_fixtures import Account, Json

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
