"""Idempotency keys, and answers that are lost, refused, wrong or late."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
import stripe

from sandbox.clock import Clock
from sandbox.serve import serve_app
from sandbox.stripe import StripeSandbox
from sandbox.stripe.account import Fault
from tests.support.stripe_shop import open_session, order, paid


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
