"""What every act works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from app.booking.cursors import Cursors
from app.booking.keyed_lock import KeyedLock
from app.booking.notifications import Notifications
from app.booking.refunds import Refunds
from app.booking.stray_payments import Strays
from app.domain.booking import Booking
from app.domain.payment import Payment, PaymentState
from app.errors import NotFound, StripeMisconfigured
from app.payments.facts import CheckoutFacts
from app.payments.stripe_client import Payments
from app.protection.act_limits import ActLimits
from app.protection.signed_links import Links
from app.scheduling.availability import Availability
from app.scheduling.schedulers import Schedulers
from app.store import Store
from app.telemetry.metrics import Metrics
from app.widgets import Widgets


@dataclass(frozen=True, slots=True)
class Tools:
    """Shared by all acts. `payments` is None if no Stripe key is set: then only free services can be booked. `locks`
    lets one act at a time work on a booking, within this process."""

    store: Store
    schedulers: Schedulers
    payments: Payments | None
    availability: Availability
    widgets: Widgets
    links: Links
    notifications: Notifications
    refunds: Refunds
    strays: Strays
    cursors: Cursors
    act_limits: ActLimits
    metrics: Metrics
    public_url: str
    now: Callable[[], datetime]
    random: Random
    locks: KeyedLock = field(default_factory=KeyedLock)

    @property
    def stripe(self) -> Payments:
        """Stripe's client. Raises StripeMisconfigured if no key is set."""
        if self.payments is None:
            raise StripeMisconfigured("no Stripe key is configured")
        return self.payments

    async def look_at_payment(self, payment: Payment) -> CheckoutFacts:
        """What Stripe says of an attempt to pay that has a Session, after a capture and refunds were taken in of which
        the rows do not know. Raises StripeError."""
        facts = await self.stripe.look_at_session(payment.session_id or "")
        if payment.state is PaymentState.AUTHORIZED and facts.state is PaymentState.CAPTURED:
            # By an earlier attempt whose process died before recording it, or after the copy that was put back.
            await self.store.record_capture(payment.id, state=facts.state, captured=facts.received)
        if facts.refunded:
            await self.refunds.follow_all(facts.payment_intent_id)
        return facts

    def new_id(self, prefix: str) -> str:
        """An id that cannot be guessed, such as `bk_0123456789abcdef0123`."""
        return f"{prefix}_{self.random.getrandbits(80):020x}"

    async def booking(self, booking_id: str) -> Booking:
        """The booking, even if its widget is no longer in the file. Raises NotFound."""
        booking = await self.store.booking(booking_id)
        if booking is None:
            raise NotFound(booking_id)
        return booking
