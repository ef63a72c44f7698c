"""Stripe's side of a booking, through the real package against the Stripe sandbox."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

import httpx
import pytest
import stripe
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs

from app.domain.money import Money
from app.domain.payment import PaymentState
from app.domain.terms import Capture, Terms
from app.errors import (
    StripeDown,
    StripeMisconfigured,
    StripeRateLimited,
    StripeRefused,
    StripeUnreachable,
    WebhookRefused,
)
from app.payments.connection import StripeHTTP
from app.payments.facts import CheckoutFacts, DisputeFacts
from app.payments.sessions import session_params
from app.payments.stripe_client import DISPUTED_CODES, Payments
from sandbox.clock import Clock
from sandbox.serve import serve_app
from sandbox.stripe import Fault, StripeSandbox
from tests.support.examples import NOW, a_booking
from tests.support.stripe_transport import TransportHTTPClient

HOOK = "http://shop.example/hook"


@dataclass
class Shop:
    """One product's connection to one Stripe account; `posted` are the webhooks that reached it."""

    clock: Clock
    sandbox: StripeSandbox
    payments: Payments
    http: TransportHTTPClient
    posted: list[tuple[bytes, str | None]]

    @property
    def owner(self) -> stripe.StripeClient:
        """Someone else on the same account, who knows nothing of our metadata."""
        return stripe.StripeClient("sk_test_sandbox", http_client=TransportHTTPClient(self.sandbox.transport()))

    def params(
        self,
        *,
        price: Money | None = None,
        capture: Capture = Capture.AUTOMATIC,
        locale: str = "sv",
        description: str = "With Maja",
        attempt: int = 1,
        move_id: str = "",
    ) -> dict[str, Any]:
        return session_params(
            booking=a_booking(terms=Terms(Money(12000, "eur"))),
            price=price or Money(12000, "eur"),
            payment_id="pay_1",
            attempt=attempt,
            capture=capture,
            expires_at=self.clock() + timedelta(minutes=31),
            success_url="https://book.example/b/token/return?cs={CHECKOUT_SESSION_ID}",
            cancel_url="https://book.example/b/token",
            locale=locale,
            product_name="Portrait session, Tue 24 Nov 10:00",
            description=description,
            move_id=move_id,
        )

    async def open_session(self, *, price: Money | None = None, capture: Capture = Capture.AUTOMATIC) -> CheckoutFacts:
        return await self.payments.create_session(
            self.params(price=price, capture=capture), idempotency_key="cs:bk_1:1"
        )

    async def paid(self, *, capture: Capture = Capture.AUTOMATIC, card: str = "ok") -> CheckoutFacts:
        session = await self.open_session(capture=capture)
        await self.sandbox.pay(session.id, card=card)  # type: ignore[arg-type]  # one of the sandbox's cards
        return await self.payments.session(session.id)

    async def refund(
        self, facts: CheckoutFacts, *, amount: int, first_tried_at: datetime | None = None, refund_id: str = "rf_1"
    ) -> str:
        refund = await self.payments.refund(
            facts.payment_intent_id or "",
            amount=amount,
            refund_id=refund_id,
            booking_id="bk_1",
            first_tried_at=first_tried_at,
        )
        return refund.id

    def break_down(self, kind: str, *, path: str = "", times: int = 100) -> None:
        self.sandbox.faults.append(Fault(kind=kind, path=path, times=times))  # type: ignore[arg-type]  # a FaultKind


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    clock = Clock(NOW)
    posted: list[tuple[bytes, str | None]] = []

    async def hook(request: Request) -> Response:
        posted.append((await request.body(), request.headers.get("stripe-signature")))
        return PlainTextResponse("ok")

    door = httpx.ASGITransport(Starlette(routes=[Route("/hook", hook, methods=["POST"])]))
    async with httpx.AsyncClient(transport=door) as webhook_client:
        sandbox = StripeSandbox(now=clock, webhook_client=webhook_client, webhook_url=HOOK)
        http = TransportHTTPClient(sandbox.transport())
        payments = Payments(
            secret_key="sk_test_sandbox",
            webhook_secrets=["whsec_rolled_out", "whsec_sandbox"],
            api_base="http://stripe.sandbox",
            now=clock,
            http_client=http,
        )
        yield Shop(clock, sandbox, payments, http, posted)
        await payments.aclose()


# -- Sessions ----------------------------------------------------------------------------------------------


async def test_a_new_session_waits_for_the_customer_until_its_deadline(shop: Shop) -> None:
    session = await shop.open_session()
    assert session.state is PaymentState.OPEN
    assert session.url is not None
    assert (session.booking_id, session.payment_id) == ("bk_1", "pay_1")
    assert (session.amount_total, session.currency) == (12000, "eur")
    assert session.expires_at == NOW + timedelta(minutes=31)
    assert session.created == NOW
    assert session.livemode is shop.payments.livemode is False
    assert (session.payment_intent_id, session.received, session.capturable, session.recovered) == (None, 0, 0, False)


async def test_asking_again_under_the_same_key_gives_the_same_session(shop: Shop) -> None:
    params = shop.params()
    first = await shop.payments.create_session(params, idempotency_key="cs:bk_1:1")
    shop.clock.advance(timedelta(minutes=2))
    again = await shop.payments.create_session(params, idempotency_key="cs:bk_1:1")
    assert again == first
    assert len(shop.sandbox.state.sessions) == 1


async def test_a_lost_answer_to_a_create_leaves_one_session(shop: Shop) -> None:
    shop.break_down("drop_after", path="/sessions$", times=1)
    session = await shop.open_session()
    assert [*shop.sandbox.state.sessions] == [session.id]


async def test_other_parameters_under_a_used_key_are_refused_and_reported(shop: Shop) -> None:
    await shop.open_session()
    with capture_logs() as logs, pytest.raises(StripeRefused):
        await shop.open_session(price=Money(500, "eur"))
    assert [(entry["log_level"], entry["event"]) for entry in logs] == [("error", "stripe_key_reused")]


@pytest.mark.parametrize(
    ("price", "amount"),
    [
        (Money(4500, "eur"), 4500),
        (Money(5000, "jpy"), 5000),
        (Money(12500, "bhd"), 12500),
    ],
)
async def test_every_currency_is_charged_in_its_own_smallest_unit(shop: Shop, price: Money, amount: int) -> None:
    session = await shop.open_session(price=price)
    await shop.sandbox.pay(session.id)
    paid = await shop.payments.session(session.id)
    assert (paid.amount_total, paid.received, paid.currency) == (amount, amount, price.currency)


async def test_a_dearer_time_is_paid_for_by_its_difference_under_the_moves_own_name(shop: Shop) -> None:
    params = shop.params(price=Money(3000, "eur"), move_id="mv_1", attempt=2)
    session = await shop.payments.create_session(params, idempotency_key="cs:bk_1:2")
    await shop.sandbox.pay(session.id)
    paid = await shop.payments.session(session.id)
    assert (paid.amount_total, paid.received, paid.booking_id) == (3000, 3000, "bk_1")
    made = {"booking_id": "bk_1", "payment_id": "pay_1", "attempt": "2", "move_id": "mv_1"}
    assert shop.sandbox.state.sessions[session.id]["metadata"] == made
    assert shop.sandbox.state.payment_intents[paid.payment_intent_id or ""]["metadata"] == made
    assert "move_id" not in shop.params()["metadata"]


async def test_what_stripe_may_show_to_others_names_nobody(shop: Shop) -> None:
    params = shop.params()
    address = params.pop("customer_email")
    assert address == "ada@example.test"
    text = json.dumps(params)
    assert not [word for word in ("Ada", "ada@", "4670") if word in text]


async def test_the_parameters_survive_being_stored_as_json(shop: Shop) -> None:
    params = shop.params()
    assert json.loads(json.dumps(params)) == params


@pytest.mark.parametrize(
    ("language", "locale"),
    [
        ("sv", "sv"),
        ("pt-br", "pt-BR"),
        ("de-AT", "de"),
        ("en-US", "en"),
        ("en_gb", "en-GB"),
        ("ar", "auto"),
        ("", "auto"),
    ],
)
async def test_checkout_speaks_the_visitors_language_if_it_can(shop: Shop, language: str, locale: str) -> None:
    assert shop.params(locale=language)["locale"] == locale


async def test_a_service_without_a_description_can_be_paid_for(shop: Shop) -> None:
    params = shop.params(description="")
    assert (await shop.payments.create_session(params, idempotency_key="cs:bk_1:1")).url


# -- How a Session stands ----------------------------------------------------------------------------------


async def test_a_paid_session_is_captured(shop: Shop) -> None:
    paid = await shop.paid()
    assert (paid.state, paid.received, paid.capturable, paid.url) == (PaymentState.CAPTURED, 12000, 0, None)
    assert paid.payment_intent_id is not None


async def test_with_manual_capture_the_money_is_held_first(shop: Shop) -> None:
    held = await shop.paid(capture=Capture.MANUAL)
    assert (held.state, held.received, held.capturable) == (PaymentState.AUTHORIZED, 0, 12000)


async def test_a_declined_card_leaves_the_session_open(shop: Shop) -> None:
    assert (await shop.paid(card="decline")).state is PaymentState.OPEN


async def test_a_session_that_nobody_paid_expires(shop: Shop) -> None:
    session = await shop.open_session()
    shop.clock.advance(timedelta(minutes=32))
    assert (await shop.payments.session(session.id)).state is PaymentState.EXPIRED


async def test_expiring_an_open_session_ends_it(shop: Shop) -> None:
    session = await shop.open_session()
    ended = await shop.payments.expire_session(session.id)
    assert (ended.state, ended.url) == (PaymentState.EXPIRED, None)


async def test_expiring_a_paid_session_tells_that_it_is_paid(shop: Shop) -> None:
    paid = await shop.paid()
    assert await shop.payments.expire_session(paid.id) == paid


async def test_expiring_twice_is_harmless(shop: Shop) -> None:
    session = await shop.open_session()
    first = await shop.payments.expire_session(session.id)
    shop.clock.advance(timedelta(minutes=5))
    assert await shop.payments.expire_session(session.id) == first


async def test_a_passing_fault_does_not_keep_a_session_from_being_expired(shop: Shop) -> None:
    session = await shop.open_session()
    shop.break_down("error_after", path="/expire$", times=1)
    with pytest.raises(StripeUnreachable):
        await shop.payments.expire_session(session.id)
    shop.clock.advance(timedelta(minutes=1))
    assert (await shop.payments.expire_session(session.id)).state is PaymentState.EXPIRED


@pytest.mark.parametrize(
    ("status", "payment_status", "intent_status", "state"),
    [
        ("open", "unpaid", None, PaymentState.OPEN),
        ("expired", "unpaid", None, PaymentState.EXPIRED),
        ("complete", "paid", "succeeded", PaymentState.CAPTURED),
        ("complete", "no_payment_required", None, PaymentState.CAPTURED),
        ("complete", "unpaid", "requires_capture", PaymentState.AUTHORIZED),
        ("complete", "unpaid", "processing", PaymentState.PROCESSING),
        ("complete", "unpaid", "requires_action", PaymentState.PROCESSING),
        ("complete", "unpaid", "canceled", PaymentState.VOIDED),
        ("complete", "unpaid", "succeeded", PaymentState.CAPTURED),
        ("complete", "unpaid", "requires_payment_method", PaymentState.FAILED),
    ],
)
async def test_what_stripe_says_of_a_session_is_told_in_our_words(
    shop: Shop, status: str, payment_status: str, intent_status: str | None, state: PaymentState
) -> None:
    session = await shop.open_session()
    told = shop.sandbox.state.sessions[session.id]
    told |= {"status": status, "payment_status": payment_status, "payment_intent": None, "url": None}
    if intent_status:
        intent = {"id": "pi_1", "object": "payment_intent", "status": intent_status}
        told["payment_intent"] = intent | {"amount_received": 0, "amount_capturable": 0}
    answers = httpx.MockTransport(lambda _: httpx.Response(200, json=told))
    payments = _payments(answers)
    assert (await payments.session(session.id)).state is state


async def test_a_session_that_stripe_made_from_an_expired_one_is_told_apart(shop: Shop) -> None:
    session = await shop.open_session()
    told = shop.sandbox.state.sessions[session.id] | {"recovered_from": "cs_test_old"}
    payments = _payments(httpx.MockTransport(lambda _: httpx.Response(200, json=told)))
    assert (await payments.session(session.id)).recovered


async def test_every_completed_session_of_ours_is_found_whatever_their_number(shop: Shop) -> None:
    for number in range(103):
        made = await shop.payments.create_session(shop.params(attempt=number), idempotency_key=f"cs:bk_1:{number}")
        if number != 50:
            await shop.sandbox.pay(made.id)
    foreign = next(iter(shop.sandbox.state.sessions.values()))
    foreign["metadata"] = {}
    found = await shop.payments.completed_sessions(created_after=NOW)
    assert len({facts.id for facts in found}) == 101
    assert {facts.state for facts in found} == {PaymentState.CAPTURED}
    assert foreign["id"] not in {facts.id for facts in found}
    assert await shop.payments.completed_sessions(created_after=NOW + timedelta(seconds=1)) == []


# -- Held money --------------------------------------------------------------------------------------------


async def test_held_money_is_captured_once(shop: Shop) -> None:
    held = await shop.paid(capture=Capture.MANUAL)
    assert held.payment_intent_id
    captured = await shop.payments.capture(held.payment_intent_id, amount=12000)
    assert (captured.state, captured.received) == (PaymentState.CAPTURED, 12000)
    shop.clock.advance(timedelta(minutes=5))
    assert await shop.payments.capture(held.payment_intent_id, amount=12000) == captured
    assert (await shop.payments.session(held.id)).state is PaymentState.CAPTURED


async def test_a_lost_answer_to_a_capture_takes_the_money_once(shop: Shop) -> None:
    held = await shop.paid(capture=Capture.MANUAL)
    shop.break_down("drop_after", path="/capture$", times=1)
    captured = await shop.payments.capture(held.payment_intent_id or "", amount=12000)
    assert (captured.state, captured.received) == (PaymentState.CAPTURED, 12000)


async def test_held_money_is_released_without_a_charge(shop: Shop) -> None:
    held = await shop.paid(capture=Capture.MANUAL)
    voided = await shop.payments.void(held.payment_intent_id or "")
    assert (voided.state, voided.received) == (PaymentState.VOIDED, 0)
    assert (await shop.payments.session(held.id)).state is PaymentState.VOIDED


async def test_voiding_captured_money_tells_that_it_is_captured(shop: Shop) -> None:
    paid = await shop.paid()
    assert (await shop.payments.void(paid.payment_intent_id or "")).state is PaymentState.CAPTURED


async def test_capturing_money_that_lapsed_tells_that_it_is_gone(shop: Shop) -> None:
    held = await shop.paid(capture=Capture.MANUAL)
    shop.clock.advance(timedelta(days=8))
    lapsed = await shop.payments.capture(held.payment_intent_id or "", amount=12000)
    assert (lapsed.state, lapsed.received) == (PaymentState.VOIDED, 0)


async def test_capturing_too_much_leaves_the_money_held(shop: Shop) -> None:
    held = await shop.paid(capture=Capture.MANUAL)
    told = await shop.payments.capture(held.payment_intent_id or "", amount=12001)
    assert (told.state, told.received) == (PaymentState.AUTHORIZED, 0)


# -- Refunds -----------------------------------------------------------------------------------------------


async def test_a_refund_names_our_row_and_its_amount(shop: Shop) -> None:
    paid = await shop.paid()
    assert paid.payment_intent_id
    refund = await shop.payments.refund(
        paid.payment_intent_id, amount=6000, refund_id="rf_1", booking_id="bk_1", first_tried_at=None
    )
    assert (refund.status, refund.amount, refund.currency, refund.refund_row) == ("succeeded", 6000, "eur", "rf_1")
    assert refund.payment_intent_id == paid.payment_intent_id
    assert await shop.payments.find_refund(paid.payment_intent_id, refund_id="rf_1") == refund
    assert await shop.payments.find_refund(paid.payment_intent_id, refund_id="rf_2") is None


async def test_a_refund_whose_answer_is_lost_is_paid_once(shop: Shop) -> None:
    paid = await shop.paid()
    shop.break_down("drop_after", path="/refunds$", times=1)
    refund_id = await shop.refund(paid, amount=6000)
    assert [*shop.sandbox.state.refunds] == [refund_id]


async def test_a_refund_repeated_days_later_is_found_and_not_paid_again(shop: Shop) -> None:
    paid = await shop.paid()
    shop.break_down("drop_after", path="/refunds$")
    with pytest.raises(StripeUnreachable):
        await shop.refund(paid, amount=6000)
    shop.sandbox.faults.clear()
    shop.clock.advance(timedelta(days=3))
    refund_id = await shop.refund(paid, amount=6000, first_tried_at=NOW)
    assert [*shop.sandbox.state.refunds] == [refund_id]


async def test_a_refund_that_never_reached_stripe_is_made_days_later(shop: Shop) -> None:
    paid = await shop.paid()
    shop.clock.advance(timedelta(days=3))
    refund_id = await shop.refund(paid, amount=6000, first_tried_at=NOW)
    assert [*shop.sandbox.state.refunds] == [refund_id]


async def test_a_refund_beyond_what_was_paid_is_refused(shop: Shop) -> None:
    paid = await shop.paid()
    with pytest.raises(StripeRefused):
        await shop.refund(paid, amount=12001)
    assert not shop.sandbox.state.refunds


async def test_all_refunds_of_a_payment_are_told_also_those_that_are_not_ours(shop: Shop) -> None:
    paid = await shop.paid()
    ours = await shop.refund(paid, amount=2000)
    shop.clock.advance(timedelta(minutes=1))
    theirs = await shop.owner.v1.refunds.create_async({"payment_intent": paid.payment_intent_id or "", "amount": 500})
    told = await shop.payments.refunds_of(paid.payment_intent_id or "")
    assert [(one.id, one.amount, one.refund_row) for one in told] == [(theirs.id, 500, None), (ours, 2000, "rf_1")]
    assert [one.created for one in told] == [NOW + timedelta(minutes=1), NOW]


async def test_the_refunds_since_a_moment_are_told_page_by_page_up_to_a_bound(shop: Shop) -> None:
    paid = await shop.paid()
    before = await shop.refund(paid, amount=100, refund_id="rf_before")
    shop.clock.advance(timedelta(seconds=1))
    since = [await shop.refund(paid, amount=1, refund_id=f"rf_{number}") for number in range(103)]
    told = await shop.payments.recent_refunds(created_after=shop.clock())
    assert [one.id for one in told] == since[::-1]
    assert before in {one.id for one in await shop.payments.recent_refunds(created_after=NOW)}
    with capture_logs() as logs:
        told = await shop.payments.recent_refunds(created_after=NOW, most=100)
    assert [one.id for one in told] == since[:2:-1]
    assert [entry["event"] for entry in logs] == ["stripe_list_cut_short"]


async def test_a_refund_that_the_owner_has_made_already_is_refused_as_such(shop: Shop) -> None:
    paid = await shop.paid()
    await shop.owner.v1.refunds.create_async({"payment_intent": paid.payment_intent_id or ""})
    with pytest.raises(StripeRefused) as refusal:
        await shop.refund(paid, amount=6000)
    assert refusal.value.stripe_code == "charge_already_refunded"


async def test_a_refund_may_wait_and_then_fail(shop: Shop) -> None:
    paid = await shop.paid()
    shop.sandbox.switches.refund_mode = "fail_later"
    refund_id = await shop.refund(paid, amount=6000)
    shop.clock.advance(timedelta(days=1))
    failed = await shop.payments.read_refund(refund_id)
    assert failed.status == "failed"
    assert failed.failure_reason


# -- Disputes ----------------------------------------------------------------------------------------------


async def test_a_dispute_is_told_with_the_payment_that_it_is_about(shop: Shop) -> None:
    paid = await shop.paid()
    intent_id = paid.payment_intent_id or ""
    assert await shop.payments.disputes_of(intent_id) == []
    dispute_id = shop.sandbox.open_dispute(intent_id)["id"]
    facts = DisputeFacts(dispute_id, "needs_response", 12000, "eur", intent_id, NOW + timedelta(days=14))
    assert await shop.payments.dispute(dispute_id) == facts
    assert await shop.payments.disputes_of(intent_id) == [facts]
    assert await shop.payments.recent_disputes(NOW) == [facts]
    assert await shop.payments.recent_disputes(NOW + timedelta(seconds=1)) == []
    shop.sandbox.close_dispute(dispute_id, "lost")
    assert (await shop.payments.dispute(dispute_id)).status == "lost"


async def test_a_refund_of_disputed_money_is_refused_as_such(shop: Shop) -> None:
    paid = await shop.paid()
    dispute = shop.sandbox.open_dispute(paid.payment_intent_id or "")
    with pytest.raises(StripeRefused) as refusal:
        await shop.refund(paid, amount=6000)
    assert refusal.value.stripe_code in DISPUTED_CODES
    assert not shop.sandbox.state.refunds
    # Stripe replays the refusal under the same key for a day.
    shop.sandbox.close_dispute(dispute["id"], "won")
    with pytest.raises(StripeRefused):
        await shop.refund(paid, amount=6000)
    shop.clock.advance(timedelta(days=1))
    await shop.refund(paid, amount=6000, first_tried_at=NOW)


# -- When Stripe does not answer as it should --------------------------------------------------------------


@pytest.mark.parametrize("kind", ["drop_before", "hang", "error_before", "html_body"])
async def test_after_five_attempts_without_an_answer_the_outcome_is_unknown(shop: Shop, kind: str) -> None:
    shop.break_down(kind)
    with pytest.raises(StripeUnreachable):
        await shop.open_session()
    assert len(shop.sandbox.calls) == 5
    assert len({call.idempotency_key for call in shop.sandbox.calls}) == 1
    assert len(shop.http.slept) == 4


async def test_a_short_fault_is_not_noticed(shop: Shop) -> None:
    shop.break_down("drop_before", times=2)
    assert (await shop.open_session()).state is PaymentState.OPEN


async def test_too_many_calls_are_told_and_not_repeated_at_once(shop: Shop) -> None:
    shop.break_down("rate_limited")
    with pytest.raises(StripeRateLimited):
        await shop.open_session()
    assert len(shop.sandbox.calls) == 1


class Between(httpx.AsyncBaseTransport):
    """What stands between us and Stripe, and may change or give answers."""

    def __init__(self, inner: httpx.AsyncBaseTransport, change: Callable[[httpx.Response], httpx.Response]) -> None:
        self._inner = inner
        self._change = change

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        await response.aread()
        response.request = request
        return self._change(response)


def patient(shop: Shop, change: Callable[[httpx.Response], httpx.Response]) -> tuple[Payments, list[float]]:
    """Stripe's side with six seconds of patience for rate limits; the waits that it asks for."""
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    payments = Payments(
        secret_key="sk_test_sandbox",
        webhook_secrets=["whsec_sandbox"],
        api_base="http://stripe.sandbox",
        now=shop.clock,
        http_client=TransportHTTPClient(Between(shop.sandbox.transport(), change)),
        patience=6.0,
        sleep=wait,
        random=Random(1),
    )
    return payments, waits


def unchanged(response: httpx.Response) -> httpx.Response:
    """As Stripe has answered."""
    return response


@pytest.mark.parametrize("times", [1, 2])
async def test_a_passing_rate_limit_is_waited_out_under_the_same_key(shop: Shop, times: int) -> None:
    payments, waits = patient(shop, unchanged)
    shop.break_down("rate_limited", times=times)
    session = await payments.create_session(shop.params(), idempotency_key="cs:bk_1:1")
    assert session.state is PaymentState.OPEN
    assert len(waits) == times
    assert 0 < sum(waits) <= 6
    assert {call.idempotency_key for call in shop.sandbox.calls} == {"cs:bk_1:1"}


async def test_a_rate_limit_that_stays_is_told_before_the_visitor_loses_patience(shop: Shop) -> None:
    payments, waits = patient(shop, unchanged)
    shop.break_down("rate_limited")
    with pytest.raises(StripeRateLimited):
        await payments.create_session(shop.params(), idempotency_key="cs:bk_1:1")
    assert len(shop.sandbox.calls) == 3
    assert sum(waits) <= 6


@pytest.mark.parametrize(("told", "waited"), [("4", [4]), ("30", []), ("Wed, 21 Oct", [0, 1]), ("-1", [0, 1])])
async def test_the_wait_is_the_one_that_stripe_asks_for_unless_it_is_too_long(
    shop: Shop, told: str, waited: list[int]
) -> None:
    def with_a_wait(response: httpx.Response) -> httpx.Response:
        return httpx.Response(429, headers={"Retry-After": told}, json=response.json())

    payments, waits = patient(shop, with_a_wait)
    shop.break_down("rate_limited")
    with pytest.raises(StripeRateLimited):
        await payments.session("cs_test_1")
    assert [int(wait) for wait in waits] == waited


async def test_one_object_that_cannot_be_read_shuts_nobody_out(shop: Shop) -> None:
    session = await shop.open_session()

    def without_its_state(response: httpx.Response) -> httpx.Response:
        told = response.json()
        if response.request.method == "GET":
            del told["payment_status"], told["status"]
        return httpx.Response(response.status_code, json=told)

    payments, _ = patient(shop, without_its_state)
    for _ in range(20):
        with pytest.raises(StripeUnreachable):
            await payments.session(session.id)
    assert not payments.tripped
    again = await payments.create_session(shop.params(attempt=2), idempotency_key="cs:bk_1:2")
    assert again.state is PaymentState.OPEN


async def test_a_wrong_key_is_told_as_a_wrong_key(shop: Shop) -> None:
    payments = _payments(shop.sandbox.transport(), key="sk_test_of_somebody_else")
    with pytest.raises(StripeMisconfigured):
        await payments.session("cs_test_1")


async def test_an_unknown_session_is_refused_by_stripe(shop: Shop) -> None:
    with pytest.raises(StripeRefused) as refusal:
        await shop.payments.session("cs_test_unknown")
    assert refusal.value.stripe_code == "resource_missing"
    assert refusal.value.request_id


@pytest.mark.parametrize("bad", ["", "cs_", "pi_1", "cs_1/expire", "cs_1?x", "cs_1\n", "../cs_1"])
async def test_an_id_that_is_none_never_leaves_the_house(shop: Shop, bad: str) -> None:
    with pytest.raises(StripeRefused):
        await shop.payments.session(bad)
    with pytest.raises(StripeRefused):
        await shop.payments.expire_session(bad)
    by_id = (shop.payments.void, shop.payments.read_refund, shop.payments.refunds_of)
    for call in (*by_id, shop.payments.dispute, shop.payments.disputes_of):
        with pytest.raises(StripeRefused):
            await call(bad.replace("pi_", "cs_"))
    assert shop.sandbox.calls == []


async def test_what_a_customer_typed_is_not_in_the_errors(shop: Shop) -> None:
    params = shop.params() | {"customer_email": "not an address of Ada"}
    with pytest.raises(StripeRefused) as refusal:
        await shop.payments.create_session(params, idempotency_key="cs:bk_1:1")
    assert "Ada" not in str(refusal.value)
    assert "customer_email" in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__


async def test_while_stripe_is_down_nothing_is_sent_until_a_probe_succeeds(shop: Shop) -> None:
    shop.break_down("drop_before")
    for _ in range(5):
        with pytest.raises(StripeUnreachable):
            await shop.payments.session("cs_test_1")
    assert shop.payments.down
    sent = len(shop.sandbox.calls)
    with pytest.raises(StripeDown) as down:
        await shop.payments.session("cs_test_1")
    assert down.value.retry_after == 30
    assert len(shop.sandbox.calls) == sent
    shop.sandbox.faults.clear()
    shop.clock.advance(timedelta(seconds=30))
    assert (await shop.open_session()).state is PaymentState.OPEN
    assert not shop.payments.down


async def test_refusals_do_not_count_as_being_down(shop: Shop) -> None:
    for _ in range(6):
        with pytest.raises(StripeRefused):
            await shop.payments.session("cs_test_unknown")
    assert not shop.payments.down


async def test_a_key_in_use_is_an_unknown_outcome_but_not_stripe_being_down() -> None:
    busy = httpx.Response(409, json={"error": {"type": "idempotency_error", "code": "idempotency_key_in_use"}})
    payments = _payments(httpx.MockTransport(lambda _: busy))
    for _ in range(6):
        with pytest.raises(StripeUnreachable):
            await payments.session("cs_test_1")
    assert not payments.down


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"[]"),
        (200, b"null"),
        (200, b'"cs_test_1"'),
        (200, b"{}"),
        (200, b"\xff"),
        (200, b'{"object": "checkout.session", "status": "unheard_of", "payment_intent": null}'),
        (302, b""),
        (400, b'{"error": "as text"}'),
        (400, b'{"error": []}'),
        (400, b'{"error": null}'),
        (404, b"<html>"),
        (409, b'{"error": {"type": "invalid_request_error", "code": "lock_timeout"}}'),
    ],
)
async def test_an_answer_that_is_not_stripes_leaves_the_outcome_unknown(status: int, body: bytes) -> None:
    payments = _payments(httpx.MockTransport(lambda _: httpx.Response(status, content=body)))
    with pytest.raises(StripeUnreachable):
        await payments.session("cs_test_1")


async def test_over_a_real_socket_with_the_products_own_client(shop: Shop) -> None:
    async with serve_app(shop.sandbox.app, port=0) as base:
        payments = Payments(
            secret_key="sk_test_sandbox", webhook_secrets=[], api_base=base, now=shop.clock, http_client=StripeHTTP()
        )
        session = await payments.create_session(shop.params(), idempotency_key="cs:bk_1:1")
        assert (await payments.expire_session(session.id)).state is PaymentState.EXPIRED
        await payments.aclose()


# -- Webhooks ----------------------------------------------------------------------------------------------


async def test_a_webhook_says_where_to_look(shop: Shop) -> None:
    paid = await shop.paid()
    await shop.sandbox.deliver_due()
    events = [shop.payments.read_event(body, signature) for body, signature in shop.posted]
    completed = next(event for event in events if event.type == "checkout.session.completed")
    assert (completed.object_id, completed.object_type) == (paid.id, "checkout.session")
    assert (completed.booking_id, completed.livemode, completed.created) == ("bk_1", False, NOW)
    assert {event.booking_id for event in events} == {"bk_1"}


async def test_a_refund_event_names_the_booking(shop: Shop) -> None:
    refund_id = await shop.refund(await shop.paid(), amount=6000)
    await shop.sandbox.deliver_due()
    events = [shop.payments.read_event(body, signature) for body, signature in shop.posted]
    assert [event.booking_id for event in events if event.object_id == refund_id] == ["bk_1"]


async def test_what_is_done_in_the_dashboard_leads_to_its_payment(shop: Shop) -> None:
    paid = await shop.paid()
    intent_id = paid.payment_intent_id or ""
    refund = shop.sandbox.refund_in_dashboard(intent_id, amount=500)
    dispute = shop.sandbox.open_dispute(intent_id)
    await shop.sandbox.deliver_due()
    events = [shop.payments.read_event(body, signature) for body, signature in shop.posted]
    told = {event.type: (event.object_id, event.booking_id, event.payment_intent_id) for event in events}
    assert told["refund.created"] == (refund["id"], None, intent_id)
    assert told["charge.dispute.created"] == (dispute["id"], None, intent_id)
    assert told["charge.refunded"][2] == intent_id


async def test_a_webhook_that_was_changed_on_the_way_is_refused(shop: Shop) -> None:
    shop.sandbox.switches.tamper = 1
    await shop.paid()
    await shop.sandbox.deliver_due()
    with pytest.raises(WebhookRefused):
        shop.payments.read_event(*shop.posted[0])


def _payments(transport: httpx.AsyncBaseTransport, *, key: str = "sk_test_sandbox") -> Payments:
    return Payments(
        secret_key=key,
        webhook_secrets=[],
        api_base="http://stripe.sandbox",
        now=lambda: NOW,
        http_client=TransportHTTPClient(transport),
    )
