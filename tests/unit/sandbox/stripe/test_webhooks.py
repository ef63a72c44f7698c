"""Webhooks and the endpoints that they are sent to."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import stripe

from app.payments.connection import StripeHTTP
from sandbox.clock import Clock
from sandbox.stripe import StripeSandbox
from tests.support.stripe_shop import MANUAL, Shop, open_session, paid


async def test_a_delivered_event_passes_stripes_own_check(
    client: stripe.StripeClient, sandbox: StripeSandbox, shop: Shop, clock: Clock
) -> None:
    clock.set(datetime.now(UTC))  # Stripe's package compares the signature's time with the wall clock
    session_id = await open_session(client)
    await sandbox.pay(session_id)
    events = [stripe.Webhook.construct_event(body, header, "whsec_sandbox") for body, header in shop.received]
    completed = next(event for event in events if event.type == "checkout.session.completed")
    assert completed.data.object["id"] == session_id
    assert completed.data.object["payment_status"] == "paid"
    assert (completed.api_version, completed.livemode) == (stripe.api_version, False)


async def test_the_event_of_a_call_names_the_call_and_its_key(
    client: stripe.StripeClient, sandbox: StripeSandbox
) -> None:
    session_id = await open_session(client)
    expired = await client.v1.checkout.sessions.expire_async(session_id, {}, {"idempotency_key": "expire:1"})
    assert expired.last_response is not None
    (event,) = (await client.v1.events.list_async({"types": ["checkout.session.expired"]})).data
    assert event.request is not None
    assert (event.request.id, event.request.idempotency_key) == (expired.last_response.request_id, "expire:1")


@pytest.mark.parametrize(
    ("changes", "card", "expected"),
    [
        (
            {},
            "ok",
            [
                "payment_intent.created",
                "charge.succeeded",
                "payment_intent.succeeded",
                "checkout.session.completed",
                "charge.updated",
            ],
        ),
        (
            {},
            "delayed",
            ["payment_intent.created", "charge.pending", "payment_intent.processing", "checkout.session.completed"],
        ),
        (
            MANUAL,
            "ok",
            [
                "payment_intent.created",
                "charge.succeeded",
                "payment_intent.amount_capturable_updated",
                "checkout.session.completed",
                "charge.captured",
                "payment_intent.succeeded",
            ],
        ),
    ],
    ids=["paid", "by bank debit", "held and captured"],
)
async def test_an_endpoint_for_all_events_hears_of_each_step_of_a_payment(
    clock: Clock, shop: Shop, changes: Any, card: Any, expected: list[str]
) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(shop)) as webhooks:
        sandbox = StripeSandbox(
            now=clock, webhook_client=webhooks, webhook_url="https://shop.example/hook", enabled_events=["*"]
        )
        http = StripeHTTP(sandbox.transport())
        client = stripe.StripeClient("sk_test_sandbox", http_client=http)
        ident = await paid(client, sandbox, card=card, **changes)
        if changes:
            await client.v1.payment_intents.capture_async(ident)
        await sandbox.deliver_due()
        assert shop.types() == expected
        await http.close_async()


async def test_events_that_no_endpoint_asked_for_are_listed_and_not_sent(
    client: stripe.StripeClient, sandbox: StripeSandbox, shop: Shop
) -> None:
    await paid(client, sandbox)
    await sandbox.deliver_due()
    assert "charge.succeeded" not in shop.types()
    (event,) = (await client.v1.events.list_async({"type": "charge.succeeded"})).data
    assert event.pending_webhooks == 0


async def test_an_event_keeps_the_object_as_it_was(client: stripe.StripeClient, sandbox: StripeSandbox) -> None:
    ident = await paid(client, sandbox, **MANUAL)
    await client.v1.payment_intents.capture_async(ident)
    (event,) = (await client.v1.events.list_async({"type": "payment_intent.amount_capturable_updated"})).data
    assert event.data.object["status"] == "requires_capture"
    again = await client.v1.events.retrieve_async(event.id)
    assert again.to_dict() == event.to_dict()


async def test_undelivered_events_can_be_listed_after_an_outage(
    client: stripe.StripeClient, sandbox: StripeSandbox, shop: Shop
) -> None:
    shop.status = 500
    await sandbox.pay(await open_session(client))
    waiting = await client.v1.events.list_async({"types": ["checkout.session.*"], "delivery_success": False})
    assert [event.type for event in waiting.data] == ["checkout.session.completed"]


@pytest.mark.parametrize("status", [500, 404, 302])
async def test_an_unaccepted_event_is_sent_again_with_growing_gaps_and_a_new_signature(
    client: stripe.StripeClient, sandbox: StripeSandbox, shop: Shop, clock: Clock, status: int
) -> None:
    shop.status = status
    await client.v1.checkout.sessions.expire_async(await open_session(client))
    assert await sandbox.deliver_due() == 1
    assert await sandbox.deliver_due() == 0
    for gap in (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2)):
        clock.advance(gap)
        assert await sandbox.deliver_due() == 1
    clock.advance(timedelta(days=3))
    assert await sandbox.deliver_due() == 0
    assert len({body for body, _ in shop.received}) == 1
    assert len({header for _, header in shop.received}) == 4


async def test_an_accepted_retry_is_the_last(
    client: stripe.StripeClient, sandbox: StripeSandbox, shop: Shop, clock: Clock
) -> None:
    shop.status = 503
    await client.v1.checkout.sessions.expire_async(await open_session(client))
    await sandbox.deliver_due()
    shop.status = 200
    clock.advance(timedelta(minutes=5))
    await sandbox.deliver_due()
    clock.advance(timedelta(days=1))
    assert await sandbox.deliver_due() == 0
    assert len(shop.received) == 2


async def test_the_buyer_comes_back_only_after_the_shop_has_heard(
    client: stripe.StripeClient, sandbox: StripeSandbox, shop: Shop
) -> None:
    shop.gate = asyncio.Event()
    paying = asyncio.create_task(sandbox.pay(await open_session(client)))
    async with asyncio.timeout(5):
        await shop.reached.wait()
    assert not paying.done()
    shop.gate.set()
    assert (await paying).startswith("https://shop.example/return")


async def test_a_slow_shop_does_not_keep_the_buyer_for_ever(
    client: stripe.StripeClient, sandbox: StripeSandbox, shop: Shop
) -> None:
    sandbox.switches.redirect_wait_seconds = 0.01
    shop.gate = asyncio.Event()
    location = await sandbox.pay(await open_session(client))
    assert location.startswith("https://shop.example/return")
    shop.gate.set()


async def test_webhooks_switched_off_wait_and_come_when_switched_on(
    client: stripe.StripeClient, sandbox: StripeSandbox, shop: Shop
) -> None:
    sandbox.switches.deliver = "off"
    await sandbox.pay(await open_session(client))
    assert await sandbox.deliver_due() == 0
    assert shop.received == []
    sandbox.switches.deliver = "on"
    assert await sandbox.deliver_due() == 2


async def test_webhooks_can_be_late_doubled_and_out_of_order(
    client: stripe.StripeClient, sandbox: StripeSandbox, shop: Shop, clock: Clock
) -> None:
    sandbox.switches.delay_seconds = 60
    sandbox.switches.double = True
    sandbox.switches.reorder = True
    await sandbox.pay(await open_session(client))
    assert shop.received == []
    clock.advance(timedelta(seconds=60))
    assert await sandbox.deliver_due() == 4
    assert shop.types() == ["checkout.session.completed"] * 2 + ["payment_intent.succeeded"] * 2
    assert len({json.loads(body)["id"] for body, _ in shop.received}) == 2


async def test_a_lost_webhook_never_comes(
    client: stripe.StripeClient, sandbox: StripeSandbox, shop: Shop, clock: Clock
) -> None:
    sandbox.switches.lose = 1
    session_id = await open_session(client)
    await client.v1.checkout.sessions.expire_async(session_id)
    await sandbox.deliver_due()
    clock.advance(timedelta(days=3))
    await sandbox.deliver_due()
    assert shop.received == []
    await client.v1.checkout.sessions.expire_async(await open_session(client))
    assert await sandbox.deliver_due() == 1


async def test_a_changed_body_fails_stripes_own_check_and_its_retry_passes(
    client: stripe.StripeClient, sandbox: StripeSandbox, shop: Shop, clock: Clock
) -> None:
    sandbox.switches.tamper = 1
    shop.status = 400
    await client.v1.checkout.sessions.expire_async(await open_session(client))
    await sandbox.deliver_due()
    clock.advance(timedelta(minutes=5))
    await sandbox.deliver_due()
    (bad, good) = [(body.decode(), header) for body, header in shop.received]
    verify: Any = stripe.WebhookSignature.verify_header
    with pytest.raises(stripe.SignatureVerificationError):
        verify(*bad, "whsec_sandbox")
    assert verify(*good, "whsec_sandbox")


async def test_an_endpoint_that_is_made_is_sent_events_under_its_own_secret(
    sandbox: StripeSandbox, client: stripe.StripeClient, shop: Shop
) -> None:
    made = await client.v1.webhook_endpoints.create_async(
        {"url": "https://shop.example/second", "enabled_events": ["checkout.session.expired"]}
    )
    assert made.secret
    assert made.secret.startswith("whsec_")
    listed = await client.v1.webhook_endpoints.list_async()
    assert (listed.data[0].id, getattr(listed.data[0], "secret", None)) == (made.id, None)
    await client.v1.checkout.sessions.expire_async(await open_session(client))
    await sandbox.deliver_due()
    bodies = [body for body, signature in shop.received if signed_with(body, signature, made.secret)]
    assert [json.loads(body)["type"] for body in bodies] == ["checkout.session.expired"]
    await client.v1.webhook_endpoints.delete_async(made.id)
    assert list(sandbox.webhook_endpoints) == ["we_1Sandbox"]


@pytest.mark.parametrize(
    ("url", "events", "says"),
    [
        ("http://127.0.0.1:8000/hook", ["refund.created"], "must be publicly accessible"),
        ("https://shop.example/hook", ["refund.imagined"], "Invalid enabled_events"),
    ],
)
async def test_an_endpoint_that_stripe_would_not_make_is_refused(
    client: stripe.StripeClient, url: str, events: list[Any], says: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=says):
        await client.v1.webhook_endpoints.create_async({"url": url, "enabled_events": events})


def signed_with(body: bytes, signature: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body.decode(), signature, secret)
    except stripe.SignatureVerificationError:
        return False
    return True
