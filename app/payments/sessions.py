"""The parameters and the idempotency key of a new Checkout Session."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from app.domain import attribution
from app.domain.booking import Booking
from app.domain.money import Money
from app.domain.payment import Payment
from app.domain.terms import Capture

#: Stripe's shortest Session is 30 minutes (Stripe docs, "Manage limited inventory"); five more absorb latency, repeated
#: calls and a clock that runs behind Stripe's. Our own deadline may be earlier: the Session is expired by call then.
SHORTEST_SESSION = timedelta(minutes=35)
#: What Checkout speaks (SessionCreateParams.locale); every other language is left to the browser's choice.
CHECKOUT_LOCALES = (
    " bg cs da de el en en-GB es es-419 et fi fil fr fr-CA hi-IN hr hu id it ja ko lt lv ms mt nb nl pl pt pt-BR"
    " ro ru sk sl sv th tr vi zh zh-HK zh-TW "
)


def session_key(payment: Payment) -> str:
    """The idempotency key of an attempt to pay. It has the payment's id, which is random: after a backup was restored,
    the same booking's attempts are counted from an earlier number again, with other parameters."""
    return f"cs:{payment.booking_id}:{payment.attempt}:{payment.id}"


# Twelve parameters: each is what differs from Session to Session, and Stripe takes them all in one call.
def session_params(
    *,
    booking: Booking,
    price: Money,
    payment_id: str,
    attempt: int,
    capture: Capture,
    expires_at: datetime,
    success_url: str,
    cancel_url: str,
    locale: str,
    product_name: str,
    description: str,
    move_id: str = "",
) -> dict[str, Any]:
    """The parameters of a Checkout Session as plain JSON data: for a booking, or with `move_id` for what its move to
    another time costs more.

    Store them before the call and repeat them to the letter: under one idempotency key Stripe takes no others.
    Metadata and texts are seen by the owner's other software, so nothing personal belongs in them.
    """
    ours = {"booking_id": booking.id, "payment_id": payment_id, "attempt": str(attempt)}
    metadata = {**attribution.metadata(booking.visitor), **ours}
    if move_id:
        metadata["move_id"] = move_id
    product = {"name": product_name} | ({"description": description} if description else {})
    params: dict[str, Any] = {
        "mode": "payment",
        "submit_type": "book",
        "locale": _checkout_locale(locale),
        "client_reference_id": booking.id,
        "metadata": metadata,
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": price.currency,
                    "unit_amount": price.amount,
                    "product_data": product,
                },
            }
        ],
        "payment_intent_data": {
            "capture_method": capture.value,
            "description": product_name[:1000],
            "metadata": metadata,
        },
        # A lock of minutes cannot wait days for a bank debit; cards include Apple Pay and Google Pay.
        "allowed_payment_method_types": ["card", "link"],
        # Otherwise the Dashboard decides, and the customer may be shown another currency than our page showed.
        "adaptive_pricing": {"enabled": False},
        "expires_at": int(expires_at.timestamp()),
        "success_url": success_url,
        "cancel_url": cancel_url,
    }
    # Which addresses Stripe refuses is not documented. One beyond ASCII is left for its page to ask, because a refusal
    # would mean that its owner can never pay.
    if booking.customer and booking.customer.email.isascii():
        params["customer_email"] = booking.customer.email
    return params


def _checkout_locale(language: str) -> str:
    parts = language.replace("_", "-").split("-")
    exact = "-".join([parts[0].lower(), *(part.upper() for part in parts[1:])])
    return next((name for name in (exact, parts[0].lower()) if f" {name} " in CHECKOUT_LOCALES), "auto")
