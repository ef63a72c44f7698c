"""What goes in and comes out of the JSON door. The same models read requests, write answers and make the OpenAPI
document, so that none of them can say something else."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
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
Token = Annotated[str, Field(min_length=1, max_length=400, description="The token that the lock gave.")]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Address = Annotated[str, Field(min_length=1, max_length=2000)]


class _In(BaseModel):
    """What is not set is empty: a null would be a second way to say the same."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class _Out(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        json_schema_serialization_defaults_required=True,
    )


# Words


class BookingStatus(StrEnum):
    """How a booking stands. PENDING: held, being paid, or being confirmed."""

    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    CANCELLED = "CANCELLED"
    RESCHEDULED = "RESCHEDULED"
    COMPLETED = "COMPLETED"


class PaymentStatus(StrEnum):
    """How its money stands. UNPAID also where nothing is due."""

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
    """How a payment page stands."""

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


class AvailabilityQuery(_In):
    """`from` and `to` are days, or times with an offset; a day counts in `timeZone`, and `to` is not part of it."""

    service_id: Id
    resource_id: Id = ""
    from_: Annotated[str, Field(alias="from", max_length=40)]
    to: Annotated[str, Field(max_length=40)]
    time_zone: Name = ""
    widget: Name = ""


class TokenQuery(_In):
    """The booking's token, where it does not come as `Authorization: Bearer`."""

    token: Token = ""


class CustomerIn(_In):
    """Who comes. `answers` and `consent` where the widget's form asks for them."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    email: Annotated[str, Field(min_length=3, max_length=254)]
    phone: Annotated[str, Field(max_length=40)] = ""
    notes: Annotated[str, Field(max_length=1000)] = ""
    answers: Annotated[
        dict[Annotated[str, Field(max_length=40)], Annotated[str, Field(max_length=2000)]], Field(max_length=50)
    ] = {}
    consent: bool = False


class ProofIn(_In):
    """The answer to a challenge that came with a 429: `solution`, or the sum as `answer`."""

    token: Annotated[str, Field(max_length=300)] = ""
    solution: Annotated[str, Field(max_length=100)] = ""
    answer: Annotated[str, Field(max_length=10)] = ""


class LockRequest(_In):
    """Hold a time for a customer. `widget` is needed only where several offer the service."""

    service_id: Id
    resource_id: Id = ""
    start: Moment
    end: Moment
    customer: CustomerIn
    reference: Annotated[str, Field(max_length=200)] = ""
    metadata: Annotated[
        dict[Annotated[str, Field(max_length=40)], Annotated[str, Field(max_length=500)]], Field(max_length=20)
    ] = {}
    utm: Annotated[
        dict[Annotated[str, Field(max_length=40)], Annotated[str, Field(max_length=500)]], Field(max_length=20)
    ] = {}
    widget: Name = ""
    proof: ProofIn = ProofIn()


def _by_either_id(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"required": ["bookingId"]}, {"required": ["hapioBookingId"]}]


class Named(_In):
    """Which booking, by our id or Hapio's; `token` where it does not come as `Authorization: Bearer`."""

    model_config = ConfigDict(json_schema_extra=_by_either_id)

    booking_id: Id = ""
    hapio_booking_id: Id = ""
    token: Token = ""

    @model_validator(mode="after")
    def _one_is_named(self) -> Self:
        if not (self.booking_id or self.hapio_booking_id):
            raise ValueError("bookingId or hapioBookingId is required")
        return self


class CheckoutRequest(Named):
    """Where Stripe sends the customer afterwards; both must be on an allowed origin."""

    return_url: Address = ""
    cancel_url: Address = ""


class CancelRequest(Named):
    """`refundRequested` false does without the money. `dryRun` only tells what would come back."""

    reason: Annotated[str, Field(max_length=500)] = ""
    refund_requested: bool = True
    dry_run: bool = False


class RescheduleRequest(Named):
    """The new time; `dryRun` only tells what it would cost."""

    new_start: Moment
    new_end: Moment
    service_id: Id = ""
    resource_id: Id = ""
    dry_run: bool = False


class NoShowRequest(Named):
    """Whether nobody came."""

    no_show: bool = True


class RefundRequest(Named):
    """How much, in the smallest unit; without it, all that is left."""

    amount: Annotated[int, Field(ge=1, le=10**12), BeforeValidator(_whole)] = 0


class PaidAnotherWayRequest(Named):
    """Which refund, by Stripe's id or ours; it may be left out where one refund only has failed or is refused."""

    refund_id: Id = ""


class CorrectEmailRequest(Named):
    """The customer's right address."""

    email: Annotated[str, Field(min_length=3, max_length=254)]


# Answers


class _Answer(_Out):
    success: Literal[True] = True


class ResourceOut(_Out):
    """A person or a room."""

    id: str
    name: str


class ServiceOut(_Out):
    """What can be booked. `duration` in minutes, `price` in the currency's smallest unit."""

    id: str
    name: str
    description: str
    duration: int
    price: int
    currency: str
    widget: str
    resources: list[ResourceOut]


class ServicesAnswer(_Answer):
    """What can be booked."""

    services: list[ServiceOut]


class SlotOut(_Out):
    """A free time, and who is free then."""

    start: AwareDatetime
    end: AwareDatetime
    resource_ids: list[str]


class AvailabilityAnswer(_Answer):
    """Free times. `age` is how many seconds ago the calendar was asked; the lock decides."""

    slots: list[SlotOut]
    age: int
    time_zone: str


class LockAnswer(_Answer):
    """The time is held until `expiresAt`. Keep the token: it pays for, shows, moves and cancels this booking."""

    booking_id: str
    hapio_booking_id: str
    start: AwareDatetime
    end: AwareDatetime
    resource_id: str
    status: BookingStatus
    expires_at: AwareDatetime
    token: str


class CheckoutAnswer(_Answer):
    """Stripe's page to send the customer to. All null where nothing is left to pay."""

    session_id: str | None
    url: str | None
    expires_at: AwareDatetime | None


class SessionAnswer(_Answer):
    """How a payment page stands."""

    session_id: str
    status: SessionStatus
    payment_status: PaymentStatus
    payment_intent_id: str | None
    receipt_url: str | None


class RefundOut(_Out):
    """What goes back, in the smallest unit."""

    status: RefundStatus
    amount: int


class BookingOut(_Out):
    """A booking as it stands. `expiresAt` while it is held or being paid; `price` in the smallest unit."""

    booking_id: str
    hapio_booking_id: str | None
    status: BookingStatus
    payment_status: PaymentStatus
    hapio_status: HapioStatus
    service_id: str
    service_name: str
    resource_id: str
    resource_name: str
    location_name: str
    start: AwareDatetime
    end: AwareDatetime
    time_zone: str
    price: int
    currency: str
    refund: RefundOut
    expires_at: AwareDatetime | None
    undo_until: AwareDatetime | None
    no_show: bool
    reference: str
    metadata: dict[str, str]
    last_updated: AwareDatetime


class BookingAnswer(_Answer, BookingOut):
    """A booking as it stands."""


class CancelAnswer(_Answer):
    """What became, or would become, of the booking and its money."""

    booking_id: str
    status: BookingStatus
    refund_status: RefundStatus
    refund_amount: int
    refund_id: str | None
    currency: str
    undo_until: AwareDatetime | None


class RescheduleAnswer(_Answer):
    """The booking as it is now. `checkoutUrl` where the difference must be paid before it moves; below zero, the
    difference goes back."""

    booking: BookingOut
    price_difference: int
    checkout_url: str | None


class GivenBackAnswer(_Answer):
    """What is on its way back."""

    booking_id: str
    refund_status: RefundStatus
    refund_amount: int
    refund_id: str | None
    currency: str


class DoneAnswer(_Answer):
    """It is done."""


class WebhookAnswer(_Answer):
    """The event is stored, or the hint taken."""

    message: Literal["Webhook received"] = "Webhook received"


class ErrorOut(_Out):
    """`details` says more where there is more: a field's name and its sentence, the nearest free times, and so on."""

    code: ErrorCode
    message: str
    details: dict[str, Any]


class ErrorAnswer(_Out):
    """What every error looks like."""

    success: Literal[False] = False
    error: ErrorOut


def is_uuid(text: str) -> bool:
    """Whether this is a UUID as RFC 9562 writes it."""
    return bool(UUID_TEXT.fullmatch(text)) and bool(UUID(text))
