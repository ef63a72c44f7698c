"""The Calendly sandbox's webhooks: who hears what, how it is signed, how often it is tried, when Calendly gives up."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from sandbox.calendly import AdviserIds, CalendlySandbox
from sandbox.clock import Clock
from tests.contract.calendly_fixtures import Account, Json

MONDAY = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
TUESDAY = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
HOOK = "https://shop.example/hook"
KEY = "contract-signing-key"


@dataclass
class Shop:
    """The shop's endpoint: keeps what arrives with its signature, and answers `status`."""

    status: int = 200
    received: list[tuple[bytes, str | None]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        self.received.append((await request.body(), request.headers.get("calendly-webhook-signature")))
        await Response(status_code=self.status)(scope, receive, send)

    def bodies(self) -> list[Json]:
        return [json.loads(body) for body, _ in self.received]

    def kinds(self) -> list[str]:
        return [body["event"] for body in self.bodies()]


@pytest.fixture
def clock() -> Clock:
    return Clock(MONDAY)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def sandbox(clock: Clock, shop: Shop) -> AsyncIterator[CalendlySandbox]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(shop)) as webhooks:
        yield CalendlySandbox(now=clock, webhook_client=webhooks)


@pytest.fixture
def ids(sandbox: CalendlySandbox) -> AdviserIds:
    return sandbox.seed_adviser()


@pytest.fixture
async def account(sandbox: CalendlySandbox, clock: Clock, ids: AdviserIds) -> AsyncIterator[Account]:
    headers = {"authorization": f"Bearer {sandbox.token}"}
    transport = sandbox.transport()
    async with httpx.AsyncClient(transport=transport, base_url="https://api.calendly.com", headers=headers) as client:
        yield Account(client, now=clock)


@pytest.fixture
async def subscription(account: Account) -> Json:
    response = await account.subscribe(HOOK)
    assert response.status_code == 201
    resource: Json = response.json()["resource"]
    return resource


@pytest.mark.usefixtures("subscription")
async def test_a_booking_by_api_and_one_on_the_page_are_both_told(
    sandbox: CalendlySandbox, account: Account, shop: Shop, ids: AdviserIds
) -> None:
    invitee = await account.book(await account.event_type("Advice session"), "2026-11-24T15:00:00Z")
    sandbox.book(ids.uris["Review"], TUESDAY + timedelta(days=1, hours=5))
    assert await sandbox.deliver_due() == 2
    first, second = shop.bodies()
    assert first["event"] == "invitee.created"
    assert first["created_by"] == (await account.me())["uri"]
    assert {name: value for name, value in first["payload"].items() if name != "scheduled_event"} == invitee
    assert first["payload"]["scheduled_event"]["uri"] == invitee["event"]
    assert first["payload"]["scheduled_event"]["start_time"] == "2026-11-24T15:00:00.000000Z"
    assert second["payload"]["email"] == "sam@rivers.example"
    assert await sandbox.deliver_due() == 0


@pytest.mark.usefixtures("subscription")
async def test_a_webhook_is_signed_over_the_moment_and_the_raw_body(
    sandbox: CalendlySandbox, shop: Shop, ids: AdviserIds
) -> None:
    sandbox.book(ids.uris["Review"], TUESDAY)
    await sandbox.deliver_due()
    body, header = shop.received[0]
    stamp = int(MONDAY.timestamp())
    digest = hmac.new(KEY.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert header == f"t={stamp},v1={digest}"


async def test_without_a_key_nothing_is_signed(
    sandbox: CalendlySandbox, account: Account, shop: Shop, ids: AdviserIds
) -> None:
    await account.subscribe(HOOK, signing_key=None)
    sandbox.book(ids.uris["Review"], TUESDAY)
    await sandbox.deliver_due()
    assert shop.received[0][1] is None


@pytest.mark.usefixtures("subscription")
async def test_a_cancellation_tells_who_cancelled(sandbox: CalendlySandbox, shop: Shop, ids: AdviserIds) -> None:
    first = sandbox.book(ids.uris["Review"], TUESDAY)
    second = sandbox.book(ids.uris["Review"], TUESDAY + timedelta(minutes=30))
    sandbox.cancel_as_host(first["event"], reason="Ill")
    sandbox.cancel_as_invitee(second["cancel_url"])
    await sandbox.deliver_due()
    host, invitee = (body["payload"] for body in shop.bodies() if body["event"] == "invitee.canceled")
    assert (host["uri"], host["status"], host["rescheduled"]) == (first["uri"], "canceled", False)
    assert (host["cancellation"]["canceler_type"], host["cancellation"]["reason"]) == ("host", "Ill")
    assert (invitee["uri"], invitee["cancellation"]["canceler_type"]) == (second["uri"], "invitee")
    assert invitee["scheduled_event"]["status"] == "canceled"


@pytest.mark.usefixtures("subscription")
@pytest.mark.parametrize("by", ["invitee", "host"])
async def test_a_move_on_the_page_is_a_cancellation_and_a_booking_that_name_each_other(
    sandbox: CalendlySandbox, account: Account, shop: Shop, ids: AdviserIds, by: Any
) -> None:
    old = sandbox.book(ids.uris["Review"], TUESDAY, tracking={"utm_content": "bk_1"})
    new = sandbox.reschedule(old["reschedule_url"], TUESDAY + timedelta(minutes=30), by=by)
    await sandbox.deliver_due()
    assert shop.kinds() == ["invitee.created", "invitee.canceled", "invitee.created"]
    _, canceled, created = (body["payload"] for body in shop.bodies())
    assert (canceled["uri"], canceled["rescheduled"], canceled["new_invitee"]) == (old["uri"], True, new["uri"])
    assert (created["uri"], created["old_invitee"]) == (new["uri"], old["uri"])
    assert new["event"] != old["event"]
    assert canceled["cancellation"]["canceler_type"] == by
    assert created["tracking"]["utm_content"] == "bk_1"
    assert (await account.get(old["event"]))["resource"]["status"] == "canceled"
    starts = (await account.get(new["event"]))["resource"]["start_time"]
    assert starts == "2026-11-24T15:30:00.000000Z"


async def test_a_move_may_lose_the_tracking(sandbox: CalendlySandbox, ids: AdviserIds) -> None:
    sandbox.switches.tracking_after_reschedule = "lost"
    old = sandbox.book(ids.uris["Review"], TUESDAY, tracking={"utm_content": "bk_1"})
    new = sandbox.reschedule(old["uri"], TUESDAY + timedelta(hours=1))
    assert set(new["tracking"].values()) == {None}
    assert new["old_invitee"] == old["uri"]


async def test_marking_a_no_show_is_told_to_those_who_ask(
    sandbox: CalendlySandbox, account: Account, shop: Shop, ids: AdviserIds, clock: Clock
) -> None:
    await account.subscribe(HOOK, events=["invitee_no_show.created", "invitee_no_show.deleted"])
    invitee = sandbox.book(ids.uris["Review"], TUESDAY)
    clock.set(TUESDAY + timedelta(hours=1))
    made = await account.client.post("/invitee_no_shows", json={"invitee": invitee["uri"]})
    await account.client.delete(made.json()["resource"]["uri"])
    await sandbox.deliver_due()
    assert shop.kinds() == ["invitee_no_show.created", "invitee_no_show.deleted"]


async def test_a_user_hears_of_their_own_events_and_an_organization_of_all(
    sandbox: CalendlySandbox, account: Account, shop: Shop
) -> None:
    await account.subscribe(HOOK)
    organization = await account.subscribe("https://shop.example/all", scope="organization", user=None)
    assert organization.json()["resource"]["user"] is None
    colleague = sandbox.add_user("Omar Diaz", "omar@whitfield.example")
    theirs = sandbox.add_event_type("Second opinion", 30, hosts=[colleague["uri"]])
    sandbox.book(theirs["uri"], TUESDAY)
    assert await sandbox.deliver_due() == 1
    assert sandbox.state.deliveries.queue[0].endpoint.url == "https://shop.example/all"


# Subscriptions


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/hook",
        "https://localhost/hook",
        "https://127.0.0.1/hook",
        "https://10.0.0.1/hook",
        "https://[::1]/hook",
        "ftp://shop.example",
        "",
        7,
    ],
)
async def test_a_url_is_public_and_https_unless_switched(sandbox: CalendlySandbox, account: Account, url: Any) -> None:
    response = await account.client.post("/webhook_subscriptions", json={"url": url})
    assert "url" in [one["parameter"] for one in response.json()["details"]]
    sandbox.switches.local_webhook_urls = True
    assert (await account.subscribe("http://127.0.0.1:8000/hook")).status_code == 201


async def test_a_key_is_never_shown(account: Account, subscription: Json) -> None:
    for response in (
        await account.client.get(subscription["uri"]),
        await account.client.get(
            "/webhook_subscriptions",
            params={"organization": subscription["organization"], "user": subscription["user"], "scope": "user"},
        ),
    ):
        assert response.status_code == 200
        assert KEY not in response.text


@pytest.mark.parametrize(
    ("without", "named"),
    [("organization", "organization"), ("scope", "scope"), ("user", "user")],
)
async def test_a_list_of_subscriptions_needs_its_owner(
    account: Account, subscription: Json, without: str, named: str
) -> None:
    query = {"organization": subscription["organization"], "user": subscription["user"], "scope": "user"}
    del query[without]
    response = await account.client.get("/webhook_subscriptions", params=query)
    assert response.status_code == 400
    assert response.json()["details"][0]["parameter"] == named


async def test_only_an_admin_subscribes_for_the_organization_and_nobody_for_another(
    sandbox: CalendlySandbox, account: Account
) -> None:
    me = await account.me()
    colleague = sandbox.add_user("Omar Diaz", "omar@whitfield.example")
    sandbox.add_token("omars-token", user=colleague["uri"])
    account.client.headers["authorization"] = "Bearer omars-token"
    assert (await account.subscribe(HOOK, scope="organization")).status_code == 403
    assert (await account.subscribe(HOOK, user=me["uri"])).status_code == 403
    assert (await account.subscribe(HOOK)).status_code == 201


async def test_the_data_of_a_webhook_needs_the_scope_that_reads_it(sandbox: CalendlySandbox, account: Account) -> None:
    sandbox.set_scopes(["users:read", "webhooks:write"])
    response = await account.subscribe(HOOK)
    assert (response.status_code, response.json()["required_scopes"]) == (403, ["scheduled_events:read"])


async def test_a_deleted_subscription_hears_nothing_more(
    sandbox: CalendlySandbox, account: Account, shop: Shop, ids: AdviserIds, subscription: Json
) -> None:
    sandbox.book(ids.uris["Review"], TUESDAY)
    await account.client.delete(subscription["uri"])
    sandbox.book(ids.uris["Review"], TUESDAY + timedelta(hours=1))
    assert await sandbox.deliver_due() == 0
    assert shop.received == []


# Delivery


@pytest.mark.usefixtures("subscription")
@pytest.mark.parametrize(
    ("mode", "arrivals"),
    [("once", ["created", "canceled"]), ("reversed", ["canceled", "created"]), ("never", [])],
)
async def test_webhooks_come_once_in_any_order_or_not_at_all(
    sandbox: CalendlySandbox, shop: Shop, ids: AdviserIds, mode: Any, arrivals: list[str]
) -> None:
    sandbox.switches.webhooks = mode
    sandbox.cancel_as_host(sandbox.book(ids.uris["Review"], TUESDAY)["event"])
    await sandbox.deliver_due()
    assert shop.kinds() == [f"invitee.{kind}" for kind in arrivals]


@pytest.mark.usefixtures("subscription")
async def test_webhooks_come_twice_with_the_same_body(sandbox: CalendlySandbox, shop: Shop, ids: AdviserIds) -> None:
    sandbox.switches.webhooks = "twice"
    sandbox.book(ids.uris["Review"], TUESDAY)
    await sandbox.deliver_due()
    assert len(shop.received) == 2
    assert shop.received[0] == shop.received[1]


@pytest.mark.usefixtures("subscription")
async def test_webhooks_can_be_late(sandbox: CalendlySandbox, shop: Shop, ids: AdviserIds, clock: Clock) -> None:
    sandbox.switches.webhooks = "delayed"
    sandbox.book(ids.uris["Review"], TUESDAY)
    assert await sandbox.deliver_due() == 0
    clock.advance(timedelta(minutes=10))
    assert await sandbox.deliver_due() == 1
    assert shop.bodies()[0]["created_at"] == "2026-11-23T13:00:00.000000Z"


async def test_all_subscriptions_can_be_disabled_at_once(
    sandbox: CalendlySandbox, account: Account, shop: Shop, ids: AdviserIds, subscription: Json
) -> None:
    sandbox.switches.webhooks = "disabled"
    sandbox.book(ids.uris["Review"], TUESDAY)
    assert await sandbox.deliver_due() == 0
    assert (await account.get(subscription["uri"]))["resource"]["state"] == "disabled"
    sandbox.switches.webhooks = "once"
    sandbox.book(ids.uris["Review"], TUESDAY + timedelta(hours=1))
    assert await sandbox.deliver_due() == 0
    await account.client.delete(subscription["uri"])
    assert (await account.subscribe(HOOK)).status_code == 201
    sandbox.book(ids.uris["Review"], TUESDAY + timedelta(hours=2))
    assert await sandbox.deliver_due() == 1


async def attempts(sandbox: CalendlySandbox, clock: Clock, *, during: timedelta) -> list[timedelta]:
    """Let time pass minute by minute and return when deliveries were tried."""
    began, tried = clock(), []
    for minute in range(int(during / timedelta(minutes=1)) + 1):
        clock.set(began + timedelta(minutes=minute))
        if await sandbox.deliver_due():
            tried.append(timedelta(minutes=minute))
    return tried


@pytest.mark.parametrize("status", [500, 404, 302])
async def test_a_failing_endpoint_is_tried_for_24_hours_with_growing_pauses_and_then_disabled(
    sandbox: CalendlySandbox,
    account: Account,
    shop: Shop,
    ids: AdviserIds,
    subscription: Json,
    clock: Clock,
    status: int,
) -> None:
    shop.status = status
    sandbox.book(ids.uris["Review"], TUESDAY + timedelta(days=2))
    await sandbox.deliver_due()
    shown = (await account.get(subscription["uri"]))["resource"]
    assert (shown["state"], shown["retry_started_at"]) == ("active", "2026-11-23T13:00:00.000000Z")
    tried = await attempts(sandbox, clock, during=timedelta(hours=24))
    pauses = [later - earlier for earlier, later in zip([timedelta(0), *tried], tried, strict=False)]
    assert pauses[:5] == [timedelta(minutes=minutes) for minutes in (1, 2, 4, 8, 16)]
    assert tried[-1] == timedelta(hours=24)
    shown = (await account.get(subscription["uri"]))["resource"]
    assert (shown["state"], shown["retry_started_at"]) == ("disabled", "2026-11-23T13:00:00.000000Z")
    shop.status = 200
    assert await attempts(sandbox, clock, during=timedelta(hours=24)) == []


async def test_an_endpoint_that_comes_back_in_time_stays_subscribed(
    sandbox: CalendlySandbox, account: Account, shop: Shop, ids: AdviserIds, subscription: Json, clock: Clock
) -> None:
    shop.status = 503
    sandbox.book(ids.uris["Review"], TUESDAY)
    await sandbox.deliver_due()
    shop.status = 204
    assert await attempts(sandbox, clock, during=timedelta(minutes=5)) == [timedelta(minutes=1)]
    shown = (await account.get(subscription["uri"]))["resource"]
    assert (shown["state"], shown["retry_started_at"]) == ("active", None)


async def test_an_endpoint_that_is_gone_loses_its_subscription_at_once(
    sandbox: CalendlySandbox, account: Account, shop: Shop, ids: AdviserIds, subscription: Json
) -> None:
    shop.status = 410
    sandbox.book(ids.uris["Review"], TUESDAY)
    await sandbox.deliver_due()
    assert (await account.client.get(subscription["uri"])).status_code == 404


@pytest.mark.usefixtures("subscription")
@pytest.mark.parametrize(("mode", "age"), [("renewed", 60), ("kept", 0)])
async def test_a_retry_has_a_new_moment_or_the_first_ones(
    sandbox: CalendlySandbox, shop: Shop, ids: AdviserIds, clock: Clock, mode: Any, age: int
) -> None:
    sandbox.switches.retry_signature = mode
    shop.status = 500
    sandbox.book(ids.uris["Review"], TUESDAY)
    await sandbox.deliver_due()
    clock.advance(timedelta(minutes=1))
    await sandbox.deliver_due()
    first, second = (int(str(header).removeprefix("t=").partition(",")[0]) for _, header in shop.received)
    assert second - first == age
