"""Events that are there, in the Calendly sandbox: found, listed, cancelled, marked, and never moved."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from sandbox.calendly import CalendlySandbox
from sandbox.clock import Clock
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


def parameters(response: httpx.Response) -> list[str]:
    """The parameters that a refusal names."""
    assert response.status_code == 400, response.text
    return [one["parameter"] for one in response.json()["details"]]


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
