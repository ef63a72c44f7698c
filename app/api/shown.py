"""A booking, its money and what goes back, in JSON's words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from app.api import answers
from app.api.door import Call
from app.booking.bookings import BookingView
from app.booking.take_payment import UNPAID
from app.domain.booking import Booking, Status
from app.domain.history import HistoryEntry, HistoryWord
from app.domain.payment import Payment, PaymentState
from app.domain.refund import REFUND_DONE, REFUND_VOID, Refund


async def shown(call: Call, booking: Booking) -> answers.BookingAnswer:
    """The answer of an act: the booking as it stands after it."""
    view = await call.parts.bookings.view(booking.id)
    return answers.BookingAnswer(**booking_out(view, call).model_dump())


def booking_out(view: BookingView, call: Call) -> answers.BookingOut:
    """A booking with its money, in the place's time."""
    booking, now = view.spoken().booking, call.parts.now()
    zone = ZoneInfo(booking.time_zone)
    status, amount, _ = going_back(view.refunds)
    undo = booking.undo_until if booking.status is Status.CANCELED else None
    return answers.BookingOut(
        booking_id=booking.id,
        hapio_booking_id=booking.reservation.reference,
        status=booking_status(booking, view.history, now),
        payment_status=payment_status(view.payments, view.refunds),
        hapio_status=answers.HapioStatus.ACTIVE if in_scheduler(booking) else answers.HapioStatus.CANCELLED,
        service_id=booking.service_id,
        service_name=booking.service_name,
        resource_id=booking.resource_id,
        resource_name=booking.resource_name,
        location_name=booking.location_name,
        start=booking.starts_at.astimezone(zone),
        end=booking.ends_at.astimezone(zone),
        time_zone=booking.time_zone,
        price=booking.terms.price.amount,
        currency=booking.terms.price.currency,
        refund=answers.RefundOut(status=status, amount=amount),
        expires_at=booking.deadline if booking.status in UNPAID else None,
        undo_until=undo if undo and undo > now else None,
        offered=[
            answers.OfferedOut(
                time_id=time.id,
                start=time.starts_at.astimezone(zone),
                end=time.ends_at.astimezone(zone),
                resource_id=time.resource_id,
                resource_name=time.resource_name,
                held_until=time.offered_until,
            )
            for time in view.offered
            if time.offered_until
        ],
        no_show=booking.no_show,
        reference=booking.visitor.reference,
        metadata=dict(booking.visitor.metadata),
        last_updated=booking.updated_at,
    )


def in_scheduler(booking: Booking) -> bool:
    """Whether the scheduler has the time for this booking."""
    return booking.reservation.reference is not None and not booking.reservation.canceled


def booking_status(booking: Booking, history: Sequence[HistoryEntry], now: datetime) -> answers.BookingStatus:
    """How it stands. Its own `history` tells whether it was moved."""
    if booking.over(now):
        return answers.BookingStatus.COMPLETED
    match booking.status:
        case Status.CONFIRMED:
            moved = any(entry.what is HistoryWord.MOVED for entry in history)
            return answers.BookingStatus.RESCHEDULED if moved else answers.BookingStatus.CONFIRMED
        case Status.CANCELED | Status.EXPIRED:
            return answers.BookingStatus.CANCELLED
        case _:
            return answers.BookingStatus.PENDING


def payment_status(payments: Sequence[Payment], refunds: Sequence[Refund]) -> answers.PaymentStatus:
    """What came and what of it has gone back, not what is on its way."""
    captured = sum(payment.captured for payment in payments if payment.state is PaymentState.CAPTURED)
    back = sum(refund.amount.amount for refund in refunds if refund.status in REFUND_DONE)
    states = {payment.state for payment in payments}
    if captured:
        if back >= captured:
            return answers.PaymentStatus.REFUNDED
        return answers.PaymentStatus.PARTIALLY_REFUNDED if back else answers.PaymentStatus.PAID
    if states & {PaymentState.PROCESSING, PaymentState.AUTHORIZED}:
        return answers.PaymentStatus.PENDING
    return answers.PaymentStatus.FAILED if PaymentState.FAILED in states else answers.PaymentStatus.UNPAID


def going_back(refunds: Sequence[Refund]) -> tuple[answers.RefundStatus, int, str | None]:
    """(how far, how much, Stripe's id of the newest) of what goes back."""
    live = [refund for refund in refunds if refund.status not in REFUND_VOID]
    total = sum(refund.amount.amount for refund in live)
    if not total:
        return answers.RefundStatus.NOT_APPLICABLE, 0, None
    done = all(refund.status in REFUND_DONE for refund in live)
    refund_id = next((refund.stripe_refund_id for refund in reversed(live) if refund.stripe_refund_id), None)
    return answers.RefundStatus.COMPLETED if done else answers.RefundStatus.PENDING, total, refund_id
