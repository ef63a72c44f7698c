"""Money back: each refund is a row, written before Stripe is asked, and one row is one key is one refund."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

import structlog

from app.domain import Booking, EndReason, Money, Payment, PaymentState, Refund
from app.errors import StripeError, StripeMisconfigured, StripeRefused
from app.payments import Payments
from app.store import Store

log = structlog.get_logger()

#: A refund that Stripe calls pending is asked about this often, should its webhook be lost.
REFUND_LOOK = timedelta(hours=1)


class Refunds:
    """Owes, pays and follows refunds. `payments` is None where no Stripe key is set."""

    def __init__(self, *, store: Store, payments: Payments | None, now: Callable[[], datetime], random: Random) -> None:
        self._store = store
        self._payments = payments
        self._now = now
        self._random = random

    def owed(self, booking: Booking, payment: Payment, amount: Money, reason: EndReason) -> Refund:
        """The row of a refund to come, for the transaction that makes it due."""
        now = self._now()
        return Refund(
            id=f"rf_{self._random.getrandbits(80):020x}",
            booking_id=booking.id,
            payment_id=payment.id,
            amount=amount,
            reason=reason,
            status="requested",
            stripe_refund_id=None,
            first_tried_at=None,
            tries=0,
            next_try_at=now,
            created_at=now,
            updated_at=now,
        )

    async def pay_soon(self, refund: Refund) -> None:
        """Pay now if Stripe answers; else the worker does."""
        try:
            await self.pay(refund)
        except StripeError as error:
            log.warning("refund put off", refund=refund.id, error=type(error).__name__)

    async def pay(self, refund: Refund) -> None:
        """Ask Stripe for what we owe, or how it stands. Safe to repeat: one row is one key is one refund.

        Money that is only held is let go instead. Raises StripeError.
        """
        again_at = self._now() + timedelta(seconds=min(60 * 2 ** min(refund.tries, 6), 3600))
        attempt = await self._store.try_refund(refund.id, again_at=again_at)
        if self._payments is None:
            raise StripeMisconfigured("no Stripe key is configured")
        payment = await self._store.payment(refund.payment_id)
        if payment is None or payment.payment_intent_id is None:
            raise StripeRefused("no payment to refund")
        # VOIDED: let go by a try that did not live to say so.
        if payment.state in {PaymentState.AUTHORIZED, PaymentState.VOIDED}:
            facts = await self._payments.void(payment.payment_intent_id)
            await self._store.record_capture(payment.id, state=facts.state, captured=facts.received)
            if facts.state is PaymentState.VOIDED:
                await self._store.record_refund(refund.id, status="succeeded", stripe_refund_id=None, look_at=None)
                return
        if refund.stripe_refund_id:
            answer = await self._payments.read_refund(refund.stripe_refund_id)
        else:
            answer = await self._payments.refund(
                payment.payment_intent_id,
                amount=refund.amount.amount,
                refund_id=refund.id,
                booking_id=refund.booking_id,
                first_tried_at=attempt.first_tried_at if attempt and attempt.tries > 1 else None,
            )
        open_ended = answer.status in {"pending", "requires_action"}
        await self._store.record_refund(
            refund.id,
            status=answer.status,
            stripe_refund_id=answer.id,
            look_at=self._now() + REFUND_LOOK if open_ended else None,
        )
        if answer.status in {"failed", "canceled"}:
            log.error("refund failed", refund=refund.id, booking=refund.booking_id, reason=answer.failure_reason)
