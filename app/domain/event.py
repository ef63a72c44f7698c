"""Webhook events as they are stored. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

#: Kinds of Stripe's that are about money that somebody has sent us.
SAYS_PAID = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "payment_intent.amount_capturable_updated",
    "payment_intent.succeeded",
)


@dataclass(frozen=True, slots=True)
class Event:
    """One verified webhook event: a hint where to look. What else it says is not kept: accounts are shared with
    other software, and its customers are not ours. `payment_intent_id` is all that leads to the booking where
    someone acts in Stripe's dashboard, past our metadata."""

    id: str
    type: str
    object_id: str
    object_type: str
    livemode: bool
    created: datetime
    booking_id: str | None
    payment_intent_id: str | None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event in our inbox: how often it was tried, and what came of it. `error` is the name of the last failure,
    empty without one or since it had its effect."""

    event: Event
    tries: int
    received_at: datetime
    processed_at: datetime | None
    next_try_at: datetime | None
    error: str
