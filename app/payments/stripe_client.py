"""The part of Stripe that we need: Checkout Sessions, capture, refunds, disputes, events.

Nothing of the `stripe` package leaves `app.payments`: answers become plain facts, refusals `app.errors.Stripe*`.
Facts about Stripe are from its documentation and from the source of stripe-python 16.1.0.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random, SystemRandom
from typing import Any, Literal

import stripe
import structlog

from app.domain.event import Event
from app.errors import StripeRefused
from app.payments.connection import MAX_RETRIES, StripeConnection, StripeHTTP
from app.payments.events import EVENT_TYPES, listed_event, read_event
from app.payments.facts import (
    CaptureFacts,
    CheckoutFacts,
    DisputeFacts,
    Listed,
    RefundFacts,
    capture_facts,
    checkout_facts,
    dispute_facts,
    missing_session,
    receipt_url_of,
    refund_facts,
    some_of,
)

#: Stripe remembers a key for 24 hours; past this age we look before we ask again.
REFUND_KEY_LIFE = timedelta(hours=20)
#: How many refunds, disputes or events of the whole account are looked at: ten pages.
RECENT = 1000
#: `StripeRefused.stripe_code` of a refund that the customer's bank has forestalled (Stripe docs, Error codes).
DISPUTED_CODES = frozenset({"charge_disputed", "refund_disputed_payment"})
#: `StripeRefused.stripe_code` of an object that the key's account and mode do not have.
MISSING_CODE = "resource_missing"

#: What a Session is read with: its charge tells when it was paid, and what has gone back since.
_WITH_CHARGE = "payment_intent.latest_charge"

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


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

    # Nine parameters: the settings of the account, and what tests put in the place of time, chance and network.
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
        self._connection = StripeConnection(
            now=now, on_call=on_call, patience=patience, sleep=sleep, random=random or SystemRandom()
        )

    async def aclose(self) -> None:
        """End the connections."""
        close: Callable[[], Awaitable[None]] = self._http.close_async
        await close()

    @property
    def down(self) -> bool:
        """Whether no calls are sent for now, because Stripe has failed repeatedly."""
        return self._connection.breaker.open

    @property
    def tripped(self) -> bool:
        """Whether Stripe has failed repeatedly and has not answered since."""
        return self._connection.breaker.tripped

    async def create_session(self, params: Mapping[str, Any], *, idempotency_key: str) -> CheckoutFacts:
        """A Checkout Session with the stored `params` of `session_params`.

        A repeat under the same key tells the Session as it was when it was made, not as it is now.
        """
        stored: Any = dict(params)
        return await self._connection.ask(
            "create session",
            lambda: self._sessions.create_async(stored, {"idempotency_key": idempotency_key}),
            checkout_facts,
        )

    async def session(self, session_id: str) -> CheckoutFacts:
        """The Session and its PaymentIntent as they are now."""
        _check_id(session_id, "cs")
        return await self._connection.ask(
            "read session",
            lambda: self._sessions.retrieve_async(session_id, {"expand": [_WITH_CHARGE]}),
            checkout_facts,
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
            return missing_session(session_id, livemode=self.livemode, at=self._now())

    async def expire_session(self, session_id: str) -> CheckoutFacts:
        """End an open Session; one that is complete, or expired already, is told as it is, and one that this key's
        account does not have as expired."""
        _check_id(session_id, "cs")
        try:
            return await self._connection.ask(
                "expire session",
                lambda: self._sessions.expire_async(
                    session_id,
                    {"expand": [_WITH_CHARGE]},
                    {"idempotency_key": self._minute_key("expire", session_id)},
                ),
                checkout_facts,
            )
        except StripeRefused:
            # The refusal's text differs from case to case and has no stable code; the object is the fact.
            return await self.look_at_session(session_id)

    async def receipt_url(self, payment_intent_id: str) -> str | None:
        """Where Stripe shows the receipt of a payment; the address is good for some weeks."""
        _check_id(payment_intent_id, "pi")
        return await self._connection.ask(
            "read receipt",
            lambda: self._intents.retrieve_async(payment_intent_id, {"expand": ["latest_charge"]}),
            receipt_url_of,
        )

    async def capture(self, payment_intent_id: str, *, amount: int) -> CaptureFacts:
        """Take `amount` of the held money; the rest is released. If Stripe refuses, returns the payment as it is."""
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
        """Release the held money without a charge. If Stripe refuses, returns the payment as it is."""
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
            return await self._connection.ask(
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
                refund_facts,
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
        """Every refund of the PaymentIntent, no matter who made it; newest first."""
        _check_id(payment_intent_id, "pi")
        return await self._connection.all_pages(
            "list refunds",
            lambda: self._refunds.list_async({"payment_intent": payment_intent_id, "limit": 100}),
            refund_facts,
        )

    async def recent_refunds(
        self, created_after: datetime, *, created_before: datetime | None = None, most: int = RECENT
    ) -> Listed[RefundFacts]:
        """The refunds made from `created_after` until `created_before`, newest first, those of other software on the
        account too.

        About `most` of them, since an account may be busy with other things; `Listed.down_to` tells where to go on.
        """
        return await self._connection.all_pages(
            "list refunds",
            lambda: self._refunds.list_async({"created": _span(created_after, created_before), "limit": 100}),
            refund_facts,
            most=most,
        )

    async def read_refund(self, stripe_refund_id: str) -> RefundFacts:
        """Read a refund as it is now."""
        _check_id(stripe_refund_id, "re", "pyr")
        return await self._connection.ask(
            "read refund", lambda: self._refunds.retrieve_async(stripe_refund_id), refund_facts
        )

    async def dispute(self, dispute_id: str) -> DisputeFacts:
        """Read a dispute as it is now."""
        _check_id(dispute_id, "du", "dp")
        return await self._connection.ask(
            "read dispute", lambda: self._disputes.retrieve_async(dispute_id), dispute_facts
        )

    async def disputes_of(self, payment_intent_id: str) -> list[DisputeFacts]:
        """Every dispute over the PaymentIntent, however it stands; newest first."""
        _check_id(payment_intent_id, "pi")
        return await self._connection.all_pages(
            "list disputes",
            lambda: self._disputes.list_async({"payment_intent": payment_intent_id, "limit": 100}),
            dispute_facts,
        )

    async def recent_disputes(
        self, created_after: datetime, *, created_before: datetime | None = None, most: int = RECENT
    ) -> Listed[DisputeFacts]:
        """The disputes opened in that time, newest first; as `recent_refunds`."""
        return await self._connection.all_pages(
            "list disputes",
            lambda: self._disputes.list_async({"created": _span(created_after, created_before), "limit": 100}),
            dispute_facts,
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
        listed = await self._connection.all_pages(
            "list sessions",
            lambda: self._sessions.list_async(
                {"status": status, "created": created, "limit": 100, "expand": [f"data.{_WITH_CHARGE}"]}
            ),
            checkout_facts,
            most=most,
        )
        return some_of(listed, [facts for facts in listed if facts.booking_id])

    async def events(
        self, *, created_after: datetime, created_before: datetime | None = None, most: int = RECENT
    ) -> Listed[Event]:
        """The events of ours and of other software that Stripe has made in that time, newest first: of the kinds that
        we ask for at the webhook endpoint. About `most` of them, as `recent_refunds`."""
        found = await self._connection.all_pages(
            "list events",
            lambda: self._events.list_async(
                {"created": _span(created_after, created_before), "types": list(EVENT_TYPES), "limit": 100}
            ),
            listed_event,
            most=most,
        )
        return some_of(found, [event for event in found if event])

    def read_event(self, raw: bytes, signature: str | None) -> Event:
        """The event in a webhook's raw body. Raises WebhookRefused for everything that Stripe did not just send.

        `signature` is the header Stripe-Signature. The event's mode is not judged here.
        """
        return read_event(raw, signature, secrets=self._webhook_secrets, now=self._now())

    async def _end_hold(
        self, operation: str, payment_intent_id: str, call: Callable[[], Awaitable[stripe.PaymentIntent]]
    ) -> CaptureFacts:
        try:
            return await self._connection.ask(operation, call, capture_facts)
        except StripeRefused as error:
            log.warning("stripe_refused", operation=operation, code=error.stripe_code, request_id=error.request_id)
            return await self._connection.ask(
                "read payment intent", lambda: self._intents.retrieve_async(payment_intent_id), capture_facts
            )

    def _minute_key(self, operation: str, object_id: str) -> str:
        # Each of these happens to an object once, whatever the key. Stripe replays even a 500 under its key for
        # a day, so a key without the minute would keep a passing fault alive that long.
        return f"{operation}:{object_id}:{int(self._now().timestamp()) // 60}"


def _span(after: datetime, before: datetime | None) -> Any:
    """Stripe counts whole seconds, and both ends belong to it. Any, since the package has a type for each list."""
    begins = {"gte": int(after.timestamp())}
    return begins if before is None else {**begins, "lte": int(before.timestamp())}


def _check_id(object_id: str, *prefixes: str) -> None:
    # An empty id would turn reading one object into listing all.
    if not re.fullmatch(rf"(?:{'|'.join(prefixes)})_[A-Za-z0-9_]{{1,250}}", object_id):
        raise StripeRefused(f"not an id that starts with {' or '.join(prefixes)}_")
