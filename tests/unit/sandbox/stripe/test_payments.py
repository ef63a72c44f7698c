"""Money that is held, captured, released, or decided days later."""

from datetime import timedelta

import httpx
import pytest
import stripe

from sandbox.clock import Clock
from sandbox.stripe import StripeSandbox
from tests.support.stripe_shop import MANUAL, NOON, Shop, intent_of, open_session, paid


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
