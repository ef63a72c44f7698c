"""Refunds and disputes."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
import stripe

from sandbox.clock import Clock
from sandbox.stripe import StripeSandbox
from tests.support.stripe_shop import HOUR, MANUAL, Shop, open_session, paid


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
