"""Money back: each refund is a row, written before Stripe is asked, and one row is one key is one refund.

What is refunded or disputed in Stripe's dashboard, past us, is mirrored: it counts when the next refund is drawn, and
a disputed payment is not refunded as well (Stripe docs, "Refunds and disputes": money would go out twice).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

import structlog

from app.domain import (
    DISPUTE_LOST,
    DISPUTE_OVER,
    REFUND_VOID,
    Booking,
    EndReason,
    Funds,
    Money,
    Owed,
    Payment,
    PaymentSeen,
    PaymentState,
    Refund,
)
from app.errors import StripeError, StripeMisconfigured, StripeRefused
from app.letters import Letters
from app.mail import MailKind
from app.payments import DISPUTED_CODES, DisputeFacts, Payments, RefundFacts
from app.store import Store

log = structlog.get_logger()

#: A refund that Stripe calls pending is asked about this often, should its webhook be lost.
REFUND_LOOK = timedelta(hours=1)
#: How often a refund that waits behind a dispute is thought of again; the dispute's end is a webhook, too.
DISPUTE_LOOK = timedelta(days=1)


class Refunds:
    """Owes, pays and follows refunds. `payments` is None where no Stripe key is set."""

    def __init__(
        self,
        *,
        store: Store,
        payments: Payments | None,
        letters: Letters,
        now: Callable[[], datetime],
        random: Random,
    ) -> None:
        self._store = store
        self._payments = payments
        self._letters = letters
        self._now = now
        self._random = random

    def owed(self, booking: Booking, payment: Payment, amount: Money, reason: EndReason) -> Refund:
        """The row of a refund to come, for the transaction that makes it due."""
        now = self._now()
        return Refund(
            id=self._new_id(),
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

    def debt(
        self, booking: Booking, amount: Money, reason: EndReason, *, cause: str, due_at: datetime | None = None
    ) -> Owed:
        """Money to give back, whichever payments it comes from, for the transaction that makes it due. `due_at` None
        is at once."""
        now = self._now()
        return Owed(self._new_id(), booking.id, amount, reason, cause, due_at or now, now)

    async def owe(
        self, booking: Booking, payment: Payment, amount: Money, reason: EndReason, seen: PaymentSeen
    ) -> None:
        """A payment came that could buy nothing: it goes back, and its customer and the owner are told."""
        refund = self.owed(booking, payment, amount, reason)
        kinds = (MailKind.REFUNDED_CUSTOMER, MailKind.REFUNDED_OWNER)
        about = "" if payment.move_id is None else payment.id
        mails = self._letters.owed(booking, *kinds, about=about, detail={"reason": reason, "refund": refund.id})
        if await self._store.add_refund(refund, seen=seen, mails=mails):
            await self.pay_soon(refund)

    async def funds(self, booking_id: str) -> Funds:
        """What came for a booking, and what has gone back."""
        return Funds(await self._store.payments(booking_id), await self._store.refunds(booking_id))

    async def left(self, booking_id: str) -> int:
        """What of a booking's money is still here, in smallest units: no refund can be more."""
        return (await self.funds(booking_id)).left

    async def pay_due(self, booking_id: str) -> None:
        """Pay what is due of a booking now if Stripe answers; else the worker does."""
        for refund in await self._store.refunds(booking_id):
            if refund.status == "requested" and refund.next_try_at and refund.next_try_at <= self._now():
                await self.pay_soon(refund)

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
        payment = await self._store.payment(refund.payment_id)
        if payment and not refund.stripe_refund_id and await self._waits_for_dispute(refund, payment):
            return
        again_at = self._now() + timedelta(seconds=min(60 * 2 ** min(refund.tries, 6), 3600))
        attempt = await self._store.try_refund(refund.id, again_at=again_at)
        if attempt is None:
            return
        if self._payments is None:
            raise StripeMisconfigured("no Stripe key is configured")
        if payment is None or payment.payment_intent_id is None:
            raise StripeRefused("no payment to refund")
        # VOIDED: let go by a try that did not live to say so.
        if payment.state in {PaymentState.AUTHORIZED, PaymentState.VOIDED}:
            facts = await self._payments.void(payment.payment_intent_id)
            await self._store.record_capture(payment.id, state=facts.state, captured=facts.received)
            if facts.state is PaymentState.VOIDED:
                await self._store.record_refund(refund.id, status="succeeded", stripe_refund_id=None, look_at=None)
                return
        try:
            answer = await self._ask(self._payments, attempt, payment.payment_intent_id)
        except StripeRefused as error:
            if error.stripe_code in DISPUTED_CODES:
                await self._store.put_off_refund(refund.id, until=self._now() + DISPUTE_LOOK)
            elif not await self._draw_again(self._payments, refund, payment.payment_intent_id):
                raise
            return
        await self._record(refund, answer)

    async def _ask(self, stripe: Payments, refund: Refund, payment_intent_id: str) -> RefundFacts:
        if refund.stripe_refund_id:
            return await stripe.read_refund(refund.stripe_refund_id)
        return await stripe.refund(
            payment_intent_id,
            amount=refund.amount.amount,
            refund_id=refund.id,
            booking_id=refund.booking_id,
            first_tried_at=refund.first_tried_at if refund.tries > 1 else None,
        )

    async def _draw_again(self, stripe: Payments, refund: Refund, payment_intent_id: str) -> bool:
        """Stripe has refused. Where that is because somebody has given money back in the dashboard, which we may not
        have heard of, what is left goes out instead."""
        await self.follow_all(payment_intent_id)
        cause = f"{refund.cause}+"
        owed = Owed(
            self._new_id(), refund.booking_id, refund.amount, EndReason(refund.reason), cause, self._now(), self._now()
        )
        if not await self._store.draw_again(refund, owed):
            return False
        await self.pay_due(refund.booking_id)
        return True

    async def _record(self, refund: Refund, answer: RefundFacts) -> None:
        """Mirror Stripe's word; a refund that came to nothing is told to both."""
        open_ended = answer.status in {"pending", "requires_action"}
        lost = answer.status in REFUND_VOID and refund.status not in REFUND_VOID
        mails = []
        if lost:
            log.error("refund failed", refund=refund.id, booking=refund.booking_id, reason=answer.failure_reason)
            booking = await self._store.booking(refund.booking_id)
            kinds = (MailKind.REFUND_FAILED_CUSTOMER, MailKind.REFUND_FAILED_OWNER)
            told: dict[str, str | int | bool] = {"amount": refund.amount.amount, "currency": refund.amount.currency}
            mails = self._letters.owed(booking, *kinds, about=refund.id, detail=told) if booking else []
        await self._store.record_refund(
            refund.id,
            status=answer.status,
            stripe_refund_id=answer.id,
            look_at=self._now() + REFUND_LOOK if open_ended else None,
            mails=mails,
        )

    async def _waits_for_dispute(self, refund: Refund, payment: Payment) -> bool:
        """Whether the payment's dispute keeps the refund waiting; one that the customer has won has replaced it."""
        dispute = payment.dispute
        if dispute not in DISPUTE_OVER | {DISPUTE_LOST}:
            await self._store.put_off_refund(refund.id, until=self._now() + DISPUTE_LOOK)
            dispute = await self._dispute_now(payment)
        if dispute == DISPUTE_LOST:
            await self._store.record_refund(refund.id, status="withdrawn", stripe_refund_id=None, look_at=None)
        return dispute not in DISPUTE_OVER

    async def _dispute_now(self, payment: Payment) -> str:
        """How the dispute stands at its source: the webhook of its end may be lost, and it may take months."""
        if self._payments is None or payment.payment_intent_id is None:
            return payment.dispute
        words = [facts.status for facts in await self._payments.disputes_of(payment.payment_intent_id)]
        undecided = [word for word in words if word not in DISPUTE_OVER]
        word = (undecided or words or [payment.dispute])[0]
        await self._store.record_dispute(payment, dispute=word)
        return word

    # -- what is done in Stripe's dashboard ------------------------------------------------------------------

    async def follow_all(self, payment_intent_id: str | None) -> None:
        """Take in every refund of a payment, whoever made it. Raises StripeError."""
        if self._payments and payment_intent_id:
            for facts in await self._payments.refunds_of(payment_intent_id):
                await self.follow_refund(facts)

    async def follow_refund(self, facts: RefundFacts) -> bool:
        """Take in a refund as Stripe has it: one of ours, or one made past us. Whether it was news."""
        payment = await self._store.payment_of_intent(facts.payment_intent_id) if facts.payment_intent_id else None
        if payment is None:
            return False  # not ours: accounts are shared with other software
        for known in await self._store.refunds(payment.booking_id):
            if facts.id == known.stripe_refund_id or facts.refund_row == known.id:
                if facts.status != known.status:
                    await self._record(known, facts)
                return facts.status != known.status
        now = self._now()
        return await self._store.mirror_refund(
            Refund(
                id=facts.id,
                booking_id=payment.booking_id,
                payment_id=payment.id,
                amount=Money(facts.amount, facts.currency),
                reason=EndReason.AT_STRIPE,
                status=facts.status,
                stripe_refund_id=facts.id,
                first_tried_at=None,
                tries=0,
                next_try_at=now + REFUND_LOOK if facts.status in {"pending", "requires_action"} else None,
                created_at=now,
                updated_at=now,
                cause=facts.id,
            )
        )

    async def follow_dispute(self, facts: DisputeFacts) -> bool:
        """Take in a dispute as Stripe has it: the owner is told once, and what waited for it goes on. Whether it was
        news."""
        payment = await self._store.payment_of_intent(facts.payment_intent_id) if facts.payment_intent_id else None
        if payment is None:
            return False
        booking = await self._store.booking(payment.booking_id)
        mails = []
        if booking and not payment.dispute:
            told: dict[str, str | int | bool] = {"dispute": facts.status, "amount": facts.amount}
            mails = self._letters.owed(booking, MailKind.DISPUTED_OWNER, about=facts.id, detail=told)
        news = await self._store.record_dispute(payment, dispute=facts.status, mails=mails)
        if news and facts.status in DISPUTE_OVER | {DISPUTE_LOST}:
            for refund in await self._store.refunds(payment.booking_id):
                if refund.payment_id == payment.id and refund.status == "requested" and refund.next_try_at:
                    await self.pay_soon(refund)
        return news

    def _new_id(self) -> str:
        return f"rf_{self._random.getrandbits(80):020x}"
