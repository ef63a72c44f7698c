"""Stripe refuses to open a payment page: what the visitor and the owner are told."""

from __future__ import annotations

import structlog

from app.booking.notifications import Notifications
from app.domain.booking import Booking, Status, Trouble
from app.domain.outbox import OutboxMail
from app.errors import AddressRefused, HoldfastError, InvalidDetails, PaymentRefused, StripeError
from app.msgid import N_

log = structlog.get_logger()

BAD_EMAIL = N_("The payment page does not accept this email address. Please check it.")


def email_refused(error: StripeError) -> bool:
    """Whether Stripe rejects the customer's address (Stripe docs, "Error codes", email_invalid)."""
    return error.stripe_code == "email_invalid" or error.param == "customer_email"


def refuse_payment(
    notifications: Notifications, booking: Booking, error: StripeError
) -> tuple[HoldfastError, list[OutboxMail]]:
    """The error to raise for a Session that Stripe refused to make, and the owner's mail about it.

    The visitor can correct an address as long as the booking's form is open; everything else is for the owner to solve,
    and asking again would not help.
    """
    if email_refused(error):
        if booking.status is not Status.CONFIRMED:
            return InvalidDetails({"email": BAD_EMAIL}), []
        return _as(AddressRefused, error), []
    code = error.stripe_code or "permission"
    log.error("payment refused", booking=booking.id, code=code, param=error.param, request_id=error.request_id)
    return _as(PaymentRefused, error), notifications.trouble(
        booking, Trouble.PAYMENT_REFUSED, about=code, detail={"code": code}
    )


def _as(kind: type[PaymentRefused], error: StripeError) -> PaymentRefused:
    return kind(str(error), stripe_code=error.stripe_code, param=error.param, request_id=error.request_id)
