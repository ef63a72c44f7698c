"""The Stripe sandbox as a buyer, a shop and an operator meet it: pages, money, webhooks, faults."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import stripe
from starlette.requests import Request
from starlette.responses import Response

from app.payments.connection import StripeHTTP
from sandbox.clock import Clock
from sandbox.serve import serve_app
from sandbox.stripe import ControlError, StripeSandbox
from sandbox.stripe.account import Fault
from sandbox.stripe.schema import WrongAnswer, check
from scripts import derive_stripe_schemas

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass
class Shop:
    """The shop's webhook endpoint: keeps what arrives, answers `status`, waits for `gate` if there is one."""

    status: int = 200
    hold_limits: asyncio.Event | None = None
    received: list[tuple[bytes, str]] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        self.received.append((await request.body(), request.headers["stripe-signature"]))
        self.reached.set()
        if self.hold_limits is not None:
            await self.hold_limits.wait()
        await Response(status_code=self.status)(scope, receive, send)

    def types(self) -> list[str]:
        return [json.loads(body)["type"] for body, _ in self.received]


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def sandbox(clock: Clock, shop: Shop) -> AsyncIterator[StripeSandbox]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(shop)) as webhooks:
        yield StripeSandbox(now=clock, webhook_client=webhooks, webhook_url="https://shop.example/hook")


@pytest.fixture
async def http(sandbox: StripeSandbox) -> AsyncIterator[StripeHTTP]:
    client = StripeHTTP(sandbox.transport())
    yield client
    await client.close_async()


@pytest.fixture
def client(http: StripeHTTP) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_sandbox", http_client=http)


@pytest.fixture
async def browser(sandbox: StripeSandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://stripe.sandbox") as browser:
        yield browser


def order(**changes: Any) -> Any:
    price = {"currency": "eur", "unit_amount": 4500, "product_data": {"name": "Massage, 60 minutes"}}
    return {
        "mode": "payment",
        "submit_type": "book",
        "line_items": [{"quantity": 1, "price_data": price}],
        "success_url": "https://shop.example/return?cs={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://shop.example/back",
    } | changes


MANUAL: Any = {"payment_intent_data": {"capture_method": "manual"}}
BUYER = {"email": "ada@example.test", "name": "Ada Example"}


async def open_session(client: stripe.StripeClient, **changes: Any) -> str:
    return (await client.v1.checkout.sessions.create_async(order(**changes))).id


async def paid(client: stripe.StripeClient, sandbox: StripeSandbox, card: Any = "ok", **changes: Any) -> str:
    """The PaymentIntent of a Session whose buyer has paid."""
    session_id = await open_session(client, **changes)
    await sandbox.pay(session_id, card=card)
    return str(sandbox.state.sessions[session_id]["payment_intent"])


async def intent_of(client: stripe.StripeClient, ident: str) -> stripe.PaymentIntent:
    return await client.v1.payment_intents.retrieve_async(ident, {"expand": ["latest_charge"]})


# The hosted page


async def test_the_page_shows_what_is_bought_and_says_that_no_real_money_is_charged(
    client: stripe.StripeClient, sandbox: StripeSandbox, browser: httpx.AsyncClient
) -> None:
    sandbox.business = "Studio Nord"
    page = await browser.get(f"/c/pay/{await open_session(client)}")
    assert page.status_code == 200
    for words in ("Massage, 60 minutes", "€45.00", "Studio Nord", "no real money", "https://shop.example/back"):
        assert words in page.text
    assert re.search(r"<button[^>]*>Book</button>", page.text)


async def test_the_page_refuses_to_be_framed_and_runs_no_script(
    client: stripe.StripeClient, browser: httpx.AsyncClient
) -> None:
    page = await browser.get(f"/c/pay/{await open_session(client)}")
    assert page.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text


async def test_an_email_the_shop_gave_cannot_be_changed(
    client: stripe.StripeClient, browser: httpx.AsyncClient
) -> None:
    session_id = await open_session(client, customer_email="ada@shop.example")
    page = await browser.get(f"/c/pay/{session_id}")
    assert re.search(r'value="ada@shop.example" readonly', page.text)
    assert re.search(r'name="name"[^>]* value="">', page.text), "Stripe knows no name that nobody has typed"
    await browser.post(f"/c/pay/{session_id}", data={"card": "ok", "email": "eve@example.test", "name": "Eve"})
    session = await client.v1.checkout.sessions.retrieve_async(session_id)
    assert session.customer_details is not None
    assert session.customer_details.email == "ada@shop.example"


async def test_paying_leads_back_to_the_shop_with_the_session_id(
    client: stripe.StripeClient, browser: httpx.AsyncClient
) -> None:
    session_id = await open_session(client)
    answer = await browser.post(f"/c/pay/{session_id}", data={"card": "ok", **BUYER})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"https://shop.example/return?cs={session_id}"
    session = await client.v1.checkout.sessions.retrieve_async(session_id, {"expand": ["payment_intent"]})
    assert (session.status, session.payment_status, session.url) == ("complete", "paid", None)
    assert session.customer_details is not None
    assert (session.customer_details.email, session.customer_details.name) == ("ada@example.test", "Ada Example")
    assert isinstance(session.payment_intent, stripe.PaymentIntent)
    assert (session.payment_intent.status, session.payment_intent.amount_received) == ("succeeded", 4500)


async def test_nobody_pays_twice(
    client: stripe.StripeClient, sandbox: StripeSandbox, browser: httpx.AsyncClient
) -> None:
    session_id = await open_session(client)
    await sandbox.pay(session_id)
    answer = await browser.post(f"/c/pay/{session_id}", data={"card": "ok", **BUYER})
    assert "nothing is charged twice" in answer.text
    assert len(sandbox.state.payment_intents) == 1
    with pytest.raises(ControlError):
        await sandbox.pay(session_id)


async def test_a_declined_card_leaves_the_session_open_for_another_try(
    client: stripe.StripeClient, sandbox: StripeSandbox, browser: httpx.AsyncClient, shop: Shop
) -> None:
    session_id = await open_session(client)
    answer = await browser.post(f"/c/pay/{session_id}", data={"card": "decline", **BUYER})
    assert "Your card was declined." in answer.text
    session = await client.v1.checkout.sessions.retrieve_async(session_id, {"expand": ["payment_intent"]})
    assert (session.status, session.payment_status) == ("open", "unpaid")
    assert isinstance(session.payment_intent, stripe.PaymentIntent)
    assert session.payment_intent.status == "requires_payment_method"
    await sandbox.pay(session_id)
    assert len(sandbox.state.payment_intents) == 1
    assert shop.types() == [
        "payment_intent.payment_failed",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]


async def test_3d_secure_asks_once_more_before_anything_is_charged(
    client: stripe.StripeClient, browser: httpx.AsyncClient
) -> None:
    session_id = await open_session(client)
    asked = await browser.post(f"/c/pay/{session_id}", data={"card": "3ds", **BUYER})
    assert (asked.status_code, asked.headers["location"]) == (303, f"/c/pay/{session_id}/3ds")
    session = await client.v1.checkout.sessions.retrieve_async(session_id, {"expand": ["payment_intent"]})
    assert isinstance(session.payment_intent, stripe.PaymentIntent)
    assert (session.status, session.payment_intent.status) == ("open", "requires_action")
    assert "Your bank asks" in (await browser.get(f"/c/pay/{session_id}/3ds")).text
    failed = await browser.post(f"/c/pay/{session_id}/3ds", data={"outcome": "fail"})
    assert "unable to authenticate" in failed.text
    await browser.post(f"/c/pay/{session_id}", data={"card": "3ds", **BUYER})
    done = await browser.post(f"/c/pay/{session_id}/3ds", data={"outcome": "complete"})
    assert done.headers["location"] == f"https://shop.example/return?cs={session_id}"


async def test_a_session_that_expires_during_3d_secure_takes_no_money(
    client: stripe.StripeClient, browser: httpx.AsyncClient
) -> None:
    session_id = await open_session(client)
    await browser.post(f"/c/pay/{session_id}", data={"card": "3ds", **BUYER})
    await client.v1.checkout.sessions.expire_async(session_id)
    answer = await browser.post(f"/c/pay/{session_id}/3ds", data={"outcome": "complete"})
    assert "You have not been charged" in answer.text
    session = await client.v1.checkout.sessions.retrieve_async(session_id, {"expand": ["payment_intent"]})
    assert isinstance(session.payment_intent, stripe.PaymentIntent)
    assert (session.status, session.payment_intent.status) == ("expired", "canceled")


async def test_looking_at_the_pages_changes_nothing(
    client: stripe.StripeClient, sandbox: StripeSandbox, browser: httpx.AsyncClient
) -> None:
    session_id = await open_session(client)
    await browser.post(f"/c/pay/{session_id}", data={"card": "3ds", **BUYER})
    before = json.dumps([sandbox.state.sessions, sandbox.state.payment_intents, sandbox.state.events])
    for path in (f"/c/pay/{session_id}", f"/c/pay/{session_id}/3ds", "/_sandbox/"):
        await browser.get(path)
    assert json.dumps([sandbox.state.sessions, sandbox.state.payment_intents, sandbox.state.events]) == before


@pytest.mark.parametrize(
    ("changes", "offered"),
    [
        ({}, True),
        ({"allowed_payment_method_types": ["card", "link"]}, False),
        ({"excluded_payment_method_types": ["sepa_debit"]}, False),
        (MANUAL, False),
    ],
    ids=["by default", "not among the allowed", "among the excluded", "nothing to hold"],
)
async def test_a_bank_debit_is_offered_only_where_the_session_lets_it(
    client: stripe.StripeClient, browser: httpx.AsyncClient, changes: Any, offered: bool
) -> None:
    page = await browser.get(f"/c/pay/{await open_session(client, **changes)}")
    assert ('value="delayed"' in page.text) is offered


async def test_a_page_nobody_made_is_not_found(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/c/pay/cs_test_nobody")).status_code == 404


async def test_a_session_that_costs_nothing_needs_no_payment(
    client: stripe.StripeClient, sandbox: StripeSandbox
) -> None:
    price = {"currency": "eur", "unit_amount": 0, "product_data": {"name": "A free call"}}
    session_id = await open_session(client, line_items=[{"quantity": 1, "price_data": price}])
    await sandbox.pay(session_id)
    session = await client.v1.checkout.sessions.retrieve_async(session_id)
    assert (session.status, session.payment_status, session.payment_intent) == (
        "complete",
        "no_payment_required",
        None,
    )


async def test_the_receipt_tells_what_was_paid_and_refunded(
    client: stripe.StripeClient, sandbox: StripeSandbox, browser: httpx.AsyncClient
) -> None:
    intent = await intent_of(client, await paid(client, sandbox))
    await client.v1.refunds.create_async({"payment_intent": intent.id, "amount": 1500})
    assert isinstance(intent.latest_charge, stripe.Charge)
    assert intent.latest_charge.receipt_url is not None
    receipt = await browser.get(intent.latest_charge.receipt_url)
    assert "€45.00" in receipt.text
    assert "€15.00" in receipt.text


# Time


async def test_an_unpaid_session_expires_by_the_clock_and_says_so(
    client: stripe.StripeClient, sandbox: StripeSandbox, clock: Clock, shop: Shop, browser: httpx.AsyncClient
) -> None:
    session_id = await open_session(client, expires_at=int((NOON + HOUR).timestamp()))
    clock.advance(HOUR - timedelta(seconds=1))
    assert (await client.v1.checkout.sessions.retrieve_async(session_id)).status == "open"
    clock.advance(timedelta(seconds=1))
    session = await client.v1.checkout.sessions.retrieve_async(session_id)
    assert (session.status, session.payment_status, session.url) == ("expired", "unpaid", None)
    await sandbox.deliver_due()
    assert shop.types() == ["checkout.session.expired"]
    assert "has expired" in (await browser.get(f"/c/pay/{session_id}")).text


async def test_money_may_land_after_the_end_only_when_switched_so(
    client: stripe.StripeClient, sandbox: StripeSandbox, browser: httpx.AsyncClient, shop: Shop
) -> None:
    session_id = await open_session(client)
    await client.v1.checkout.sessions.expire_async(session_id)
    assert (await browser.post(f"/_sandbox/sessions/{session_id}/force_pay")).status_code == 400
    sandbox.switches.allow_late_payment = True
    assert (await browser.post(f"/_sandbox/sessions/{session_id}/force_pay")).status_code == 200
    session = await client.v1.checkout.sessions.retrieve_async(session_id)
    assert (session.status, session.payment_status) == ("complete", "paid")
    await sandbox.deliver_due()
    assert shop.types() == ["checkout.session.expired", "payment_intent.succeeded", "checkout.session.completed"]


# Hold and capture


async def test_a_held_payment_is_complete_and_unpaid_until_it_is_captured(
    client: stripe.StripeClient, sandbox: StripeSandbox, shop: Shop
) -> None:
    session_id = await open_session(client, **MANUAL)
    await sandbox.pay(session_id)
    session = await client.v1.checkout.sessions.retrieve_async(session_id)
    assert (session.status, session.payment_status) == ("complete", "unpaid")
    intent = await intent_of(client, str(session.payment_intent))
    assert (intent.status, intent.amount_capturable, intent.amount_received) == ("requires_capture", 4500, 0)
    captured = await client.v1.payment_intents.capture_async(intent.id)
    assert (captured.status, captured.amount_capturable, captured.amount_received) == ("succeeded", 0, 4500)
    assert (await client.v1.checkout.sessions.retrieve_async(session_id)).payment_status == "paid"
    await sandbox.deliver_due()
    assert shop.types() == [
        "payment_intent.amount_capturable_updated",
        "checkout.session.completed",
        "payment_intent.succeeded",
    ]


async def test_a_card_can_be_held_while_other_methods_are_not(
    client: stripe.StripeClient, sandbox: StripeSandbox
) -> None:
    changes = {"payment_method_options": {"card": {"capture_method": "manual"}}}
    intent = await intent_of(client, await paid(client, sandbox, **changes))
    assert intent.status == "requires_capture"


async def test_capture_takes_a_part_once_and_frees_the_rest(
    client: stripe.StripeClient, sandbox: StripeSandbox
) -> None:
    ident = await paid(client, sandbox, **MANUAL)
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.payment_intents.capture_async(ident, {"amount_to_capture": 4501})
    captured = await client.v1.payment_intents.capture_async(ident, {"amount_to_capture": 1000})
    assert (captured.amount_received, captured.amount_capturable) == (1000, 0)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await client.v1.payment_intents.capture_async(ident)
    assert caught.value.code == "payment_intent_unexpected_state"
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.refunds.create_async({"payment_intent": ident, "amount": 1001})
    assert (await client.v1.refunds.create_async({"payment_intent": ident})).amount == 1000


async def test_held_money_can_be_released_without_a_charge(
    client: stripe.StripeClient, sandbox: StripeSandbox, shop: Shop
) -> None:
    ident = await paid(client, sandbox, **MANUAL)
    canceled = await client.v1.payment_intents.cancel_async(ident, {"cancellation_reason": "requested_by_customer"})
    assert (canceled.status, canceled.amount_capturable) == ("canceled", 0)
    assert canceled.cancellation_reason == "requested_by_customer"
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.payment_intents.capture_async(ident)
    await sandbox.deliver_due()
    assert shop.types()[-1] == "payment_intent.canceled"


async def test_taken_money_is_refunded_not_canceled(client: stripe.StripeClient, sandbox: StripeSandbox) -> None:
    ident = await paid(client, sandbox)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await client.v1.payment_intents.cancel_async(ident)
    assert caught.value.code == "payment_intent_unexpected_state"


async def test_a_hold_lapses_after_seven_days(
    client: stripe.StripeClient, sandbox: StripeSandbox, clock: Clock, shop: Shop
) -> None:
    ident = await paid(client, sandbox, **MANUAL)
    intent = await intent_of(client, ident)
    assert isinstance(intent.latest_charge, stripe.Charge)
    details = intent.latest_charge.payment_method_details
    assert details is not None
    assert details.card is not None
    assert details.card.capture_before == int((NOON + timedelta(days=7)).timestamp())
    clock.advance(timedelta(days=7))
    assert (await intent_of(client, ident)).status == "canceled"
    await sandbox.deliver_due()
    assert shop.types()[-1] == "payment_intent.canceled"


# Delayed methods


@pytest.mark.parametrize(
    ("outcome", "intent_status", "payment_status"),
    [("succeeded", "succeeded", "paid"), ("failed", "requires_payment_method", "unpaid")],
)
async def test_a_bank_debit_is_decided_days_later(
    client: stripe.StripeClient,
    sandbox: StripeSandbox,
    browser: httpx.AsyncClient,
    shop: Shop,
    outcome: str,
    intent_status: str,
    payment_status: str,
) -> None:
    session_id = await open_session(client)
    await sandbox.pay(session_id, card="delayed")
    session = await client.v1.checkout.sessions.retrieve_async(session_id)
    assert (session.status, session.payment_status) == ("complete", "unpaid")
    ident = str(session.payment_intent)
    assert (await intent_of(client, ident)).status == "processing"
    settled = await browser.post(f"/_sandbox/payment_intents/{ident}/settle_delayed", json={"outcome": outcome})
    assert settled.status_code == 200
    assert (await intent_of(client, ident)).status == intent_status
    assert (await client.v1.checkout.sessions.retrieve_async(session_id)).payment_status == payment_status
    await sandbox.deliver_due()
    assert shop.types()[-1] == f"checkout.session.async_payment_{outcome}"


# Refunds


async def test_refunds_stop_where_the_money_ends(client: stripe.StripeClient, sandbox: StripeSandbox) -> None:
    ident = await paid(client, sandbox)
    first = await client.v1.refunds.create_async({"payment_intent": ident, "amount": 4000})
    assert (first.status, first.amount, first.currency) == ("succeeded", 4000, "eur")
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount"):
        await client.v1.refunds.create_async({"payment_intent": ident, "amount": 501})
    rest = await client.v1.refunds.create_async({"payment_intent": ident})
    assert rest.amount == 500
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await client.v1.refunds.create_async({"payment_intent": ident})
    assert caught.value.code == "charge_already_refunded"
    listed = await client.v1.refunds.list_async({"payment_intent": ident})
    assert [refund.id for refund in listed.data] == [rest.id, first.id]


async def test_a_repeated_partial_refund_pays_out_twice_unless_the_key_is_the_same(
    client: stripe.StripeClient, sandbox: StripeSandbox
) -> None:
    ident = await paid(client, sandbox)
    half: Any = {"payment_intent": ident, "amount": 1000}
    again: Any = {"idempotency_key": "refund:rf_01"}
    first = await client.v1.refunds.create_async(half, again)
    assert (await client.v1.refunds.create_async(half, again)).id == first.id
    assert (await client.v1.refunds.create_async(half)).id != first.id


async def test_held_money_is_not_refunded(client: stripe.StripeClient, sandbox: StripeSandbox) -> None:
    ident = await paid(client, sandbox, **MANUAL)
    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge"):
        await client.v1.refunds.create_async({"payment_intent": ident})


async def test_a_refunds_metadata_can_be_changed_afterwards(
    client: stripe.StripeClient, sandbox: StripeSandbox, shop: Shop
) -> None:
    ident = await paid(client, sandbox)
    made = await client.v1.refunds.create_async({"payment_intent": ident, "metadata": {"a": "1", "b": "2"}})
    changed = await client.v1.refunds.update_async(made.id, {"metadata": {"a": "", "c": "3"}})
    assert changed.id == made.id
    assert sandbox.state.refunds[made.id]["metadata"] == {"b": "2", "c": "3"}
    (told,) = (await client.v1.events.list_async({"type": "refund.updated"})).data
    assert told.data.to_dict()["previous_attributes"] == {"metadata": {"a": "1", "b": "2"}}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await client.v1.refunds.update_async("re_none", {"metadata": {}})
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


async def test_a_charge_can_be_read_by_its_id(client: stripe.StripeClient, sandbox: StripeSandbox) -> None:
    intent = await client.v1.payment_intents.retrieve_async(await paid(client, sandbox))
    charge = await client.v1.charges.retrieve_async(str(intent.latest_charge), {"expand": ["payment_intent"]})
    assert (charge.id, charge.amount, charge.paid) == (intent.latest_charge, 4500, True)
    assert isinstance(charge.payment_intent, stripe.PaymentIntent)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await client.v1.charges.retrieve_async("ch_none")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


async def test_the_balance_is_what_was_taken_less_what_went_back(
    client: stripe.StripeClient, sandbox: StripeSandbox
) -> None:
    empty = await client.v1.balance.retrieve_async()
    assert [(part.amount, part.currency) for part in empty.available] == [(0, "eur")]
    ident = await paid(client, sandbox)
    await paid(client, sandbox)
    held = await paid(client, sandbox, **MANUAL)
    await client.v1.refunds.create_async({"payment_intent": ident, "amount": 1000})
    balance = await client.v1.balance.retrieve_async()
    assert (balance.livemode, [(part.amount, part.currency) for part in balance.available]) == (False, [(8000, "eur")])
    await client.v1.payment_intents.capture_async(held)
    assert (await client.v1.balance.retrieve_async()).available[0].amount == 12500


async def test_the_lines_of_a_session_are_listed_page_by_page(client: stripe.StripeClient) -> None:
    lines = [
        {
            "quantity": 1,
            "price_data": {"currency": "eur", "unit_amount": 100 + n, "product_data": {"name": f"Line {n}"}},
        }
        for n in range(23)
    ]
    session_id = await open_session(client, line_items=lines)
    session = await client.v1.checkout.sessions.retrieve_async(session_id, {"expand": ["line_items"]})
    assert session.line_items is not None
    assert [line.description async for line in session.line_items.auto_paging_iter()] == [
        f"Line {n}" for n in range(23)
    ]
    page = await client.v1.checkout.sessions.line_items.list_async(session_id, {"limit": 2})
    assert ([line.description for line in page.data], page.has_more) == (["Line 0", "Line 1"], True)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await client.v1.checkout.sessions.line_items.list_async("cs_test_none")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


async def test_a_refund_carries_its_metadata_and_reason(client: stripe.StripeClient, sandbox: StripeSandbox) -> None:
    ident = await paid(client, sandbox)
    made = await client.v1.refunds.create_async(
        {"payment_intent": ident, "reason": "requested_by_customer", "metadata": {"refund_id": "rf_01"}}
    )
    refund = await client.v1.refunds.retrieve_async(made.id, {"expand": ["charge"]})
    assert refund.reason == "requested_by_customer"
    assert refund.metadata is not None
    assert refund.metadata["refund_id"] == "rf_01"
    assert isinstance(refund.charge, stripe.Charge)
    assert refund.charge.refunded


async def test_a_waiting_refund_succeeds_later(
    client: stripe.StripeClient, sandbox: StripeSandbox, clock: Clock, shop: Shop
) -> None:
    sandbox.switches.refund_mode = "pending"
    refund = await client.v1.refunds.create_async({"payment_intent": await paid(client, sandbox)})
    assert (refund.status, refund.pending_reason) == ("pending", "processing")
    clock.advance(HOUR)
    assert (await client.v1.refunds.retrieve_async(refund.id)).status == "succeeded"
    await sandbox.deliver_due()
    later = ["charge.refund.updated", "refund.updated"]
    assert shop.types()[-4:] == ["refund.created", "charge.refunded", *later]


async def test_a_refund_that_fails_later_can_be_made_again(
    client: stripe.StripeClient, sandbox: StripeSandbox, clock: Clock, shop: Shop
) -> None:
    sandbox.switches.refund_mode = "fail_later"
    ident = await paid(client, sandbox)
    refund = await client.v1.refunds.create_async({"payment_intent": ident})
    assert refund.status == "succeeded"
    clock.advance(HOUR)
    failed = await client.v1.refunds.retrieve_async(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    await sandbox.deliver_due()
    assert shop.types()[-2:] == ["refund.updated", "refund.failed"]
    assert (await client.v1.refunds.create_async({"payment_intent": ident})).amount == 4500


async def test_a_refund_waits_for_the_balance_until_the_operator_settles_it(
    client: stripe.StripeClient, sandbox: StripeSandbox, clock: Clock, browser: httpx.AsyncClient
) -> None:
    sandbox.switches.refund_mode = "insufficient_funds"
    refund = await client.v1.refunds.create_async({"payment_intent": await paid(client, sandbox)})
    assert (refund.status, refund.pending_reason) == ("pending", "insufficient_funds")
    clock.advance(timedelta(days=5))
    assert (await client.v1.refunds.retrieve_async(refund.id)).status == "pending"
    await browser.post(f"/_sandbox/refunds/{refund.id}", json={"status": "succeeded"})
    assert (await client.v1.refunds.retrieve_async(refund.id)).status == "succeeded"


async def test_a_refund_from_the_dashboard_names_its_payment_and_nothing_of_ours(
    client: stripe.StripeClient, sandbox: StripeSandbox, browser: httpx.AsyncClient, shop: Shop
) -> None:
    ident = await paid(client, sandbox, metadata={"booking_id": "bk_1"})
    refund = (await browser.post(f"/_sandbox/payment_intents/{ident}/refund", json={"amount": 1500})).json()
    assert (refund["amount"], refund["metadata"], refund["payment_intent"]) == (1500, {}, ident)
    rest = sandbox.refund_in_dashboard(ident)
    assert rest["amount"] == 3000
    await sandbox.deliver_due()
    bodies = [json.loads(body) for body, _ in shop.received[-4:]]
    assert [one["type"] for one in bodies] == ["refund.created", "charge.refunded"] * 2
    assert [one["data"]["object"]["payment_intent"] for one in bodies] == [ident] * 4
    assert [one["data"]["object"].get("amount_refunded") for one in bodies] == [None, 1500, None, 4500]
    assert {one["request"]["id"] for one in bodies} == {None}
    again = await browser.post(f"/_sandbox/payment_intents/{ident}/refund")
    assert (again.status_code, "already been refunded" in again.text) == (400, True)
    assert (await browser.post(f"/_sandbox/payment_intents/{ident}/refund", json={"amount": "much"})).status_code == 400


async def test_refunds_are_listed_by_payment_and_by_time(
    client: stripe.StripeClient, sandbox: StripeSandbox, clock: Clock
) -> None:
    first, second = await paid(client, sandbox), await paid(client, sandbox)
    early = sandbox.refund_in_dashboard(first, amount=100)
    clock.advance(HOUR)
    late = [sandbox.refund_in_dashboard(ident, amount=200) for ident in (first, second)]
    of_first = await client.v1.refunds.list_async({"payment_intent": first})
    assert [one.id for one in of_first.data] == [late[0]["id"], early["id"]]
    since = await client.v1.refunds.list_async({"created": {"gte": int(clock().timestamp())}})
    assert [one.id for one in since.data] == [late[1]["id"], late[0]["id"]]


@pytest.mark.parametrize("outcome", ["won", "lost"])
async def test_a_disputed_payment_is_not_refunded_as_well_unless_the_dispute_is_won(
    client: stripe.StripeClient, sandbox: StripeSandbox, browser: httpx.AsyncClient, shop: Shop, outcome: str
) -> None:
    ident = await paid(client, sandbox)
    opened = (await browser.post(f"/_sandbox/payment_intents/{ident}/dispute", json={"reason": "fraudulent"})).json()
    dispute = await client.v1.disputes.retrieve_async(opened["id"])
    assert (dispute.status, dispute.amount, dispute.reason) == ("needs_response", 4500, "fraudulent")
    assert (dispute.payment_intent, dispute.is_charge_refundable) == (ident, False)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await client.v1.refunds.create_async({"payment_intent": ident})
    assert caught.value.code == "charge_disputed"
    close = f"/_sandbox/disputes/{dispute.id}/close"
    assert (await browser.post(close, json={"status": "warning_closed"})).status_code == 400
    await browser.post(close, json={"status": outcome})
    assert (await browser.post(close, json={"status": outcome})).status_code == 400
    assert (await client.v1.disputes.retrieve_async(dispute.id)).status == outcome
    await sandbox.deliver_due()
    assert shop.types()[-2:] == ["charge.dispute.created", "charge.dispute.closed"]
    if outcome == "won":
        assert (await client.v1.refunds.create_async({"payment_intent": ident})).amount == 4500
    else:
        with pytest.raises(stripe.InvalidRequestError):
            await client.v1.refunds.create_async({"payment_intent": ident})


async def test_a_bank_that_only_asks_does_not_stop_a_refund(
    client: stripe.StripeClient, sandbox: StripeSandbox
) -> None:
    ident = await paid(client, sandbox)
    inquiry = sandbox.open_dispute(ident, inquiry=True)
    assert (inquiry["status"], inquiry["is_charge_refundable"]) == ("warning_needs_response", True)
    assert (await client.v1.refunds.create_async({"payment_intent": ident, "amount": 100})).status == "succeeded"
    assert sandbox.close_dispute(inquiry["id"], "warning_closed")["status"] == "warning_closed"


async def test_a_dispute_makes_a_refund_fail_that_is_still_on_its_way(
    client: stripe.StripeClient, sandbox: StripeSandbox, shop: Shop
) -> None:
    ident = await paid(client, sandbox)
    done = await client.v1.refunds.create_async({"payment_intent": ident, "amount": 500})
    sandbox.switches.refund_mode = "pending"
    waiting = await client.v1.refunds.create_async({"payment_intent": ident, "amount": 1000})
    assert sandbox.open_dispute(ident)["amount"] == 4000
    failed = await client.v1.refunds.retrieve_async(waiting.id)
    assert (failed.status, failed.failure_reason) == ("failed", "charge_for_pending_refund_disputed")
    assert (await client.v1.refunds.retrieve_async(done.id)).status == "succeeded"
    await sandbox.deliver_due()
    failing = ["charge.refund.updated", "refund.updated", "refund.failed"]
    assert shop.types()[-4:] == [*failing, "charge.dispute.created"]


async def test_disputes_are_listed_by_payment_and_by_time(
    client: stripe.StripeClient, sandbox: StripeSandbox, clock: Clock
) -> None:
    first, second = await paid(client, sandbox), await paid(client, sandbox)
    early = sandbox.open_dispute(first)
    clock.advance(HOUR)
    late = sandbox.open_dispute(second)
    assert [one.id for one in (await client.v1.disputes.list_async()).data] == [late["id"], early["id"]]
    of_first = await client.v1.disputes.list_async({"payment_intent": first})
    assert [one.id for one in of_first.data] == [early["id"]]
    since = await client.v1.disputes.list_async({"created": {"gte": int(clock().timestamp())}})
    assert [one.id for one in since.data] == [late["id"]]


async def test_only_captured_money_is_disputed_and_only_once(
    client: stripe.StripeClient, sandbox: StripeSandbox, browser: httpx.AsyncClient
) -> None:
    held = await paid(client, sandbox, **MANUAL)
    assert (await browser.post(f"/_sandbox/payment_intents/{held}/dispute")).status_code == 400
    ident = await paid(client, sandbox)
    assert (await browser.post(f"/_sandbox/payment_intents/{ident}/dispute")).status_code == 200
    assert (await browser.post(f"/_sandbox/payment_intents/{ident}/dispute")).status_code == 400


# Webhooks


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
    shop.hold_limits = asyncio.Event()
    paying = asyncio.create_task(sandbox.pay(await open_session(client)))
    async with asyncio.timeout(5):
        await shop.reached.wait()
    assert not paying.done()
    shop.hold_limits.set()
    assert (await paying).startswith("https://shop.example/return")


async def test_a_slow_shop_does_not_keep_the_buyer_for_ever(
    client: stripe.StripeClient, sandbox: StripeSandbox, shop: Shop
) -> None:
    sandbox.switches.redirect_wait_seconds = 0.01
    shop.hold_limits = asyncio.Event()
    location = await sandbox.pay(await open_session(client))
    assert location.startswith("https://shop.example/return")
    shop.hold_limits.set()


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


# Idempotency


async def test_after_a_day_the_same_key_is_a_new_request(client: stripe.StripeClient, clock: Clock) -> None:
    options: Any = {"idempotency_key": "cs:1:1"}
    first = await client.v1.checkout.sessions.create_async(order(), options)
    clock.advance(timedelta(hours=24) - timedelta(seconds=1))
    assert (await client.v1.checkout.sessions.create_async(order(), options)).id == first.id
    clock.advance(timedelta(seconds=1))
    assert (await client.v1.checkout.sessions.create_async(order(), options)).id != first.id


async def test_two_requests_at_once_under_one_key_make_one_session(
    client: stripe.StripeClient, sandbox: StripeSandbox
) -> None:
    sandbox.switches.latency_seconds = 0.02
    options: Any = {"idempotency_key": "cs:1:1"}
    calls = [client.v1.checkout.sessions.create_async(order(), options) for _ in range(2)]
    first, second = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(first, stripe.checkout.Session)
    assert isinstance(second, stripe.APIError)
    assert second.http_status == 409
    assert isinstance(second.json_body, dict)
    assert second.json_body["error"]["code"] == "idempotency_key_in_use"
    assert (await client.v1.checkout.sessions.create_async(order(), options)).id == first.id


async def test_a_refusal_on_state_is_remembered_too(client: stripe.StripeClient, sandbox: StripeSandbox) -> None:
    ident = await paid(client, sandbox)
    await client.v1.refunds.create_async({"payment_intent": ident, "amount": 4000})
    options: Any = {"idempotency_key": "refund:1"}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await client.v1.refunds.create_async({"payment_intent": ident, "amount": 1000}, options)
    for refund in sandbox.state.refunds.values():
        refund["status"] = "failed"
    with pytest.raises(stripe.InvalidRequestError) as again:
        await client.v1.refunds.create_async({"payment_intent": ident, "amount": 1000}, options)
    assert again.value.headers is not None
    assert again.value.headers["idempotent-replayed"] == "true"
    assert str(again.value.user_message) == str(caught.value.user_message)


# Faults


async def test_an_error_after_the_work_is_remembered_as_stripe_remembers_it(
    client: stripe.StripeClient, sandbox: StripeSandbox
) -> None:
    sandbox.faults.append(Fault(kind="error_after", method="POST", path="/v1/checkout/sessions$"))
    options: Any = {"idempotency_key": "cs:1:1"}
    for _ in range(2):
        with pytest.raises(stripe.APIError) as caught:
            await client.v1.checkout.sessions.create_async(order(), options)
        assert caught.value.http_status == 500
    assert len(sandbox.state.sessions) == 1


async def test_an_answer_lost_on_the_way_is_given_again_under_the_same_key(
    client: stripe.StripeClient, sandbox: StripeSandbox
) -> None:
    sandbox.faults.append(Fault(kind="drop_after"))
    options: Any = {"idempotency_key": "cs:1:1"}
    with pytest.raises(stripe.APIConnectionError):
        await client.v1.checkout.sessions.create_async(order(), options)
    again = await client.v1.checkout.sessions.create_async(order(), options)
    assert list(sandbox.state.sessions) == [again.id]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("error_before", stripe.APIError),
        ("drop_before", stripe.APIConnectionError),
        ("hang", stripe.APIConnectionError),
        ("html_body", stripe.APIError),
        ("rate_limited", stripe.RateLimitError),
    ],
)
async def test_a_fault_before_the_work_leaves_nothing_behind(
    client: stripe.StripeClient, sandbox: StripeSandbox, kind: Any, error: type[Exception]
) -> None:
    sandbox.faults.append(Fault(kind=kind))
    options: Any = {"idempotency_key": "cs:1:1"}
    with pytest.raises(error):
        await client.v1.checkout.sessions.create_async(order(), options)
    assert sandbox.state.sessions == {}
    assert (await client.v1.checkout.sessions.create_async(order(), options)).status == "open"


async def test_a_fault_strikes_only_what_it_is_meant_for(client: stripe.StripeClient, sandbox: StripeSandbox) -> None:
    sandbox.faults.append(Fault(kind="error_before", method="POST", path="/expire$", times=2))
    session_id = await open_session(client)
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            await client.v1.checkout.sessions.expire_async(session_id)
    assert (await client.v1.checkout.sessions.expire_async(session_id)).status == "expired"


async def test_stripe_can_be_made_to_refuse_an_operation_for_a_given_reason(
    client: stripe.StripeClient, sandbox: StripeSandbox
) -> None:
    ident = await paid(client, sandbox)
    words = "Charge ch_1 is too old to be refunded."
    sandbox.faults.append(
        Fault(kind="refuse", method="POST", path="/v1/refunds$", code="charge_too_old", param="charge", message=words)
    )
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await client.v1.refunds.create_async({"payment_intent": ident})
    refusal = caught.value
    assert (refusal.http_status, refusal.code, refusal.param, refusal.user_message) == (
        400,
        "charge_too_old",
        "charge",
        words,
    )
    assert sandbox.state.refunds == {}
    assert (await client.v1.refunds.create_async({"payment_intent": ident})).status == "succeeded"


async def test_stripe_can_refuse_for_ever_with_any_status_and_type(
    client: stripe.StripeClient, sandbox: StripeSandbox, browser: httpx.AsyncClient
) -> None:
    fault = {"kind": "refuse", "path": "/v1/refunds", "times": None, "status": 403, "type": "invalid_request_error"}
    added = await browser.post("/_sandbox/faults", json=fault)
    assert added.json()[0]["times"] is None
    for _ in range(20):
        with pytest.raises(stripe.PermissionError):
            await client.v1.refunds.list_async()
    sandbox.faults[:] = [Fault(kind="refuse", times=None, status=402, type="card_error", code="card_declined")]
    with pytest.raises(stripe.CardError) as caught:
        await client.v1.checkout.sessions.create_async(order())
    assert (caught.value.http_status, caught.value.code) == (402, "card_declined")


async def test_stripe_can_hang_or_be_down_for_ever(client: stripe.StripeClient, sandbox: StripeSandbox) -> None:
    sandbox.faults.append(Fault(kind="hang", path="/capture$", times=None))
    for _ in range(20):
        with pytest.raises(stripe.APIConnectionError):
            await client.v1.payment_intents.capture_async("pi_1")
    assert (await client.v1.refunds.list_async()).data == []


async def test_a_refusal_after_the_work_began_is_given_again_under_the_same_key(
    client: stripe.StripeClient, sandbox: StripeSandbox
) -> None:
    ident = await paid(client, sandbox)
    for executed, expected in ((False, "succeeded"), (True, "refused again")):
        sandbox.faults[:] = [Fault(kind="refuse", method="POST", code="charge_disputed", executed=executed)]
        options: Any = {"idempotency_key": f"refund:{executed}"}
        with pytest.raises(stripe.InvalidRequestError):
            await client.v1.refunds.create_async({"payment_intent": ident, "amount": 100}, options)
        assert sandbox.faults == []
        try:
            outcome = (await client.v1.refunds.create_async({"payment_intent": ident, "amount": 100}, options)).status
        except stripe.InvalidRequestError:
            outcome = "refused again"
        assert outcome == expected


@pytest.mark.parametrize(
    "fault",
    [{"kind": "refuse", "status": 200}, {"kind": "refuse", "type": "odd"}, {"kind": "hang", "times": 0}],
    ids=str,
)
async def test_a_fault_that_makes_no_sense_is_refused(browser: httpx.AsyncClient, fault: Any) -> None:
    assert (await browser.post("/_sandbox/faults", json=fault)).status_code == 400
    assert (await browser.get("/_sandbox/faults")).json() == []


async def test_over_a_real_socket_a_dropped_call_breaks_and_a_hung_one_times_out(sandbox: StripeSandbox) -> None:
    async with serve_app(sandbox.app, port=0) as url:
        for kind, error in (("drop_before", httpx.RemoteProtocolError), ("hang", httpx.ReadTimeout)):
            await asyncio.to_thread(httpx.post, f"{url}/_sandbox/faults", json=[{"kind": kind}])
            async with httpx.AsyncClient(auth=("sk_test_sandbox", ""), timeout=0.3) as caller:
                with pytest.raises(error):
                    await caller.get(f"{url}/v1/checkout/sessions")
                assert (await caller.get(f"{url}/v1/checkout/sessions")).status_code == 200


# The operator's desk


async def test_switches_are_read_and_set_over_http(sandbox: StripeSandbox, browser: httpx.AsyncClient) -> None:
    changed = await browser.patch("/_sandbox/switches", json={"refund_mode": "pending", "lose": 2})
    assert changed.status_code == 200
    assert (sandbox.switches.refund_mode, sandbox.switches.lose) == ("pending", 2)
    assert (await browser.get("/_sandbox/switches")).json()["lose"] == 2


@pytest.mark.parametrize("changes", [{"speed": 9}, {"refund_mode": "never"}, {"lose": "many"}], ids=str)
async def test_a_switch_that_does_not_exist_or_fit_is_refused(
    sandbox: StripeSandbox, browser: httpx.AsyncClient, changes: Any
) -> None:
    before = (await browser.get("/_sandbox/switches")).json()
    assert (await browser.patch("/_sandbox/switches", json=changes)).status_code == 400
    assert (await browser.get("/_sandbox/switches")).json() == before


async def test_faults_are_listed_added_and_cleared_over_http(browser: httpx.AsyncClient) -> None:
    await browser.post("/_sandbox/faults", json=[{"kind": "hang", "path": "refunds", "times": 3}])
    assert (await browser.get("/_sandbox/faults")).json() == [
        {"kind": "hang", "method": None, "path": "refunds", "times": 3}
    ]
    assert (await browser.post("/_sandbox/faults", json=[{"kind": "explode"}])).status_code == 400
    await browser.delete("/_sandbox/faults")
    assert (await browser.get("/_sandbox/faults")).json() == []


async def test_the_clock_is_moved_over_http(
    client: stripe.StripeClient, browser: httpx.AsyncClient, clock: Clock
) -> None:
    session_id = await open_session(client)
    await browser.put("/_sandbox/clock", json={"advance_seconds": 86400})
    assert (await client.v1.checkout.sessions.retrieve_async(session_id)).status == "expired"
    await browser.put("/_sandbox/clock", json={"at": "2027-01-01T00:00:00+01:00"})
    assert clock() == datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
    assert (await browser.put("/_sandbox/clock", json={"at": "tomorrow"})).status_code == 400


async def test_every_call_is_written_down_and_a_reset_forgets_all(
    client: stripe.StripeClient, sandbox: StripeSandbox, browser: httpx.AsyncClient
) -> None:
    await client.v1.checkout.sessions.create_async(order(), {"idempotency_key": "cs:1:1"})
    (call,) = (await browser.get("/_sandbox/calls")).json()
    assert (call["method"], call["path"], call["status"]) == ("POST", "/v1/checkout/sessions", 200)
    assert call["idempotency_key"] == "cs:1:1"
    assert call["params"]["submit_type"] == "book"
    sandbox.switches.double = True
    await browser.post("/_sandbox/reset")
    assert (sandbox.calls, sandbox.state.sessions, sandbox.switches.double) == ([], {}, False)
    made = await client.v1.checkout.sessions.create_async(order(), {"idempotency_key": "cs:1:1"})
    assert list(sandbox.state.sessions) == [made.id]


async def test_the_operator_can_pay_for_a_buyer(client: stripe.StripeClient, browser: httpx.AsyncClient) -> None:
    session_id = await open_session(client)
    answer = await browser.post(f"/_sandbox/sessions/{session_id}/pay", json={"card": "3ds"})
    assert answer.json() == {"location": f"https://shop.example/return?cs={session_id}"}
    assert (await browser.post(f"/_sandbox/sessions/{session_id}/pay", json={"card": "ok"})).status_code == 400


async def test_the_desk_lists_what_happened_and_its_forms_work(
    client: stripe.StripeClient, sandbox: StripeSandbox, browser: httpx.AsyncClient
) -> None:
    ident = await paid(client, sandbox)
    refund = await client.v1.refunds.create_async({"payment_intent": ident})
    page = (await browser.get("/_sandbox/")).text
    for words in (ident, refund.id, "checkout.session.completed", "POST /v1/refunds"):
        assert words in page
    dispute = sandbox.open_dispute(await paid(client, sandbox))
    assert re.search(rf"{dispute['id']}.*?>Won</button>", (await browser.get("/_sandbox/")).text, re.DOTALL)
    closed = await browser.post(f"/_sandbox/disputes/{dispute['id']}/close", data={"status": "won"})
    assert (closed.status_code, dispute["status"]) == (303, "won")
    answer = await browser.post("/_sandbox/switches", data={"deliver": "off", "double": "true", "lose": "1"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/_sandbox/")
    assert (sandbox.switches.deliver, sandbox.switches.double, sandbox.switches.lose) == ("off", True, 1)
    await browser.post("/_sandbox/switches", data={"deliver": "on"})
    assert (sandbox.switches.deliver, sandbox.switches.double) == ("on", False)
    await browser.post("/_sandbox/faults", data={"kind": "hang", "method": "", "path": "", "times": "1"})
    assert [fault.kind for fault in sandbox.faults] == ["hang"]


# The doors of the API


async def test_a_body_that_is_not_a_form_is_refused(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/v1/checkout/sessions", json=order(), auth=("sk_test_sandbox", ""))
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    "version",
    ["2025-11-17.clover", "2026-03-25.dahlia", "2026-08-26.dahlia", "2026-09-30.endive", "2026-11-25.endive"],
)
async def test_the_versions_that_todays_packages_send_are_answered(browser: httpx.AsyncClient, version: str) -> None:
    answer = await browser.get("/v1/refunds", auth=("sk_test_sandbox", ""), headers={"Stripe-Version": version})
    assert (answer.status_code, answer.json()["data"]) == (200, [])
    assert answer.headers["stripe-version"] == version


@pytest.mark.parametrize(
    "version",
    ["2025-08-27.basil", "2027-03-31.fennel", "2026-13-40.endive", "2026-10-28.endive; beta=v1", "endive", ""],
)
async def test_a_version_that_the_sandbox_cannot_answer_is_refused_in_words_that_say_what_to_do(
    browser: httpx.AsyncClient, version: str
) -> None:
    answer = await browser.get("/v1/refunds", auth=("sk_test_sandbox", ""), headers={"Stripe-Version": version})
    assert answer.status_code == 400
    words = answer.json()["error"]["message"]
    assert f"Invalid Stripe API version: {version}" in words
    assert "clover, dahlia and endive" in words
    assert "scripts/derive_stripe_schemas.py" in words


@pytest.mark.parametrize(
    "headers", [{"Stripe-Version": "2024-06-20"}, {"Stripe-Account": "acct_other"}], ids=["version", "account"]
)
async def test_another_version_or_account_is_refused(browser: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await browser.get("/v1/refunds", auth=("sk_test_sandbox", ""), headers=headers)
    assert answer.status_code in (400, 403)


async def test_a_list_may_be_written_with_empty_brackets(
    client: stripe.StripeClient, browser: httpx.AsyncClient
) -> None:
    await client.v1.checkout.sessions.expire_async(await open_session(client))
    url = "/v1/events?types[]=checkout.session.expired&types[]=refund.created"
    events = (await browser.get(url, auth=("sk_test_sandbox", ""))).json()
    assert [event["type"] for event in events["data"]] == ["checkout.session.expired"]


@pytest.mark.parametrize(
    "changes",
    [{"mode": "subscription"}, {"ui_mode": "elements"}, {"discounts": [{"coupon": "x"}]}],
    ids=["mode", "ui_mode", "discounts"],
)
async def test_what_stripe_knows_and_the_sandbox_does_not_is_refused_and_not_ignored(
    client: stripe.StripeClient, changes: Any
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Sandbox"):
        await client.v1.checkout.sessions.create_async(order(**changes))


# The schemas


def test_the_schemas_are_what_the_pinned_package_declares() -> None:
    assert derive_stripe_schemas.OUTPUT.read_text() == derive_stripe_schemas.render()


async def test_the_sandbox_refuses_to_say_what_stripe_would_not(
    client: stripe.StripeClient, sandbox: StripeSandbox
) -> None:
    session = sandbox.state.sessions[await open_session(client)]
    check(session)
    for wrong in (
        {"payment_status": "maybe"},
        {"livemode": None},
        {"colour": "red"},
        {"amount_total": "4500"},
    ):
        with pytest.raises(WrongAnswer):
            check(session | wrong)
    del session["expires_at"]
    with pytest.raises(WrongAnswer):
        check(session)


# Webhook endpoints


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
