"""Events for the page that embeds us: a word for what happened, which booking, which service. Never personal data.

The screens carry it in `data-event`, so that the frame only passes on what the server has said.
"""

from __future__ import annotations

from typing import Any

from app.domain.booking import Booking, Status
from app.protection.signed_links import Links

#: Raised when a field changes its meaning; hosts' scripts read these for years.
VERSION = 1


def booking_facts(booking: Booking) -> dict[str, Any]:
    """The booking as its host may know it."""
    return {
        "booking": booking.id,
        "service": {"id": booking.service_id, "name": booking.service_name},
        "start": booking.starts_at.isoformat(),
        "price": {"amount": booking.terms.price.amount, "currency": booking.terms.price.currency},
    }


def held(booking: Booking) -> dict[str, Any]:
    """The time is locked for this visitor."""
    return {"type": "held", **booking_facts(booking)}


def payment(booking: Booking) -> dict[str, Any]:
    """The visitor goes to pay; told as the form is sent."""
    return {"type": "payment", **booking_facts(booking)}


def canceled(booking: Booking, reason: str) -> dict[str, Any]:
    """The time is not theirs any more. `reason` is an EndReason."""
    return {"type": "canceled", "reason": reason, **booking_facts(booking)}


def outcome(booking: Booking, links: Links) -> dict[str, Any] | None:
    """How the booking ended, with the receipt if it is confirmed; None while that is open."""
    match booking.status:
        case Status.CONFIRMED:
            return {"type": "confirmed", **booking_facts(booking), "receipt": links.receipt(receipt_facts(booking))}
        case Status.EXPIRED | Status.CANCELED:
            return canceled(booking, booking.end_reason or "")
        case _:
            return None


def receipt_facts(booking: Booking) -> dict[str, Any]:
    """What a receipt says."""
    return {
        "version": VERSION,
        "widget": booking.widget,
        **booking_facts(booking),
        "confirmedAt": booking.confirmed_at.isoformat() if booking.confirmed_at else None,
    }


def problem(code: str) -> dict[str, Any]:
    """Something did not work; the visitor reads a sentence about it. `code` is an error's."""
    return {"type": "error", "code": code}
