"""A booking for programs: names in camelCase, times with the place's offset, amounts in smallest units."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.booking.bookings import BookingView
from app.cli.words import standing
from app.domain.booking import Booking
from app.domain.refund import Refund
from app.text.zones import local


def booking_json(booking: Booking, now: datetime) -> dict[str, Any]:
    """A booking, without more of its customer than the name. Amounts in smallest units."""
    zone = booking.time_zone
    return {
        "bookingId": booking.id,
        "widget": booking.widget,
        "status": standing(booking, now),
        "start": local(booking.starts_at, zone).isoformat(),
        "end": local(booking.ends_at, zone).isoformat(),
        "timeZone": zone,
        "serviceId": booking.service_id,
        "service": booking.service_name,
        "resourceId": booking.resource_id,
        "resource": booking.resource_name,
        "location": booking.location_name,
        "name": booking.customer.name if booking.customer else "",
        "price": booking.terms.price.amount,
        "currency": booking.terms.price.currency,
        "moves": booking.moves,
        "canceledAt": _iso(booking.canceled_at, zone),
        "undoUntil": _iso(booking.undo_until, zone),
        "endReason": booking.end_reason,
        "channel": booking.channel,
    }


def view_json(view: BookingView, now: datetime) -> dict[str, Any]:
    booking, customer, zone = view.booking, view.booking.customer, view.booking.time_zone
    return {
        "booking": booking_json(booking, now),
        "customer": {
            "name": customer.name,
            "email": customer.email,
            "phone": customer.phone,
            "notes": customer.notes,
            "answers": dict(customer.answers),
        }
        if customer
        else None,
        "mailProblem": view.mail_problem or None,
        "terms": [
            {"until": _iso(until, zone), "percent": percent}
            for until, percent in booking.terms.steps(booking.starts_at)
        ],
        "left": view.left,
        "payments": [
            {
                "amount": payment.price.amount,
                "currency": payment.price.currency,
                "state": payment.state,
                "method": payment.method,
                "paymentIntentId": payment.payment_intent_id,
                "dispute": payment.dispute,
            }
            for payment in view.payments
        ],
        "refunds": [refund_json(refund) for refund in view.refunds],
        "move": {
            "state": view.move.state,
            "start": _iso(view.move.starts_at, zone),
            "until": _iso(view.move.deadline, zone),
        }
        if view.move
        else None,
        "history": [
            {"at": _iso(entry.at, zone), "what": entry.what, "status": entry.status, "detail": dict(entry.detail)}
            for entry in view.history
        ],
    }


def refund_json(refund: Refund) -> dict[str, Any]:
    return {
        "refundId": refund.stripe_refund_id,
        "amount": refund.amount.amount,
        "currency": refund.amount.currency,
        "reason": refund.reason,
        "status": refund.status,
        "problem": refund.problem or None,
    }


def _iso(moment: datetime | None, zone: str) -> str | None:
    return local(moment, zone).isoformat() if moment else None
