"""Stripe, and nothing else of it than we need: Checkout Sessions, capture, refunds, disputes, events.

Nothing of the `stripe` package leaves this module: answers become plain facts, refusals `app.errors.Stripe*`.
Facts about Stripe are from its documentation and from the source of stripe-python 16.1.0.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random, SystemRandom
from typing import Any, Literal, TypeVar

import httpx
import stripe
import structlog
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from app.breaker import Breaker
from app.domain import attribution
from app.domain.booking import Booking
from app.domain.event import Event
from app.domain.money import Money
from app.domain.payment import Payment, PaymentState
from app.domain.terms import Capture
from app.errors import (
    StripeDown,
    StripeError,
    StripeMisconfigured,
    StripeRateLimited,
    StripeRefused,
    StripeUnreachable,
    WebhookRefused,
)

# Telemetry writes an id file under the user's home and sends platform data; we owe Stripe neither.
stripe.enable_telemetry = False
# The package logs request bodies and Stripe's own sentences, which may hold a customer's address.
logging.getLogger("stripe").setLevel(logging.WARNING)

#: Five attempts in all (design section 9). Stripe's package repeats no answer, 409 and 5xx; never a 429.
MAX_RETRIES = 4
#: Seconds for one attempt. The package's default of 80 would outlast every visitor's patience.
ATTEMPT_TIMEOUT = httpx.Timeout(10, connect=5)
#: Seconds for one call with all its attempts; after that the worker goes on under the same key.
CALL_TIMEOUT = 25
#: How often a call is sent at most while Stripe answers 429, and the visitor's patience for it in seconds.
RATE_LIMIT_TRIES = 3
RATE_LIMIT_PATIENCE = 6.0
#: Stripe's shortest Session is 30 minutes (Stripe docs, "Manage limited inventory"); five more absorb latency, repeated
#: calls and a clock that runs behind Stripe's. Our own deadline may be earlier: the Session is expired by call then.
SHORTEST_SESSION = timedelta(minutes=35)
#: A webhook's signature may be this old, or this far ahead of our clock.
WEBHOOK_TOLERANCE = timedelta(minutes=5)
#: Stripe remembers a key for 24 hours; past this age we look before we ask again.
REFUND_KEY_LIFE = timedelta(hours=20)
#: What the pinned package speaks; events are read as this version has them.
API_VERSION: str = stripe.api_version
#: What the webhook endpoint asks for (docs/set-up.md#stripe); Stripe lists at most 20 kinds at once.
EVENT_TYPES = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "payment_intent.amount_capturable_updated",
    "payment_intent.succeeded",
    "payment_intent.canceled",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)
#: How many refunds, disputes or events of the whole account are looked at: ten pages.
RECENT = 1000
#: `StripeRefused.stripe_code` of a refund that the customer's bank has forestalled, and of one that was made already
#: (Stripe docs, Error codes).
DISPUTED_CODES = frozenset({"charge_disputed", "refund_disputed_payment"})
ALREADY_REFUNDED = "charge_already_refunded"
#: `StripeRefused.stripe_code` of an object that the key's account and mode do not have.
MISSING_CODE = "resource_missing"
#: What Checkout speaks (SessionCreateParams.locale); every other language is left to the browser's choice.
CHECKOUT_LOCALES = (
    " bg cs da de el en en-GB es es-419 et fi fil fr fr-CA hi-IN hr hu id it ja ko lt lv ms mt nb nl pl pt pt-BR"
    " ro ru sk sl sv th tr vi zh zh-HK zh-TW "
)

#: What a Session is read with: its charge tells when it was paid, and what has gone back since.
_WITH_CHARGE = "payment_intent.latest_charge"

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_T = TypeVar("_T")
_Answer = TypeVar("_Answer", bound=stripe.StripeObject)


@dataclass(frozen=True, slots=True)
class CheckoutFacts:
    """One Checkout Session with its PaymentIntent, as Stripe tells it.

    Amounts are in the currency's smallest unit. `received` was captured, and `refunded` of it has gone back, by
    whatever hand; `capturable` is held. `charged_at` is when the customer paid; None before that. `recovered` says that
    Stripe made the Session from an expired one, so that it sells a time which nobody holds.
    """

    id: str
    state: PaymentState
    url: str | None
    payment_intent_id: str | None
    booking_id: str | None
    payment_id: str | None
    amount_subtotal: int
    amount_total: int
    currency: str
    livemode: bool
    received: int
    capturable: int
    refunded: int
    charged_at: datetime | None
    expires_at: datetime
    created: datetime
    recovered: bool
    attempt: int = 0
    move_id: str | None = None
    capture: Capture = Capture.AUTOMATIC
    #: Where Stripe's page leads to, after paying and without: they tell which server made the Session.
    leads_to: tuple[str, ...] = ()

    @property
    def is_tagged(self) -> bool:
        """Whether it carries everything that Holdfast writes on each of its Sessions. Accounts are shared with other
        software, which may use some of these names, too."""
        named = (self.booking_id or "").startswith("bk_") and (self.payment_id or "").startswith("pay_")
        return named and self.attempt > 0

    def pays(self, payment: Payment, *, livemode: bool) -> bool:
        """Whether this is the money that the attempt to pay asked for: all of it, and nothing else."""
        return (
            self.booking_id == payment.booking_id
            and self.payment_id == payment.id
            and not self.recovered
            and self.livemode == livemode
            and self.currency == payment.price.currency
            and self.amount_total == payment.price.amount
            and max(self.received, self.capturable) == payment.price.amount
        )


@dataclass(frozen=True, slots=True)
class CaptureFacts:
    """How a PaymentIntent stands, and what of it is ours."""

    state: PaymentState
    received: int


@dataclass(frozen=True, slots=True)
class RefundFacts:
    """One refund. `status` is Stripe's word: pending, requires_action, succeeded, failed or canceled. `refund_row` is
    the row of ours that it pays; None where it was made in the dashboard, or by other software."""

    id: str
    status: str
    amount: int
    currency: str
    payment_intent_id: str | None
    refund_row: str | None
    failure_reason: str | None
    created: datetime
    pending_reason: str | None = None


@dataclass(frozen=True, slots=True)
class DisputeFacts:
    """One dispute. `status` is Stripe's word: needs_response, under_review, won, lost, or one that begins with
    warning_ where the bank only asks. `answer_by` is when the bank decides without the owner's answer; None where none
    is wanted any more."""

    id: str
    status: str
    amount: int
    currency: str
    payment_intent_id: str | None
    answer_by: datetime | None


class Listed(list[_T]):
    """A part of one of Stripe's lists, newest first. `down_to` is when the last of it was made, where older ones are
    left to read; None where the list was read to its end."""

    down_to: datetime | None = None


# The package ships this constructor without types.
_no_answer: Callable[..., stripe.APIConnectionError] = stripe.APIConnectionError


class StripeHTTP(stripe.HTTPClient):
    """How the package reaches Stripe: over httpx, bound to the event loop that first uses it.

    Not the package's own HTTPXClient, because that passes the form in a way which httpx has deprecated.
    """

    name = "httpx"

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        super().__init__()
        self._httpx = httpx.AsyncClient(transport=transport, timeout=ATTEMPT_TIMEOUT)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """One attempt. Raises stripe.APIConnectionError, which the package may repeat."""
        try:
            response = await self._httpx.request(method, url, headers=headers, content=post_data)
        except httpx.RequestError as error:
            raise _no_answer(type(error).__name__, should_retry=True) from error
        return response.content, response.status_code, response.headers

    async def sleep_async(self, secs: float) -> None:
        """Wait between attempts: from 200 ms (design section 9) where the package would start at 500."""
        await asyncio.sleep(secs * 0.4)

    async def close_async(self) -> None:
        """End the connections."""
        await self._httpx.aclose()


def _ignore(_operation: str, _outcome: str, _seconds: float) -> None:
    pass


class Payments:
    """Stripe's side of a booking. Build it inside the event loop that uses it.

    `patience` is how many seconds one call may spend waiting for a rate limit to pass (429: nothing was done) before
    StripeRateLimited is raised; `sleep` waits, with jitter from `random`. `on_call` hears of every call that was sent:
    its operation, `ok` or the name of its error, and its seconds with all attempts. Every method may raise
    StripeUnreachable (outcome unknown: repeat, or read), StripeDown (nothing was sent), StripeRateLimited,
    StripeMisconfigured, and StripeRefused where it does not say otherwise.
    """

    def __init__(
        self,
        *,
        secret_key: str,
        webhook_secrets: Sequence[str],
        api_base: str,
        now: Callable[[], datetime],
        http_client: stripe.HTTPClient | None = None,
        on_call: Callable[[str, str, float], None] = _ignore,
        patience: float = 0.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Random | None = None,
    ) -> None:
        self.livemode = secret_key.startswith(("sk_live_", "rk_live_"))
        self._webhook_secrets = tuple(webhook_secrets)
        self._now = now
        self._http = http_client or StripeHTTP()
        client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_base},
            max_network_retries=MAX_RETRIES,
            http_client=self._http,
        )
        self._sessions = client.v1.checkout.sessions
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds
        self._disputes = client.v1.disputes
        self._events = client.v1.events
        self._breaker = Breaker(now, provider="stripe")
        self._on_call = on_call
        self._patience = patience
        self._sleep = sleep
        self._random = random or SystemRandom()

    async def aclose(self) -> None:
        """End the connections."""
        close: Callable[[], Awaitable[None]] = self._http.close_async
        await close()

    @property
    def down(self) -> bool:
        """Whether calls are refused for now, because Stripe has failed repeatedly."""
        return self._breaker.open

    @property
    def tripped(self) -> bool:
        """Whether Stripe has failed repeatedly and has not answered since."""
        return self._breaker.tripped

    async def create_session(self, params: Mapping[str, Any], *, idempotency_key: str) -> CheckoutFacts:
        """A Checkout Session with the stored `params` of `session_params`.

        A repeat under the same key tells the Session as it was when it was made, not as it is now.
        """
        stored: Any = dict(params)
        return await self._ask(
            "create session",
            lambda: self._sessions.create_async(stored, {"idempotency_key": idempotency_key}),
            _checkout_facts,
        )

    async def session(self, session_id: str) -> CheckoutFacts:
        """The Session and its PaymentIntent as they are now."""
        _check_id(session_id, "cs")
        return await self._ask(
            "read session",
            lambda: self._sessions.retrieve_async(session_id, {"expand": [_WITH_CHARGE]}),
            _checkout_facts,
        )

    async def look_at_session(self, session_id: str) -> CheckoutFacts:
        """As `session`; but one that this key's account does not have is told as expired, since with this key nobody
        can ever pay it."""
        try:
            return await self.session(session_id)
        except StripeRefused as error:
            if error.stripe_code != MISSING_CODE:
                raise
            log.error("stripe_session_of_another_account", session=session_id, request_id=error.request_id)
            return _missing_session(session_id, livemode=self.livemode, at=self._now())

    async def expire_session(self, session_id: str) -> CheckoutFacts:
        """End an open Session; one that is complete, or expired already, is told as it is, and one that this key's
        account does not have as expired."""
        _check_id(session_id, "cs")
        try:
            return await self._ask(
                "expire session",
                lambda: self._sessions.expire_async(
                    session_id,
                    {"expand": [_WITH_CHARGE]},
                    {"idempotency_key": self._minute_key("expire", session_id)},
                ),
                _checkout_facts,
            )
        except StripeRefused:
            # The refusal's text differs from case to case and has no stable code; the object is the fact.
            return await self.look_at_session(session_id)

    async def receipt_url(self, payment_intent_id: str) -> str | None:
        """Where Stripe shows the receipt of a payment; the address is good for some weeks."""
        _check_id(payment_intent_id, "pi")
        return await self._ask(
            "read receipt",
            lambda: self._intents.retrieve_async(payment_intent_id, {"expand": ["latest_charge"]}),
            _receipt_url,
        )

    async def capture(self, payment_intent_id: str, *, amount: int) -> CaptureFacts:
        """Take `amount` of the held money; the rest is freed. If Stripe refuses, the money is told as it stands."""
        _check_id(payment_intent_id, "pi")
        return await self._end_hold(
            "capture",
            payment_intent_id,
            lambda: self._intents.capture_async(
                payment_intent_id,
                {"amount_to_capture": amount},
                {"idempotency_key": self._minute_key("cap", payment_intent_id)},
            ),
        )

    async def void(self, payment_intent_id: str) -> CaptureFacts:
        """Give the held money back without a charge. If Stripe refuses, the money is told as it stands."""
        _check_id(payment_intent_id, "pi")
        return await self._end_hold(
            "void",
            payment_intent_id,
            lambda: self._intents.cancel_async(
                payment_intent_id, {}, {"idempotency_key": self._minute_key("void", payment_intent_id)}
            ),
        )

    async def refund(
        self,
        payment_intent_id: str,
        *,
        amount: int,
        refund_id: str,
        booking_id: str,
        first_tried_at: datetime | None,
        refusals: int = 0,
    ) -> RefundFacts:
        """Send `amount` back, once for each `refund_id` of ours, however often this is called.

        `refusals` counts how often Stripe has definitely refused this refund: under the old key it would repeat that
        for a day, although its cause is gone.

        `first_tried_at` is when this refund was first asked for (None: now), since Stripe forgets keys after a day.
        A repeat under the key tells the refund as it was made; `read_refund` tells how it is.
        """
        _check_id(payment_intent_id, "pi")
        if first_tried_at is not None and self._now() - first_tried_at > REFUND_KEY_LIFE:
            found = await self.find_refund(payment_intent_id, refund_id=refund_id)
            if found is not None:
                return found
        try:
            return await self._ask(
                "refund",
                lambda: self._refunds.create_async(
                    {
                        "payment_intent": payment_intent_id,
                        "amount": amount,
                        "reason": "requested_by_customer",
                        "metadata": {"booking_id": booking_id, "refund_id": refund_id},
                    },
                    {"idempotency_key": f"refund:{refund_id}" + (f":{refusals}" if refusals else "")},
                ),
                _refund_facts,
            )
        except StripeRefused:
            found = await self.find_refund(payment_intent_id, refund_id=refund_id)
            if found is None:
                raise
            return found

    async def find_refund(self, payment_intent_id: str, *, refund_id: str) -> RefundFacts | None:
        """The PaymentIntent's refund that carries our `refund_id`, if Stripe has made it."""
        refunds = await self.refunds_of(payment_intent_id)
        return next((refund for refund in refunds if refund.refund_row == refund_id), None)

    async def refunds_of(self, payment_intent_id: str) -> list[RefundFacts]:
        """Every refund of the PaymentIntent, whoever made it; newest first."""
        _check_id(payment_intent_id, "pi")
        return await self._all_pages(
            "list refunds",
            lambda: self._refunds.list_async({"payment_intent": payment_intent_id, "limit": 100}),
            _refund_facts,
        )

    async def recent_refunds(
        self, created_after: datetime, *, created_before: datetime | None = None, most: int = RECENT
    ) -> Listed[RefundFacts]:
        """The refunds made from `created_after` until `created_before`, newest first, those of other software on the
        account too.

        About `most` of them, since an account may be busy with other things; `Listed.down_to` tells where to go on.
        """
        return await self._all_pages(
            "list refunds",
            lambda: self._refunds.list_async({"created": _span(created_after, created_before), "limit": 100}),
            _refund_facts,
            most=most,
        )

    async def read_refund(self, stripe_refund_id: str) -> RefundFacts:
        """The refund as it is now."""
        _check_id(stripe_refund_id, "re", "pyr")
        return await self._ask("read refund", lambda: self._refunds.retrieve_async(stripe_refund_id), _refund_facts)

    async def dispute(self, dispute_id: str) -> DisputeFacts:
        """The dispute as it is now."""
        _check_id(dispute_id, "du", "dp")
        return await self._ask("read dispute", lambda: self._disputes.retrieve_async(dispute_id), _dispute_facts)

    async def disputes_of(self, payment_intent_id: str) -> list[DisputeFacts]:
        """Every dispute over the PaymentIntent, however it stands; newest first."""
        _check_id(payment_intent_id, "pi")
        return await self._all_pages(
            "list disputes",
            lambda: self._disputes.list_async({"payment_intent": payment_intent_id, "limit": 100}),
            _dispute_facts,
        )

    async def recent_disputes(
        self, created_after: datetime, *, created_before: datetime | None = None, most: int = RECENT
    ) -> Listed[DisputeFacts]:
        """The disputes opened in that time, newest first; as `recent_refunds`."""
        return await self._all_pages(
            "list disputes",
            lambda: self._disputes.list_async({"created": _span(created_after, created_before), "limit": 100}),
            _dispute_facts,
            most=most,
        )

    async def completed_sessions(
        self, *, created_after: datetime, created_before: datetime | None = None, most: int | None = None
    ) -> Listed[CheckoutFacts]:
        """Every complete Session that carries a booking id, made in that time; newest first, as `recent_refunds`.

        Sessions without one belong to other software on the same Stripe account.
        """
        return await self._list_sessions("complete", _span(created_after, created_before), most=most)

    async def open_sessions(self, *, created_after: datetime) -> Listed[CheckoutFacts]:
        """Every Session made since then that can still be paid; as `completed_sessions`."""
        return await self._list_sessions("open", _span(created_after, None))

    async def _list_sessions(
        self, status: Literal["complete", "open"], created: Any, *, most: int | None = None
    ) -> Listed[CheckoutFacts]:
        listed = await self._all_pages(
            "list sessions",
            lambda: self._sessions.list_async(
                {"status": status, "created": created, "limit": 100, "expand": [f"data.{_WITH_CHARGE}"]}
            ),
            _checkout_facts,
            most=most,
        )
        return _kept(listed, [facts for facts in listed if facts.booking_id])

    async def events(
        self, *, created_after: datetime, created_before: datetime | None = None, most: int = RECENT
    ) -> Listed[Event]:
        """The events of ours and of other software that Stripe has made in that time, newest first: of the kinds that
        we ask for at the webhook endpoint. About `most` of them, as `recent_refunds`."""
        found = await self._all_pages(
            "list events",
            lambda: self._events.list_async(
                {"created": _span(created_after, created_before), "types": list(EVENT_TYPES), "limit": 100}
            ),
            _listed_event,
            most=most,
        )
        return _kept(found, [event for event in found if event])

    def read_event(self, raw: bytes, signature: str | None) -> Event:
        """The event in a webhook's raw body. Raises WebhookRefused for everything that Stripe did not just send.

        `signature` is the header Stripe-Signature. The event's mode is not judged here.
        """
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise WebhookRefused("not UTF-8") from error
        signed_at = _signed_at(signature)
        if not any(_signed_with(secret, text, signature) for secret in self._webhook_secrets):
            raise WebhookRefused("bad signature")
        # The package's own check reads the wall clock and lets every future time pass.
        if abs(self._now() - signed_at) > WEBHOOK_TOLERANCE:
            raise WebhookRefused("signed too long ago, or in the future")
        try:
            envelope = _Envelope.model_validate_json(text)
        except ValidationError as error:
            raise WebhookRefused("not an event in Stripe's snapshot form") from error
        return _event_of(envelope)

    async def _end_hold(
        self, operation: str, payment_intent_id: str, call: Callable[[], Awaitable[stripe.PaymentIntent]]
    ) -> CaptureFacts:
        try:
            return await self._ask(operation, call, _capture_facts)
        except StripeRefused as error:
            log.warning("stripe_refused", operation=operation, code=error.stripe_code, request_id=error.request_id)
            return await self._ask(
                "read payment intent", lambda: self._intents.retrieve_async(payment_intent_id), _capture_facts
            )

    def _minute_key(self, operation: str, object_id: str) -> str:
        # Each of these happens to an object once, whatever the key. Stripe replays even a 500 under its key for
        # a day, so a key without the minute would keep a passing fault alive that long.
        return f"{operation}:{object_id}:{int(self._now().timestamp()) // 60}"

    async def _all_pages(
        self,
        operation: str,
        call: Callable[[], Awaitable[stripe.ListObject[Any]]],
        read: Callable[[stripe.StripeObject], _T],
        *,
        most: int | None = None,
    ) -> Listed[_T]:
        items: Listed[_T] = Listed()
        more: Callable[[], Awaitable[stripe.ListObject[Any]]] | None = call
        while more:
            page, facts = await self._ask(operation, more, lambda page: (page, [read(item) for item in page.data]))
            items += facts
            more = page.next_page_async if page.has_more and facts else None
            if more and most is not None and len(items) >= most:
                log.warning("stripe_list_cut_short", operation=operation, read=len(items))
                items.down_to = datetime.fromtimestamp(page.data[-1].created, UTC)
                break
        return items

    async def _ask(self, operation: str, call: Callable[[], Awaitable[_Answer]], read: Callable[[_Answer], _T]) -> _T:
        """One call with its attempts, and its answer read: the only place where `stripe` can raise."""
        pause = self._breaker.check()
        if pause:
            raise StripeDown(f"{operation}: not tried", retry_after=pause)
        began, outcome = self._now(), "ok"
        try:
            return await self._try(operation, call, read)
        except StripeError as error:
            outcome = type(error).__name__
            raise
        finally:
            self._on_call(operation, outcome, (self._now() - began).total_seconds())

    async def _try(self, operation: str, call: Callable[[], Awaitable[_Answer]], read: Callable[[_Answer], _T]) -> _T:
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                facts = read(await self._patiently(operation, call))
        except stripe.StripeError as error:
            told = _translate(operation, error)
            # A 409 means that the key or the object is in use: unknown outcome, but Stripe is there. An answer of
            # success that cannot be read says nothing about whether Stripe is there: one odd object must not shut
            # everybody out.
            if not isinstance(told, StripeUnreachable) or error.http_status == 409:
                self._breaker.succeeded()
            elif error.http_status != 200:
                self._breaker.failed()
            # Stripe's own sentence may quote what a customer typed, so the cause is left out of tracebacks.
            raise told from None
        except TimeoutError as error:
            self._breaker.failed()
            log.warning("no answer", provider="stripe", operation=operation, reason=f"within {CALL_TIMEOUT} s")
            raise StripeUnreachable(f"{operation}: no answer within {CALL_TIMEOUT} s") from error
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            # The package, as we do, takes the shape of an answer for granted; a proxy's answer may have any.
            log.warning("unreadable answer", provider="stripe", operation=operation, reason=type(error).__name__)
            raise StripeUnreachable(f"{operation}: an answer that is not Stripe's") from error
        self._breaker.succeeded()
        return facts

    async def _patiently(self, operation: str, call: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """The call, sent again after a 429 for as long as patience lasts; the package never does that."""
        waited = 0.0
        for attempt in range(1, RATE_LIMIT_TRIES):
            try:
                return await call()
            except stripe.RateLimitError as error:
                told = (error.headers or {}).get("retry-after", "")
                asked = float(told) if re.fullmatch("[0-9]{1,5}", told) else 0.0
                pause = max(asked, 0.5 * attempt) + self._random.uniform(0.0, 0.5)
                waited += pause
                if waited > self._patience:
                    raise
                log.warning("rate limited", provider="stripe", operation=operation, pause=round(pause, 2))
            await self._sleep(pause)
        return await call()


def session_key(payment: Payment) -> str:
    """The idempotency key of an attempt to pay. It has the payment's id, which is random: after a backup was restored,
    the same booking's attempts are counted from an earlier number again, with other parameters."""
    return f"cs:{payment.booking_id}:{payment.attempt}:{payment.id}"


def session_params(
    *,
    booking: Booking,
    price: Money,
    payment_id: str,
    attempt: int,
    capture: Capture,
    expires_at: datetime,
    success_url: str,
    cancel_url: str,
    locale: str,
    product_name: str,
    description: str,
    move_id: str = "",
) -> dict[str, Any]:
    """The parameters of a Checkout Session as plain JSON data: for a booking, or with `move_id` for what its move to
    another time costs more.

    Store them before the call and repeat them to the letter: under one idempotency key Stripe takes no others.
    Metadata and texts are seen by the owner's other software, so nothing personal belongs in them.
    """
    ours = {"booking_id": booking.id, "payment_id": payment_id, "attempt": str(attempt)}
    metadata = {**attribution.metadata(booking.visitor), **ours}
    if move_id:
        metadata["move_id"] = move_id
    product = {"name": product_name} | ({"description": description} if description else {})
    params: dict[str, Any] = {
        "mode": "payment",
        "submit_type": "book",
        "locale": _checkout_locale(locale),
        "client_reference_id": booking.id,
        "metadata": metadata,
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": price.currency,
                    "unit_amount": price.amount,
                    "product_data": product,
                },
            }
        ],
        "payment_intent_data": {
            "capture_method": capture.value,
            "description": product_name[:1000],
            "metadata": metadata,
        },
        # A lock of minutes cannot wait days for a bank debit; cards include Apple Pay and Google Pay.
        "allowed_payment_method_types": ["card", "link"],
        # Otherwise the Dashboard decides, and the customer may be shown another currency than our page showed.
        "adaptive_pricing": {"enabled": False},
        "expires_at": int(expires_at.timestamp()),
        "success_url": success_url,
        "cancel_url": cancel_url,
    }
    # Which addresses Stripe refuses is not documented. One beyond ASCII is left for its page to ask, because a refusal
    # would mean that its owner can never pay.
    if booking.customer and booking.customer.email.isascii():
        params["customer_email"] = booking.customer.email
    return params


def _span(after: datetime, before: datetime | None) -> Any:
    """Stripe counts whole seconds, and both ends belong to it. Any, since the package has a type for each list."""
    begins = {"gte": int(after.timestamp())}
    return begins if before is None else {**begins, "lte": int(before.timestamp())}


def _kept(listed: Listed[Any], kept: Sequence[_T]) -> Listed[_T]:
    """Some of what was listed; how far the list was read stays the same."""
    some = Listed(kept)
    some.down_to = listed.down_to
    return some


def _checkout_locale(language: str) -> str:
    parts = language.replace("_", "-").split("-")
    exact = "-".join([parts[0].lower(), *(part.upper() for part in parts[1:])])
    return next((name for name in (exact, parts[0].lower()) if f" {name} " in CHECKOUT_LOCALES), "auto")


def _check_id(object_id: str, *prefixes: str) -> None:
    # An empty id would turn reading one object into listing all.
    if not re.fullmatch(rf"(?:{'|'.join(prefixes)})_[A-Za-z0-9_]{{1,250}}", object_id):
        raise StripeRefused(f"not an id that starts with {' or '.join(prefixes)}_")


def _translate(operation: str, error: stripe.StripeError) -> StripeError:
    # Only some of the package's errors carry the code and the parameter themselves; the body always does.
    body = error.error.to_dict() if error.error else {}
    code, param = error.code or body.get("code"), getattr(error, "param", None) or body.get("param")
    told = [type(error).__name__, error.http_status, code, param]
    message = f"{operation}: {' '.join(str(part) for part in told if part)}"
    kind: type[StripeError] = StripeUnreachable
    if isinstance(error, stripe.RateLimitError):
        kind = StripeRateLimited
    elif isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        kind = StripeMisconfigured
    elif isinstance(error, stripe.InvalidRequestError | stripe.CardError | stripe.IdempotencyError):
        kind = StripeRefused
    if isinstance(error, stripe.IdempotencyError):
        log.error("stripe_key_reused", operation=operation, request_id=error.request_id)
    else:
        log.warning(
            "no answer" if error.http_status is None else "refused",
            provider="stripe",
            operation=operation,
            reason=type(error).__name__,
            status=error.http_status,
            code=code,
            param=param,
            stripe_request=error.request_id,
        )
    return kind(message, stripe_code=code, param=param, request_id=error.request_id)


#: A PaymentIntent's status in our words. A voucher that waits to be paid is `requires_action` under a complete
#: Session; every status that is not here means that no money is on its way.
_INTENT_STATES = {
    "succeeded": PaymentState.CAPTURED,
    "requires_capture": PaymentState.AUTHORIZED,
    "processing": PaymentState.PROCESSING,
    "requires_action": PaymentState.PROCESSING,
    "canceled": PaymentState.VOIDED,
}


def _session_state(session: Mapping[str, Any], intent: Mapping[str, Any]) -> PaymentState:
    if session["status"] != "complete":
        return {"open": PaymentState.OPEN, "expired": PaymentState.EXPIRED}[session["status"]]
    if session["payment_status"] in {"paid", "no_payment_required"}:
        return PaymentState.CAPTURED
    return _INTENT_STATES.get(intent.get("status", ""), PaymentState.FAILED)


def _checkout_facts(answer: stripe.StripeObject) -> CheckoutFacts:
    session = answer.to_dict()
    expanded = session["payment_intent"]
    intent = expanded if isinstance(expanded, dict) else {"id": expanded}
    metadata = session["metadata"] or {}
    latest = intent.get("latest_charge")
    charge = latest if isinstance(latest, dict) else {}
    return CheckoutFacts(
        id=session["id"],
        state=_session_state(session, intent),
        url=session["url"],
        payment_intent_id=intent["id"],
        booking_id=metadata.get("booking_id"),
        payment_id=metadata.get("payment_id"),
        amount_subtotal=session["amount_subtotal"] or 0,
        amount_total=session["amount_total"] or 0,
        currency=session["currency"] or "",
        livemode=session["livemode"],
        received=intent.get("amount_received", 0),
        capturable=intent.get("amount_capturable", 0),
        refunded=charge.get("amount_refunded", 0),
        charged_at=datetime.fromtimestamp(charge["created"], UTC) if charge else None,
        expires_at=datetime.fromtimestamp(session["expires_at"], UTC),
        created=datetime.fromtimestamp(session["created"], UTC),
        recovered=bool(session.get("recovered_from")),
        attempt=_attempt(metadata.get("attempt", "")),
        move_id=metadata.get("move_id"),
        capture=Capture.MANUAL if intent.get("capture_method") == "manual" else Capture.AUTOMATIC,
        leads_to=tuple(url for url in (session.get("success_url"), session.get("cancel_url")) if url),
    )


def _attempt(told: str) -> int:
    return int(told) if re.fullmatch(r"[1-9][0-9]{0,5}", told) else 0


def _missing_session(session_id: str, *, livemode: bool, at: datetime) -> CheckoutFacts:
    return CheckoutFacts(
        id=session_id,
        state=PaymentState.EXPIRED,
        url=None,
        payment_intent_id=None,
        booking_id=None,
        payment_id=None,
        amount_subtotal=0,
        amount_total=0,
        currency="",
        livemode=livemode,
        received=0,
        capturable=0,
        refunded=0,
        charged_at=None,
        expires_at=at,
        created=at,
        recovered=False,
    )


def _receipt_url(answer: stripe.StripeObject) -> str | None:
    charge = answer.to_dict()["latest_charge"]
    return charge["receipt_url"] if isinstance(charge, dict) else None


def _capture_facts(answer: stripe.StripeObject) -> CaptureFacts:
    intent = answer.to_dict()
    return CaptureFacts(
        state=_INTENT_STATES.get(intent["status"], PaymentState.FAILED), received=intent["amount_received"]
    )


def _refund_facts(answer: stripe.StripeObject) -> RefundFacts:
    refund = answer.to_dict()
    return RefundFacts(
        id=refund["id"],
        status=refund["status"],
        amount=refund["amount"],
        currency=refund["currency"],
        payment_intent_id=refund["payment_intent"],
        refund_row=(refund["metadata"] or {}).get("refund_id"),
        failure_reason=refund.get("failure_reason"),
        created=datetime.fromtimestamp(refund["created"], UTC),
        pending_reason=refund.get("pending_reason"),
    )


def _dispute_facts(answer: stripe.StripeObject) -> DisputeFacts:
    dispute = answer.to_dict()
    due_by = dispute["evidence_details"].get("due_by")
    return DisputeFacts(
        id=dispute["id"],
        status=dispute["status"],
        amount=dispute["amount"],
        currency=dispute["currency"],
        payment_intent_id=dispute["payment_intent"],
        answer_by=datetime.fromtimestamp(due_by, UTC) if due_by else None,
    )


class _Thing(BaseModel):
    # Some objects have no id (a balance); only Sessions have a client_reference_id. Refunds, charges and disputes name
    # their PaymentIntent, if they have one.
    id: str = ""
    object: str
    metadata: dict[str, Any] | None = None
    client_reference_id: str | None = None
    payment_intent: Any = None


class _Data(BaseModel):
    object: _Thing


class _Envelope(BaseModel):
    """A snapshot event; a thin notification has another `object` and no `data.object`."""

    id: str = Field(pattern=r"^evt_")
    object: Literal["event"]
    type: str
    created: AwareDatetime
    livemode: bool
    data: _Data


def _event_of(envelope: _Envelope) -> Event:
    thing = envelope.data.object
    named = (thing.metadata or {}).get("booking_id") or thing.client_reference_id
    paid_by = thing.payment_intent
    return Event(
        id=envelope.id,
        type=envelope.type,
        object_id=thing.id,
        object_type=thing.object,
        livemode=envelope.livemode,
        created=envelope.created.astimezone(UTC),
        booking_id=named if isinstance(named, str) and named else None,
        payment_intent_id=paid_by if isinstance(paid_by, str) and paid_by else None,
    )


def _listed_event(answer: stripe.StripeObject) -> Event | None:
    """None for an event that is not in the form of webhooks: other software may have made it."""
    try:
        return _event_of(_Envelope.model_validate(answer.to_dict()))
    except ValidationError:
        return None


def _signed_at(header: str | None) -> datetime:
    # The package signs over the first `t=` and reads numbers loosely; with exactly one, in digits, the time that
    # is judged here is the time that was signed.
    stamps = [part for part in (header or "").split(",") if part.startswith("t=")]
    if len(stamps) != 1 or not re.fullmatch(r"t=[0-9]{1,11}", stamps[0]):
        raise WebhookRefused("no readable Stripe-Signature")
    return datetime.fromtimestamp(int(stamps[0][2:]), UTC)


def _signed_with(secret: str, text: str, header: str | None) -> bool:
    if header is None or not header.isascii():
        return False
    try:
        stripe.WebhookSignature.verify_header(text, header, secret)
    except stripe.SignatureVerificationError:
        return False
    return True
