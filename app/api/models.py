"""What goes in and comes out of the JSON door. The same models read requests, write answers and make the OpenAPI
document, so that none of them can say something else."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
#: What RFC 9562 calls a UUID, as text.
UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _read_rfc3339(value: object) -> datetime:
    """pydantic reads more than RFC 3339 has: blanks for the T, numbers, times without an offset."""
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("must be a date and time with an offset, such as 2026-11-24T10:00:00+01:00")
    return datetime.fromisoformat(value)


def _in_utc(moment: datetime) -> datetime:
    """The calendar's very ends overflow on the way to UTC; nobody means them."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return datetime(9999 if moment.year > 2000 else 1, 1, 1, tzinfo=UTC)


def _whole(value: object) -> object:
    """To JSON Schema 5.0 is an integer; so it is here, and below 2^53 exactly."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Moment = Annotated[AwareDatetime, BeforeValidator(_read_rfc3339), AfterValidator(_in_utc)]
Id = Annotated[str, Field(min_length=1, max_length=100)]
Token = Annotated[str, Field(min_length=1, max_length=400)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Address = Annotated[str, Field(min_length=1, max_length=2000)]
#: A day, or a moment with its offset. The act reads it in full, and says what is wrong by the field's name.
Day = Annotated[
    str,
    Field(
        min_length=10,
        max_length=40,
        json_schema_extra={"pattern": r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])([Tt].+)?$"},
    ),
]
#: In the document a plain boolean: OpenAPI Generator's Python client (7.26) cannot read an answer with a constant.
Yes = Annotated[Literal[True], WithJsonSchema({"type": "boolean", "description": "Always true."})]
No = Annotated[Literal[False], WithJsonSchema({"type": "boolean", "description": "Always false."})]


class _In(BaseModel):
    """What is not set is empty: a null would be a second way to say the same."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, use_attribute_docstrings=True)


class _Out(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        json_schema_serialization_defaults_required=True,
        use_attribute_docstrings=True,
    )


# Words


class BookingStatus(StrEnum):
    """The state of a booking. PENDING: held, being paid, or being confirmed."""

    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    CANCELLED = "CANCELLED"
    RESCHEDULED = "RESCHEDULED"
    COMPLETED = "COMPLETED"


class PaymentStatus(StrEnum):
    """The state of its money. UNPAID also where nothing is due."""

    UNPAID = "UNPAID"
    PENDING = "PENDING"
    PAID = "PAID"
    FAILED = "FAILED"
    REFUNDED = "REFUNDED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"


class HapioStatus(StrEnum):
    """Whether Hapio holds the time."""

    ACTIVE = "ACTIVE"
    CANCELLED = "CANCELLED"


class RefundStatus(StrEnum):
    """How far a refund is."""

    NOT_APPLICABLE = "NOT_APPLICABLE"
    PENDING = "PENDING"
    COMPLETED = "COMPLETED"


class SessionStatus(StrEnum):
    """The state of a payment page."""

    OPEN = "OPEN"
    COMPLETE = "COMPLETE"
    EXPIRED = "EXPIRED"


class ErrorCode(StrEnum):
    """What went wrong, for programs."""

    INVALID_REQUEST = "INVALID_REQUEST"
    UNAUTHORIZED = "UNAUTHORIZED"
    BOOKING_NOT_FOUND = "BOOKING_NOT_FOUND"
    BOOKING_CONFLICT = "BOOKING_CONFLICT"
    HOLD_EXPIRED = "HOLD_EXPIRED"
    POLICY_REFUSED = "POLICY_REFUSED"
    HAPIO_API_ERROR = "HAPIO_API_ERROR"
    STRIPE_API_ERROR = "STRIPE_API_ERROR"
    WEBHOOK_VERIFICATION_FAILED = "WEBHOOK_VERIFICATION_FAILED"
    SESSION_EXPIRED = "SESSION_EXPIRED"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    REFUND_FAILED = "REFUND_FAILED"
    RATE_LIMITED = "RATE_LIMITED"
    INTERNAL_ERROR = "INTERNAL_ERROR"


# Requests


class ServicesQuery(_In):
    """Which widget's services; without one, those of all widgets."""

    widget: Name = ""
    """The widget's name in widgets.toml, such as `studio`."""


class AvailabilityQuery(_In):
    """The free times of one service. Days are those of `timeZone`, from the first to the last, both included."""

    service_id: Id
    """The service's id, from `/api/services`."""
    resource_id: Id = ""
    """Only the times of this person or room; without it, those of everyone."""
    from_: Annotated[Day, Field(alias="from")]
    """The first day (`2026-12-03`), or a moment with its offset (`2026-12-03T10:00:00+01:00`)."""
    to: Day
    """The last day, itself included, or a moment with its offset, before which a time must start. At most 62 days
    after `from`."""
    time_zone: Name = ""
    """The time zone that days and answers are in, such as `Europe/Stockholm`; without it, the place's."""
    widget: Name = ""
    """The widget's name; needed only where several offer the service."""


class TokenQuery(_In):
    """The booking's token, where it does not come as `Authorization: Bearer`."""

    token: Annotated[Token, Field(json_schema_extra={"deprecated": True})] = ""
    """The booking's token. Send it as `Authorization: Bearer` instead: addresses end up in logs."""


class CustomerIn(_In):
    """Who comes. `answers` and `consent` where the widget's form asks for them."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """The full name."""
    email: Annotated[str, Field(min_length=3, max_length=254)]
    """Where the confirmation goes."""
    phone: Annotated[str, Field(max_length=40)] = ""
    """With the country code, or as the widget's country writes it."""
    notes: Annotated[str, Field(max_length=1000)] = ""
    """A message to the owner."""
    answers: Annotated[
        dict[Annotated[str, Field(max_length=40)], Annotated[str, Field(max_length=2000)]], Field(max_length=50)
    ] = {}
    """The answers to the widget's own questions, by the question's name."""
    consent: bool = False
    """Whether the customer agreed to the widget's consent text."""


class ProofIn(_In):
    """The answer to a challenge that came with a 429: `solution`, or the sum as `answer`."""

    token: Annotated[str, Field(max_length=300)] = ""
    """The challenge's `token`."""
    solution: Annotated[str, Field(max_length=100)] = ""
    """What the calculation gave."""
    answer: Annotated[str, Field(max_length=10)] = ""
    """The answer to `question`, in its place."""


class LockRequest(_In):
    """Hold a time for a customer. `widget` is needed only where several offer the service."""

    service_id: Id
    """The service's id, from `/api/services`."""
    resource_id: Id = ""
    """With this person or room; without it, anyone who is free."""
    start: Moment
    """When it starts: one of the free times."""
    end: Moment
    """When it ends. It must fit the service's duration."""
    customer: CustomerIn
    reference: Annotated[str, Field(max_length=200)] = ""
    """Your own number for the booking; it comes back with it."""
    metadata: Annotated[
        dict[Annotated[str, Field(max_length=40)], Annotated[str, Field(max_length=500)]], Field(max_length=20)
    ] = {}
    """Your own notes, by name; they come back with the booking."""
    utm: Annotated[
        dict[Annotated[str, Field(max_length=40)], Annotated[str, Field(max_length=500)]], Field(max_length=20)
    ] = {}
    """The campaign's parameters, `utm_source` and so on."""
    widget: Name = ""
    """The widget's name; needed only where several offer the service."""
    proof: ProofIn = ProofIn()


def _by_either_id(schema: dict[str, Any]) -> None:
    # As a condition: generators lose the type of the whole body where alternatives stand beside its properties.
    schema["if"] = {"not": {"required": ["bookingId"]}}
    schema["then"] = {"required": ["hapioBookingId"]}


class Named(_In):
    """Which booking: `bookingId` or `hapioBookingId` is needed, and the `token` where it does not come as
    `Authorization: Bearer`."""

    model_config = ConfigDict(json_schema_extra=_by_either_id)

    booking_id: Id = ""
    """Our id of the booking, such as `bk_0123456789abcdef0123`."""
    hapio_booking_id: Id = ""
    """Hapio's id of the booking."""
    token: Token = ""
    """The token that the lock gave."""

    @model_validator(mode="after")
    def _one_is_named(self) -> Self:
        if not (self.booking_id or self.hapio_booking_id):
            raise ValueError("bookingId or hapioBookingId is required")
        return self


class CheckoutRequest(Named):
    """Start paying. `bookingId` or `hapioBookingId` is needed. Both addresses must be on an allowed origin."""

    return_url: Address = ""
    """Where Stripe sends the customer after paying; without it, to the booking's page."""
    cancel_url: Address = ""
    """Where Stripe sends the customer who goes back; without it, to the booking's page."""


class CancelRequest(Named):
    """Which booking to call off: `bookingId` or `hapioBookingId` is needed."""

    reason: Annotated[str, Field(max_length=500)] = ""
    """Why, for the booking's history."""
    refund_requested: bool = True
    """False leaves the money where it is."""
    dry_run: bool = False
    """True changes nothing, and tells what would come back."""


class RescheduleRequest(Named):
    """Which booking to move, and where to: `bookingId` or `hapioBookingId` is needed."""

    new_start: Moment
    """When it starts: one of the free times."""
    new_end: Moment
    """When it ends. It must fit the service's duration."""
    service_id: Id = ""
    """Another service; without it, the same."""
    resource_id: Id = ""
    """Another person or room; without it, the same where possible."""
    dry_run: bool = False
    """True changes nothing, and tells what it would cost."""


class NoShowRequest(Named):
    """Which booking was missed: `bookingId` or `hapioBookingId` is needed."""

    no_show: bool = True
    """False takes it back."""


class RefundRequest(Named):
    """Which booking to refund: `bookingId` or `hapioBookingId` is needed."""

    amount: Annotated[int, Field(ge=1, le=10**12), BeforeValidator(_whole)] = 0
    """How much, in the currency's smallest unit, and a whole step of it; without it, all that is left."""


class ReceiptRequest(_In):
    """A receipt that a page was handed with `holdfast:confirmed`."""

    receipt: str
    """The receipt, to the letter."""


class PaidAnotherWayRequest(Named):
    """Which refund, by Stripe's id or ours; it may be left out where one refund only has failed or is refused."""

    refund_id: Id = ""
    """The refund; without it, the only one that has failed or is refused."""


class CorrectEmailRequest(Named):
    """The customer's right address."""

    email: Annotated[str, Field(min_length=3, max_length=254)]
    """Where emails go from now on. What could not be delivered is sent there."""


# Answers


class _Answer(_Out):
    success: Yes = True


class ResourceOut(_Out):
    """A person or a room."""

    id: str
    """Hapio's id."""
    name: str
    """The name, as Hapio has it."""


class ServiceOut(_Out):
    """What can be booked. `duration` in minutes, `price` in the currency's smallest unit."""

    id: str
    """Hapio's id."""
    name: str
    """The name."""
    description: str
    """The owner's words about it; may be empty."""
    duration: int
    """In minutes."""
    price: int
    """In the currency's smallest unit; 0 is free."""
    currency: str
    """The ISO code in small letters, such as `eur`."""
    widget: str
    """The widget that offers it."""
    resources: list[ResourceOut]
    """Who offers it."""


class ServicesAnswer(_Answer):
    """What can be booked."""

    services: list[ServiceOut]
    """The services, in the owner's order."""


class SlotOut(_Out):
    """A free time, and who is free then."""

    start: AwareDatetime
    """When it starts."""
    end: AwareDatetime
    """When it ends."""
    resource_ids: list[str]
    """Who is free then."""


class AvailabilityAnswer(_Answer):
    """Free times. `age` is how many seconds ago the calendar was asked; the lock decides."""

    slots: list[SlotOut]
    """The free times, in their order."""
    age: int
    """How many seconds ago the calendar was asked."""
    time_zone: str
    """The time zone of the answer."""


class LockAnswer(_Answer):
    """The time is held until `expiresAt`. Keep the token: it pays for, shows, moves and cancels this booking."""

    booking_id: str
    """Our id of the booking."""
    hapio_booking_id: str
    """Hapio's id of the booking."""
    start: AwareDatetime
    """When it starts."""
    end: AwareDatetime
    """When it ends."""
    resource_id: str
    """Who it is with."""
    status: BookingStatus
    expires_at: AwareDatetime
    """Until when the time is held."""
    price: Annotated[
        int, Field(description="What has to be paid, in the currency's smallest unit, as the time is held")
    ]
    currency: str
    """Its lower-case ISO code."""
    token: str
    """As secret as a password."""


class CheckoutAnswer(_Answer):
    """Stripe's page to send the customer to. All null where nothing is left to pay."""

    session_id: str | None
    """Stripe's id of the payment page."""
    url: str | None
    """The payment page's address."""
    expires_at: AwareDatetime | None
    """Until when one can pay there."""


class SessionAnswer(_Answer):
    """The state of a payment page."""

    session_id: str
    """Stripe's id of the payment page."""
    status: SessionStatus
    payment_status: PaymentStatus
    payment_intent_id: str | None
    """Stripe's id of the payment, once there is one."""
    receipt_url: str | None
    """Stripe's receipt, once it is paid."""


class RefundOut(_Out):
    """What goes back, in the smallest unit."""

    status: RefundStatus
    amount: int
    """In the currency's smallest unit."""


class BookingOut(_Out):
    """A booking as it is now. `expiresAt` while it is held or being paid; `price` in the smallest unit."""

    booking_id: str
    """Our id of the booking."""
    hapio_booking_id: str | None
    """Hapio's id of the booking; null where Hapio has none."""
    status: BookingStatus
    payment_status: PaymentStatus
    hapio_status: HapioStatus
    service_id: str
    """Hapio's id of the service."""
    service_name: str
    """The service's name."""
    resource_id: str
    """Hapio's id of the person or room."""
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
    refund: RefundOut
    expires_at: AwareDatetime | None
    """Until when it is held; null once it is paid or over."""
    undo_until: AwareDatetime | None
    """Until when its cancellation can be taken back."""
    no_show: bool
    """Whether the customer missed the visit."""
    reference: str
    """Your own number for it."""
    metadata: dict[str, str]
    """Your own notes."""
    last_updated: AwareDatetime
    """When it last changed."""


class BookingAnswer(_Answer, BookingOut):
    """A booking as it is now."""


class CancelAnswer(_Answer):
    """What became, or would become, of the booking and its money."""

    booking_id: str
    """Our id of the booking."""
    status: BookingStatus
    refund_status: RefundStatus
    refund_amount: int
    """What goes back in all, in the currency's smallest unit."""
    refund_id: str | None
    """Stripe's id of the newest refund, once it is made."""
    currency: str
    """The ISO code in small letters."""
    undo_until: AwareDatetime | None
    """Until when the cancellation can be taken back."""


class RescheduleAnswer(_Answer):
    """The booking as it is now. `checkoutUrl` where the difference must be paid before it moves; below zero, the
    difference goes back."""

    booking: BookingOut
    price_difference: int
    """What must be paid, or below zero what goes back, in the currency's smallest unit."""
    checkout_url: str | None
    """Stripe's page for the difference."""


class GivenBackAnswer(_Answer):
    """What is on its way back."""

    booking_id: str
    """Our id of the booking."""
    refund_status: RefundStatus
    refund_amount: int
    """In the currency's smallest unit."""
    refund_id: str | None
    """Stripe's id of the newest refund, once it is made."""
    currency: str
    """The ISO code in small letters."""


class ReceiptAnswer(_Answer):
    """Whether the receipt is one of ours. `receipt` says what it confirms, and is there for a genuine one only."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    success: Yes
    valid: bool
    """Whether we signed it."""
    receipt: dict[str, Any] = {}
    """What it confirms: `booking`, `widget`, `service`, `start`, `price`, `currency` and `confirmedAt`."""


class DoneAnswer(_Answer):
    """It is done."""


class WebhookAnswer(_Answer):
    """The event is stored, or the hint taken."""

    message: Literal["Webhook received"] = "Webhook received"
    """Always the same."""


class ErrorOut(_Out):
    """`details` says more where there is more: a field's name and its sentence, the nearest free times, and so on."""

    code: ErrorCode
    message: str
    """A sentence in English."""
    details: dict[str, Any]
    """More where there is more; else empty."""


class ErrorAnswer(_Out):
    """What every error looks like."""

    success: No = False
    error: ErrorOut


def is_uuid(text: str) -> bool:
    """Whether this is a UUID as RFC 9562 writes it, and neither of its two constants (all zeros, all ones)."""
    return bool(UUID_TEXT.fullmatch(text)) and 0 < UUID(text).int < 2**128 - 1
