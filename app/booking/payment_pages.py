"""Stripe's payment pages: an attempt to pay for a booking, or for the difference of a move, and its page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from app.booking.tools import Tools
from app.domain.booking import Booking
from app.domain.money import Money
from app.domain.payment import Payment, PaymentState
from app.domain.reservation import Reservation
from app.domain.terms import Capture
from app.payments.sessions import SHORTEST_SESSION, session_key, session_params
from app.text import formats, zones
from app.text.languages import comma

#: When a page whose webhook may be lost is read for the first time.
_FIRST_LOOK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be paid: `price` for the time of `reservation`. `number` counts the booking's attempts from 1;
    `move_id` is the move whose difference it is. `purpose` is what the way back is signed for, and `page` where it
    leads ({token} in it) unless `success_url` and `cancel_url` say otherwise."""

    booking: Booking
    reservation: Reservation
    price: Money
    number: int
    capture: Capture
    purpose: Literal["booking", "move"]
    page: str
    success_url: str = ""
    cancel_url: str = ""
    move_id: str | None = None


class PaymentPages:
    """Records attempts to pay, and opens their pages."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def attempt(self, order: Order) -> Payment:
        """The row of an attempt, with every parameter of its Session: written before Stripe is asked."""
        tools, booking, language = self._tools, order.booking, order.booking.visitor.language
        now = tools.now().replace(microsecond=0)  # Stripe counts whole seconds
        expires_at = now + max(tools.widgets.of(booking).payment_time, SHORTEST_SESSION)
        token = tools.links.return_token(booking.id, order.purpose, closes_at=expires_at)
        page = tools.public_url + order.page.format(token=token)
        payment_id = tools.new_id("pay")
        return Payment(
            id=payment_id,
            booking_id=booking.id,
            attempt=order.number,
            state=PaymentState.OPEN,
            price=order.price,
            capture=order.capture,
            params=session_params(
                booking=booking,
                price=order.price,
                payment_id=payment_id,
                attempt=order.number,
                move_id=order.move_id or "",
                capture=order.capture,
                expires_at=expires_at,
                success_url=order.success_url or f"{page}/return",
                cancel_url=order.cancel_url or f"{page}/back",
                locale=language,
                product_name=str(tools.widgets.of(booking).spoken_claim(order.reservation, language).service_name),
                description=_what(order.reservation, booking, now),
            ),
            session_id=None,
            session_url=None,
            payment_intent_id=None,
            expires_at=expires_at,
            captured=0,
            looks=0,
            created_at=now,
            move_id=order.move_id,
        )

    async def open(self, payment: Payment) -> str | None:
        """The address of the attempt's page; None where what it was for ended while Stripe was answering: nobody was
        given that page, so it is closed again. Raises StripeError."""
        tools = self._tools
        facts = await tools.stripe.create_session(payment.params, idempotency_key=session_key(payment))
        look_at = tools.now() + _FIRST_LOOK
        if facts.url and await tools.store.record_session(payment, session_id=facts.id, url=facts.url, look_at=look_at):
            return facts.url
        await tools.stripe.expire_session(facts.id)
        return None


def _what(reservation: Reservation, booking: Booking, now: datetime) -> str:
    """When, with whom and where, in the time zone and language in which the customer chose."""
    zone = zones.valid_zone(booking.visitor.time_zone) or reservation.time_zone
    language = booking.visitor.language
    today = zones.local(now, zone).date()
    day = formats.format_day(reservation.starts_at, zone, language, "medium", today=today)
    span = formats.format_span(reservation.starts_at, reservation.ends_at, zone, language)
    return comma(language).join((day, span, reservation.resource_name, reservation.location_name))
