"""The hosted page, as a buyer meets it."""

import json
import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
import stripe

from sandbox.clock import Clock
from sandbox.stripe import ControlError, StripeSandbox
from tests.support.stripe_shop import BUYER, HOUR, MANUAL, NOON, Shop, intent_of, open_session, paid


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
