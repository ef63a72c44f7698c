"""The bodies of outgoing webhooks. The same models write them and make the OpenAPI document.

What is stored has no personal data. It is added when a message is sent, from the booking's row, so that a customer who
was erased is in no later message.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, WithJsonSchema
from pydantic.alias_generators import to_camel

from app.domain.booking import Booking, Channel, Status
from app.domain.history import HistoryWord
from app.domain.outgoing_webhooks import Happening, WebhookEvent

#: What a test message says that it is.
TEST: Final = "webhook.test"
#: When a program is told what, as the OpenAPI document says it.
ABOUT: Final[Mapping[str, str]] = {
    WebhookEvent.HELD: "A time was held; nothing is paid yet.",
    WebhookEvent.CONFIRMED: "A booking is paid and final in the calendar; also when a cancellation was undone.",
    WebhookEvent.MOVED: "A booking has another time, person or service.",
    WebhookEvent.CANCELED: "A booking was cancelled, or paid without getting the time.",
    WebhookEvent.EXPIRED: "A booking ended without payment. Money that comes late may still confirm it.",
    WebhookEvent.REFUNDED: "Money was sent back.",
    WebhookEvent.NO_SHOW: "The customer did not come, or came after all.",
    WebhookEvent.NEEDS_ATTENTION: "Something about a booking needs a person.",
    WebhookEvent.FORGOTTEN: "The customer's data was removed: remove it, too.",
    TEST: "A test message, sent by hand.",
}


class _Part(BaseModel):
    """Every field is in every message, whether it is set or not."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        json_schema_serialization_defaults_required=True,
        use_attribute_docstrings=True,
    )


class WebhookBooking(_Part):
    """The booking, as it was seconds after the event. A later message about it has a higher `number` and is right."""

    booking_id: str
    """Our id of the booking."""
    status: Status
    """Where it stands after the event."""
    widget: str
    """The widget that it was made in."""
    scheduler_booking_id: str | None
    """The scheduler's id of the booking; null where it has none."""
    service_id: str
    """The scheduler's id of the service."""
    service_name: str
    """The service's name."""
    resource_id: str
    """The scheduler's id of the person or room."""
    resource_name: str
    """The person's or room's name."""
    location_name: str
    """The place's name."""
    start: AwareDatetime
    """When it starts, in `timeZone`."""
    end: AwareDatetime
    """When it ends, in `timeZone`."""
    time_zone: str
    """The place's time zone."""
    price: int
    """In the currency's smallest unit."""
    currency: str
    """The ISO code in small letters."""
    no_show: bool
    """Whether the customer missed the visit."""
    channel: Annotated[str, WithJsonSchema({"type": "string", "enum": [*map(str, Channel)]})]
    """`online`, or `desk` where the owner booked for a customer."""


class WebhookMove(_Part):
    """From when to when it was moved."""

    start_before: AwareDatetime
    """When it started before."""
    start: AwareDatetime
    """When it starts now."""


class WebhookRefund(_Part):
    """Money that was sent back."""

    amount: int
    """In the currency's smallest unit."""
    currency: str
    """The ISO code in small letters."""


class WebhookAttention(_Part):
    """What needs a person. `cause` says what it is about."""

    amount: int
    """The money that it is about, in the currency's smallest unit; 0 for none."""
    code: str
    """The provider's word for its refusal; may be empty."""


class WebhookCustomer(_Part):
    """Who booked. Only where the endpoint has `personal_data = true`."""

    name: str
    """The name."""
    email: str
    """The mail address."""
    phone: str
    """The phone number with its country code; may be empty."""
    notes: str
    """What the customer wrote; may be empty."""
    answers: dict[str, str]
    """The answers to the widget's own questions, by their names."""
    language: str
    """The language of the customer's page."""
    reference: str
    """Your own number, where a program of yours booked."""
    metadata: dict[str, str]
    """Your own notes, where a program of yours booked."""


class WebhookMessage(_Part):
    """One message. The same `id` comes again where an answer was lost; a higher `number` is later."""

    id: str
    """Different for each message, the same each time that it is sent."""
    number: int
    """Higher than that of every earlier message to this address. Not without gaps."""
    type: Annotated[str, WithJsonSchema({"type": "string", "enum": [*map(str, ABOUT)]})]
    """What happened."""
    occurred_at: AwareDatetime
    """When it happened."""
    live: bool
    """Whether real money is moved: whether the server has a live Stripe key."""
    cause: str
    """Why, in a word: `by_customer`, `by_owner`, `deadline`, `slot_gone`, `taken_back` and so on."""
    booking: WebhookBooking | None
    """The booking; null in a test message."""
    move: WebhookMove | None
    """In `booking.moved`."""
    refund: WebhookRefund | None
    """In `booking.refunded`."""
    attention: WebhookAttention | None
    """In `booking.needs_attention`."""
    customer: WebhookCustomer | None
    """Who booked, where the endpoint asks for personal data; null where the customer is unknown or was erased."""


def message_of(happening: Happening, booking: Booking, *, message_id: str, live: bool) -> WebhookMessage:
    """What is stored. The number comes when it is sent: it is known only once the message is written."""
    zone = ZoneInfo(booking.time_zone)
    facts, currency = happening.facts or {}, booking.terms.price.currency
    event = happening.event
    no_show = happening.cause == HistoryWord.NO_SHOW if event is WebhookEvent.NO_SHOW else booking.no_show
    return WebhookMessage(
        id=message_id,
        number=0,
        type=event,
        occurred_at=happening.at,
        live=live,
        cause=happening.cause,
        booking=WebhookBooking(
            booking_id=booking.id,
            status=happening.status or booking.status,
            widget=booking.widget,
            scheduler_booking_id=booking.reservation.reference,
            service_id=booking.service_id,
            service_name=booking.service_name,
            resource_id=booking.resource_id,
            resource_name=booking.resource_name,
            location_name=booking.location_name,
            start=booking.starts_at.astimezone(zone),
            end=booking.ends_at.astimezone(zone),
            time_zone=booking.time_zone,
            price=booking.terms.price.amount,
            currency=currency,
            no_show=no_show,
            channel=booking.channel,
        ),
        move=_move(facts, zone) if event is WebhookEvent.MOVED else None,
        refund=WebhookRefund(amount=int(facts.get("amount", 0)), currency=currency)
        if event is WebhookEvent.REFUNDED
        else None,
        attention=WebhookAttention(amount=int(facts.get("amount", 0)), code=str(facts.get("code", "")))
        if event is WebhookEvent.NEEDS_ATTENTION
        else None,
        customer=None,
    )


def _move(facts: Mapping[str, str | int], zone: ZoneInfo) -> WebhookMove | None:
    if "from" not in facts or "to" not in facts:
        return None
    before, after = (datetime.fromisoformat(str(facts[name])).astimezone(zone) for name in ("from", "to"))
    return WebhookMove(start_before=before, start=after)


def test_message(*, message_id: str, number: int, at: datetime, live: bool) -> WebhookMessage:
    """What the owner sends to try an address."""
    return WebhookMessage(
        id=message_id,
        number=number,
        type=TEST,
        occurred_at=at,
        live=live,
        cause="",
        booking=None,
        move=None,
        refund=None,
        attention=None,
        customer=None,
    )


def customer_of(booking: Booking | None) -> WebhookCustomer | None:
    """The personal data of a booking, as it stands now."""
    if booking is None or booking.customer is None:
        return None
    customer, visitor = booking.customer, booking.visitor
    return WebhookCustomer(
        name=customer.name,
        email=customer.email,
        phone=customer.phone,
        notes=customer.notes,
        answers=dict(customer.answers),
        language=visitor.language,
        reference=visitor.reference,
        metadata=dict(visitor.metadata),
    )
