"""What comes out of the JSON door. The same models write answers and make the OpenAPI document, so that neither can say
something else."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, ConfigDict, Field, PrivateAttr

from app.api.fields import No, Out, Yes
from app.api.kept_answers import age_of

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
    CALCOM_API_ERROR = "CALCOM_API_ERROR"
    CALENDLY_API_ERROR = "CALENDLY_API_ERROR"
    STRIPE_API_ERROR = "STRIPE_API_ERROR"
    WEBHOOK_VERIFICATION_FAILED = "WEBHOOK_VERIFICATION_FAILED"
    SESSION_EXPIRED = "SESSION_EXPIRED"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    REFUND_FAILED = "REFUND_FAILED"
    RATE_LIMITED = "RATE_LIMITED"
    INTERNAL_ERROR = "INTERNAL_ERROR"


# Answers


class Answered(Out):
    """What was asked for was done."""

    success: Yes = True


class ResourceOut(Out):
    """A person or a room."""

    id: str
    """Hapio's id."""
    name: str
    """The name, as Hapio has it."""


class ServiceOut(Out):
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


class ServicesAnswer(Answered):
    """What can be booked."""

    services: list[ServiceOut]
    """The services, in the owner's order."""


class SlotOut(Out):
    """A free time, and who is free then."""

    start: AwareDatetime
    """When it starts."""
    end: AwareDatetime
    """When it ends."""
    resource_ids: list[str]
    """Who is free then."""


class AvailabilityAnswer(Answered):
    """Free times. `age` is how many seconds ago the calendar was asked; the lock decides."""

    slots: list[SlotOut]
    """The free times, in their order."""
    age: int
    """How many seconds ago the calendar was asked."""
    time_zone: str
    """The time zone of the answer."""
    _as_of: datetime = PrivateAttr()

    @classmethod
    def at(cls, now: datetime, slots: list[SlotOut], *, as_of: datetime, time_zone: str) -> Self:
        """The answer at this moment, from what was read then."""
        answer = cls(slots=slots, age=age_of(as_of, now), time_zone=time_zone)
        answer._as_of = as_of
        return answer

    @property
    def as_of(self) -> datetime:
        """When the calendar was asked."""
        return self._as_of


class LockAnswer(Answered):
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


class CheckoutAnswer(Answered):
    """Stripe's page to send the customer to. All null where nothing is left to pay."""

    session_id: str | None
    """Stripe's id of the payment page."""
    url: str | None
    """The payment page's address."""
    expires_at: AwareDatetime | None
    """Until when one can pay there."""


class SessionAnswer(Answered):
    """The state of a payment page."""

    session_id: str
    """Stripe's id of the payment page."""
    status: SessionStatus
    payment_status: PaymentStatus
    payment_intent_id: str | None
    """Stripe's id of the payment, once there is one."""
    receipt_url: str | None
    """Stripe's receipt, once it is paid."""


class RefundOut(Out):
    """What goes back, in the smallest unit."""

    status: RefundStatus
    amount: int
    """In the currency's smallest unit."""


class OfferedOut(Out):
    """A time that is held for a customer who paid too late."""

    time_id: str
    """What `/api/bookings/choose` asks for."""
    start: AwareDatetime
    """When it starts, in the place's time zone."""
    end: AwareDatetime
    """When it ends."""
    resource_id: str
    """Hapio's id of the person or room."""
    resource_name: str
    """The person's or room's name."""
    held_until: AwareDatetime
    """Until when it can be chosen."""


class BookingOut(Out):
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
    offered: list[OfferedOut]
    """The times to choose from, where the booking's own was gone when its payment came."""
    no_show: bool
    """Whether the customer missed the visit."""
    reference: str
    """Your own number for it."""
    metadata: dict[str, str]
    """Your own notes."""
    last_updated: AwareDatetime
    """When it last changed."""


class BookingAnswer(Answered, BookingOut):
    """A booking as it is now."""


class CancelAnswer(Answered):
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


class RescheduleAnswer(Answered):
    """The booking as it is now. `checkoutUrl` where the difference must be paid before it moves; below zero, the
    difference goes back."""

    booking: BookingOut
    price_difference: int
    """What must be paid, or below zero what goes back, in the currency's smallest unit."""
    checkout_url: str | None
    """Stripe's page for the difference."""


class GivenBackAnswer(Answered):
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


class ReceiptAnswer(Answered):
    """Whether the receipt is one of ours. `receipt` says what it confirms, and is there for a genuine one only."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    success: Yes
    valid: bool
    """Whether we signed it."""
    receipt: dict[str, Any] = Field(default_factory=dict)
    """What it confirms: `booking`, `widget`, `service`, `start`, `price`, `currency` and `confirmedAt`."""


class DoneAnswer(Answered):
    """It is done."""


class WebhookAnswer(Answered):
    """The event is stored, or the hint taken."""

    message: Literal["Webhook received"] = "Webhook received"
    """Always the same."""


# Errors


class ErrorOut(Out):
    """`details` says more where there is more: a field's name and its sentence, the nearest free times, and so on."""

    code: ErrorCode
    message: str
    """A sentence in English."""
    details: dict[str, Any]
    """More where there is more; else empty."""


class ErrorAnswer(Out):
    """What every error looks like."""

    success: No = False
    error: ErrorOut
