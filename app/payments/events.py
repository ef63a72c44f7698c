"""Stripe's events: checking that a webhook is genuine, and reading what it is about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import stripe
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from app.domain.event import Event
from app.errors import WebhookRefused

#: A webhook's signature may be this old, or this far ahead of our clock.
WEBHOOK_TOLERANCE = timedelta(minutes=5)
#: The API version of the pinned package; events are read in this version's form.
API_VERSION: str = stripe.api_version
#: What the webhook endpoint asks for (docs/by-hand.md#stripe); Stripe lists at most 20 kinds at once.
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


def read_event(raw: bytes, signature: str | None, *, secrets: Sequence[str], now: datetime) -> Event:
    """The event in a webhook's raw body. Raises WebhookRefused for everything that Stripe did not just send.

    `signature` is the header Stripe-Signature, made with one of `secrets`. The event's mode is not judged here.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WebhookRefused("not UTF-8") from error
    signed_at = _signed_at(signature)
    if not any(_signed_with(secret, text, signature) for secret in secrets):
        raise WebhookRefused("bad signature")
    # The package's own check reads the wall clock and lets every future time pass.
    if abs(now - signed_at) > WEBHOOK_TOLERANCE:
        raise WebhookRefused("signed too long ago, or in the future")
    try:
        envelope = _Envelope.model_validate_json(text)
    except ValidationError as error:
        raise WebhookRefused("not an event in Stripe's snapshot form") from error
    return _event_of(envelope)


def listed_event(answer: stripe.StripeObject) -> Event | None:
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
