"""What comes out of the routes that go by other programs' names: our facts in the words that those programs know."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime

from app.api.answers import Answered, RefundStatus, SessionStatus
from app.api.fields import Out


class NextAction(StrEnum):
    """What comes next. AWAIT_WEBHOOK: nothing is left to do. REDIRECT_TO_PAYMENT: send the client to `paymentUrl`."""

    AWAIT_WEBHOOK = "AWAIT_WEBHOOK"
    REDIRECT_TO_PAYMENT = "REDIRECT_TO_PAYMENT"


class FlowBookingStatus(StrEnum):
    """The state of a booking. PENDING: not paid, or not confirmed yet."""

    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    CANCELLED = "CANCELLED"
    RESCHEDULED = "RESCHEDULED"


class FlowPaymentStatus(StrEnum):
    """The state of its money. UNPAID also where nothing is due; REFUNDED, of a cancelled booking, also where a part
    went back."""

    UNPAID = "UNPAID"
    PENDING = "PENDING"
    PAID = "PAID"
    FAILED = "FAILED"
    REFUNDED = "REFUNDED"


class PagePaymentStatus(StrEnum):
    """What was paid on a payment page. UNPAID also while money is held, and not taken."""

    UNPAID = "UNPAID"
    PAID = "PAID"
    FAILED = "FAILED"


class CalendlyStatus(StrEnum):
    """Whether the scheduler has the time for this booking."""

    ACTIVE = "ACTIVE"
    CANCELLED = "CANCELLED"


class CancellationStatus(StrEnum):
    """CANCELLATION_PENDING: cancelled here, and the scheduler has not answered yet."""

    CANCELLATION_PENDING = "CANCELLATION_PENDING"
    CANCELLED = "CANCELLED"


class SessionTypeOut(Out):
    """What is booked."""

    id: str
    """The service's id."""
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


class InitiateBookingAnswer(Answered):
    """A booking has begun. Nothing is held."""

    booking_flow_id: str
    """Keep it as secret as a password: it opens what is booked with it."""
    calendly_url: str
    """The page to choose a time on: the scheduler's own, or the widget's where the scheduler has none."""
    session_type: SessionTypeOut
    expires_at: AwareDatetime
    """Until when a time can be chosen."""


class StoreEventAnswer(Answered):
    """The event is ours to keep. Not paid by `expiresAt`, it is cancelled at the scheduler."""

    booking_id: str
    """Our id of the booking."""
    next_action: NextAction
    payment_url: str | None
    """The page to pay on, ours; null where nothing is left to pay."""
    expires_at: AwareDatetime | None
    """Until when it can be paid; null where nothing is left to pay."""


class BookingStatusAnswer(Answered):
    """A booking as it is now."""

    booking_id: str
    """Our id of the booking."""
    status: FlowBookingStatus
    payment_status: FlowPaymentStatus
    calendly_status: CalendlyStatus
    scheduled_time: AwareDatetime
    """When it starts."""
    session_type: SessionTypeOut
    last_updated: AwareDatetime
    """When it last changed."""


class CreateCheckoutSessionAnswer(Answered):
    """Stripe's page to send the client to. All null where nothing is left to pay."""

    session_id: str | None
    """Stripe's id of the payment page."""
    url: str | None
    """The payment page's address."""
    expires_at: AwareDatetime | None
    """Until when one can pay there."""


class SessionStatusAnswer(Answered):
    """The state of a payment page."""

    session_id: str
    """Stripe's id of the payment page."""
    status: SessionStatus
    payment_status: PagePaymentStatus
    payment_intent_id: str | None
    """Stripe's id of the payment, once there is one."""
    receipt_url: str | None
    """Stripe's receipt, once it is paid."""


class CancelBookingAnswer(Answered):
    """What became of the booking and its money."""

    booking_id: str
    """Our id of the booking."""
    status: CancellationStatus
    refund_status: RefundStatus
    refund_id: str | None
    """Stripe's id of the newest refund, once it is made."""


class ConfirmedBookingOut(Out):
    """The booking."""

    id: str
    """Our id of the booking."""
    calendly_event_id: str | None
    """The scheduler's id, once it is confirmed there."""
    confirmation_url: str
    """The booking's own page, as secret as a password."""
    start_time: AwareDatetime
    """When it starts."""
    end_time: AwareDatetime
    """When it ends."""


class ConfirmBookingAnswer(Answered):
    """The time is held, and confirmed at once where nothing is due."""

    booking: ConfirmedBookingOut
    payment_required: bool
    """Whether it must be paid before it is confirmed."""
    checkout_url: str | None
    """Stripe's page to send the client to; null where nothing is left to pay."""
