"""Refunds: each refund is one row, written before Stripe is asked.

Refunds and disputes in Stripe's dashboard are copied here. They count when the next refund is calculated, and a
disputed payment is not refunded as well (Stripe docs, "Refunds and disputes": money would go out twice).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

import structlog

from app.booking.notifications import Notifications
from app.domain.booking import Actor, Booking, EndReason, Trouble
from app.domain.money import Money
from app.domain.outbox import OutboxMail
from app.domain.payment import DISPUTE_LOST, DISPUTE_OVER, Payment, PaymentSeen, PaymentState, undecided
from app.domain.refund import (
    BALANCE_TOO_LOW,
    IN_PERSON,
    NO_ANSWER,
    PENDING_PATIENCE,
    PENDING_UNREAD_PATIENCE,
    REFUND_AT_STRIPE,
    REFUND_PATIENCE,
    REFUND_VOID,
    Funds,
    Owed,
    Refund,
    RefundStatus,
    payable_another_way,
    refund_status,
)
from app.errors import BookingConflict, NotFound, StripeError, StripeMisconfigured, StripeRefused
from app.mail import MailKind
from app.payments.facts import CheckoutFacts, DisputeFacts, RefundFacts
from app.payments.stripe_client import DISPUTED_CODES, MISSING_CODE, Payments
from app.store import Store

log = structlog.get_logger()

#: A pending refund is read from Stripe this often, in case its webhook is lost.
REFUND_LOOK = timedelta(hours=1)
#: How often we check a refund that waits for a dispute to end; a webhook reports the end, too.
DISPUTE_LOOK = timedelta(days=1)


class Refunds:
    """Makes refunds due, pays them and follows them. `payments` is None if no Stripe key is set."""

    def __init__(
        self,
        *,
        store: Store,
        payments: Payments | None,
        notifications: Notifications,
        now: Callable[[], datetime],
        random: Random,
    ) -> None:
        self._store = store
        self._payments = payments
        self._notifications = notifications
        self._now = now
        self._random = random

    def new_refund(self, booking: Booking, payment: Payment, amount: Money, reason: EndReason) -> Refund:
        """The row of a new refund, for the transaction that makes it due."""
        now = self._now()
        return Refund(
            id=self._new_id(),
            booking_id=booking.id,
            payment_id=payment.id,
            amount=amount,
            reason=reason,
            status=RefundStatus.REQUESTED,
            stripe_refund_id=None,
            first_tried_at=None,
            tries=0,
            next_try_at=now,
            created_at=now,
            updated_at=now,
            due_at=now,
        )

    def amount_due(
        self, booking: Booking, amount: Money, reason: EndReason, *, cause: str, due_at: datetime | None = None
    ) -> Owed:
        """An amount to refund, from any of the booking's payments, for the transaction that makes it due. `due_at` None
        means at once."""
        now = self._now()
        return Owed(self._new_id(), booking.id, amount, reason, cause, due_at or now, now)

    def due_on_cancellation(
        self, after: Booking, amount: Money, by: Actor, *, due_at: datetime | None = None
    ) -> Owed | None:
        """What a cancellation refunds; None for nothing. `after` is the booking as cancelled: its revision tells the
        refunds of two cancellations apart."""
        if not amount:
            return None
        return self.amount_due(after, amount, by.end_reason, cause=str(after.revision), due_at=due_at)

    async def owe(
        self, booking: Booking, payment: Payment, amount: Money, reason: EndReason, seen: PaymentSeen
    ) -> None:
        """A payment arrived for which there is no booking: it is refunded, and the customer and the owner are told."""
        refund = self.new_refund(booking, payment, amount, reason)
        kinds = (MailKind.REFUNDED_CUSTOMER, MailKind.REFUNDED_OWNER)
        detail = {"reason": reason, "refund": refund.id}
        mails = self._notifications.mails_due(booking, *kinds, about=payment.id, detail=detail)
        if await self._store.add_refund(refund, seen=seen, mails=mails):
            await self.pay_soon(refund)

    async def refund_mismatch(
        self, booking: Booking, payment: Payment, facts: CheckoutFacts, seen: PaymentSeen
    ) -> None:
        """Refund whatever came or is held of a payment that is not the one that was ordered."""
        amount = Money(max(facts.received, facts.capturable), facts.currency)
        if amount:
            await self.owe(booking, payment, amount, EndReason.PAYMENT_MISMATCH, seen)
        else:
            await self._store.record_payment(seen)

    async def funds(self, booking_id: str) -> Funds:
        """The payments for a booking, and their refunds."""
        return Funds(await self._store.payments(booking_id), await self._store.refunds(booking_id))

    async def money_left(self, booking_id: str) -> int:
        """How much of a booking's payments has not been refunded, in smallest units: no refund can be more."""
        return (await self.funds(booking_id)).left

    async def paid_another_way(self, booking_id: str, refund_id: str = "") -> Refund:
        """Note that the owner has paid a refund without Stripe, one that failed or is refused there, or of money that
        was taken in person: it counts as refunded and is not tried again. A second call returns what the first one did.
        `refund_id` is ours or Stripe's; it may be left out where one refund only needs this.

        Raises NotFound, BookingConflict where the refund needs no such payment (any more), and StripeError where Stripe
        does not answer whether it made the refund after all.
        """
        refund = await self._refund(booking_id, refund_id or await self._only_payable(booking_id))
        if refund.status == RefundStatus.PAID_ANOTHER_WAY:
            return refund
        payment = await self._store.payment(refund.payment_id)
        if refund.status == RefundStatus.REQUESTED and payment and payment.payment_intent_id:
            await self._look_for(refund, payment.payment_intent_id)
            refund = await self._refund(booking_id, refund.id)
        payments, refunds = await self._store.payments(booking_id), await self._store.refunds(booking_id)
        amount = payable_another_way(payments, refunds).get(refund.id)
        if amount is None or not await self._store.pay_another_way(refund, amount):
            raise BookingConflict("this refund needs no other way")
        await self._never_captured(payment)
        return await self._refund(booking_id, refund.id)

    async def _never_captured(self, payment: Payment | None) -> None:
        """Money that is only held lapses by itself; nobody looks at it again."""
        if payment and payment.state is PaymentState.AUTHORIZED:
            await self._store.record_capture(payment.id, state=PaymentState.VOIDED, captured=0)

    async def _only_payable(self, booking_id: str) -> str:
        payable = payable_another_way(await self._store.payments(booking_id), await self._store.refunds(booking_id))
        if len(payable) != 1:
            raise BookingConflict(f"{len(payable)} refunds need another way")
        return next(iter(payable))

    async def _refund(self, booking_id: str, refund_id: str) -> Refund:
        for refund in await self._store.refunds(booking_id):
            if refund_id in {refund.id, refund.stripe_refund_id}:
                return refund
        raise NotFound(refund_id)

    async def _look_for(self, refund: Refund, payment_intent_id: str) -> None:
        """Take in a refund that Stripe has made although we got no answer. A key without the permission cannot have
        made one."""
        if self._payments is None:
            return
        try:
            facts = await self._payments.find_refund(payment_intent_id, refund_id=refund.id)
        except (StripeRefused, StripeMisconfigured):
            return
        if facts:
            await self._record(refund, facts)

    async def pay_due(self, booking_id: str) -> None:
        """Pay a booking's due refunds now if Stripe answers; else the worker does it."""
        for refund in await self._store.refunds(booking_id):
            if refund.status == RefundStatus.REQUESTED and refund.next_try_at and refund.next_try_at <= self._now():
                await self.pay_soon(refund)

    async def pay_soon(self, refund: Refund) -> None:
        """Pay now if Stripe answers; else the worker does."""
        try:
            await self.pay(refund)
        except StripeError as error:
            log.warning("refund put off", refund=refund.id, error=type(error).__name__)

    async def pay(self, refund: Refund) -> None:
        """Ask Stripe for what we owe, or how it stands. Safe to repeat: one row is one refund.

        Money that is only held is let go instead. Raises StripeError. A refusal is reported to the owner at once, and
        so is a refund that has not been answered for `REFUND_PATIENCE`; both are tried again.
        """
        try:
            await self._pay(refund)
        except StripeError as error:
            await self._hold_up(refund, error)
            raise

    async def _pay(self, refund: Refund) -> None:
        payment = await self._store.payment(refund.payment_id)
        if payment and payment.in_person:
            await self._store.wait_for_owner(refund.id, problem=IN_PERSON, mails=await self._in_person_mails(refund))
            return
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
        try:
            # VOIDED: let go by an attempt whose process died before recording it.
            if payment.state in {PaymentState.AUTHORIZED, PaymentState.VOIDED}:
                facts = await self._payments.void(payment.payment_intent_id)
                await self._store.record_capture(payment.id, state=facts.state, captured=facts.received)
                if facts.state is PaymentState.VOIDED:
                    await self._store.record_refund(
                        refund.id, status=RefundStatus.SUCCEEDED, stripe_refund_id=None, look_at=None
                    )
                    return
            answer = await self._ask(self._payments, attempt, payment.payment_intent_id)
        except StripeRefused as error:
            if refund.stripe_refund_id:
                raise
            await self._store.count_refusal(refund.id)
            if error.stripe_code in DISPUTED_CODES:
                await self._store.put_off_refund(refund.id, until=self._now() + DISPUTE_LOOK)
                for dispute in await self._payments.disputes_of(payment.payment_intent_id):
                    await self.follow_dispute(dispute)
            elif error.stripe_code == MISSING_CODE:
                await self._let_go_or_fail(refund, payment, error)
            elif not await self._draw_again(refund, payment.payment_intent_id):
                raise
            return
        await self._record(refund, answer)

    async def _hold_up(self, refund: Refund, error: StripeError) -> None:
        """Record and report why a refund does not go out: at once if Stripe refuses it, after a while if it does not
        answer."""
        if error.retry:
            since, patience = refund.due_at, REFUND_PATIENCE
            if refund.stripe_refund_id:
                since, patience = refund.updated_at, PENDING_UNREAD_PATIENCE
            if self._now() - since < patience:
                return
        problem = NO_ANSWER if error.retry else error.stripe_code or str(error)
        if refund.problem != problem:
            log.error(
                "refund not answered" if error.retry else "refund refused",
                refund=refund.id,
                booking=refund.booking_id,
                reason=problem,
                request_id=error.request_id,
            )
        await self._store.hold_up_refund(refund.id, problem=problem, mails=await self._trouble(refund, problem))

    async def _trouble(self, refund: Refund, problem: str) -> list[OutboxMail]:
        booking = await self._store.booking(refund.booking_id)
        if booking is None:
            return []
        told: dict[str, str | int | bool] = {**_amount(refund), "code": problem}
        return self._notifications.trouble(booking, Trouble.REFUND_REFUSED, about=refund.id, detail=told)

    async def _in_person_mails(self, refund: Refund) -> list[OutboxMail]:
        booking = await self._store.booking(refund.booking_id)
        if booking is None:
            return []
        told: dict[str, str | int | bool] = {**_amount(refund)}
        return self._notifications.trouble(booking, Trouble.REFUND_IN_PERSON, about=refund.id, detail=told)

    async def _let_go_or_fail(self, refund: Refund, payment: Payment, error: StripeRefused) -> None:
        """Stripe does not know the payment, since it was made with another account's key: it can never make this
        refund. Of money that was only held, nothing is owed."""
        if payment.state is not PaymentState.CAPTURED:
            log.error("held money cannot be let go", booking=refund.booking_id, reason=error.stripe_code)
            await self._never_captured(payment)
            await self._store.record_refund(
                refund.id, status=RefundStatus.SUCCEEDED, stripe_refund_id=None, look_at=None
            )
            return
        log.error("refund failed", refund=refund.id, booking=refund.booking_id, reason=error.stripe_code)
        await self._store.record_refund(
            refund.id,
            status=RefundStatus.FAILED,
            stripe_refund_id=None,
            look_at=None,
            mails=await self._failed_mails(refund, code=MISSING_CODE),
        )

    async def _failed_mails(self, refund: Refund, **more: str) -> list[OutboxMail]:
        booking, payment = await self._store.booking(refund.booking_id), await self._store.payment(refund.payment_id)
        if payment and payment.returned_by_bank:
            return []
        kinds = (MailKind.REFUND_FAILED_CUSTOMER, MailKind.REFUND_FAILED_OWNER)
        told: dict[str, str | int | bool] = {**_amount(refund), **more}
        return self._notifications.mails_due(booking, *kinds, about=refund.id, detail=told) if booking else []

    async def _ask(self, stripe: Payments, refund: Refund, payment_intent_id: str) -> RefundFacts:
        if refund.stripe_refund_id:
            return await stripe.read_refund(refund.stripe_refund_id)
        return await stripe.refund(
            payment_intent_id,
            amount=refund.amount.amount,
            refund_id=refund.id,
            booking_id=refund.booking_id,
            first_tried_at=refund.first_tried_at if refund.tries > 1 else None,
            refusals=refund.refusals,
        )

    async def _draw_again(self, refund: Refund, payment_intent_id: str) -> bool:
        """Stripe has refused. Where that is because someone has refunded money in the dashboard, which we may not
        have heard of, what is left goes out instead."""
        await self.follow_all(payment_intent_id)
        # Its mail says what is refunded, which it finds by the beginning of the id (Notifications._drawn).
        owed = Owed(
            f"{refund.id}_r",
            refund.booking_id,
            refund.amount,
            EndReason(refund.reason),
            f"{refund.cause}+",
            self._now(),
            self._now(),
        )
        if not await self._store.draw_again(refund, owed):
            return False
        await self.pay_due(refund.booking_id)
        return True

    async def _record(self, refund: Refund, answer: RefundFacts) -> None:
        """Store Stripe's status of the refund; if it failed, customer and owner are told."""
        open_ended = answer.status in REFUND_AT_STRIPE
        lost = answer.status in REFUND_VOID and refund.status not in REFUND_VOID
        problem = BALANCE_TOO_LOW if open_ended and answer.pending_reason == BALANCE_TOO_LOW else ""
        mails = []
        if lost:
            log.error("refund failed", refund=refund.id, booking=refund.booking_id, reason=answer.failure_reason)
            mails = await self._failed_mails(refund)
        elif problem or (open_ended and self._now() - refund.due_at >= PENDING_PATIENCE):
            mails = await self._trouble(refund, problem or answer.status)
        if refund.status == RefundStatus.PAID_ANOTHER_WAY and not lost:
            log.error("refund went out although it was paid another way", refund=refund.id, booking=refund.booking_id)
        await self._store.record_refund(
            refund.id,
            status=answer.status,
            stripe_refund_id=answer.id,
            look_at=self._now() + REFUND_LOOK if open_ended else None,
            problem=problem,
            mails=mails,
        )

    async def _waits_for_dispute(self, refund: Refund, payment: Payment) -> bool:
        """Whether the payment's dispute keeps the refund waiting; one that the customer has won has replaced it."""
        dispute = payment.dispute
        if payment.in_dispute:
            await self._store.put_off_refund(refund.id, until=self._now() + DISPUTE_LOOK)
            dispute = await self._dispute_now(payment)
        if dispute == DISPUTE_LOST:
            await self._store.record_refund(
                refund.id, status=RefundStatus.WITHDRAWN, stripe_refund_id=None, look_at=None
            )
        return dispute not in DISPUTE_OVER

    async def _dispute_now(self, payment: Payment) -> str:
        """Read the dispute from Stripe: the webhook about its end may be lost, and it may take months."""
        if self._payments is None or payment.payment_intent_id is None:
            return payment.dispute
        words = [facts.status for facts in await self._payments.disputes_of(payment.payment_intent_id)]
        not_won = [word for word in words if word not in DISPUTE_OVER]
        word = (not_won or words or [payment.dispute])[0]
        await self._store.record_dispute(payment, dispute=word)
        return word

    async def made_since(self, booking_id: str) -> list[RefundFacts]:
        """Refunds of ours at Stripe of which our rows know nothing: they were made after the copy that was put back.
        What Stripe refuses to say is no reason to wait, and counts as none. Raises StripeError."""
        rows = {refund.id for refund in await self._store.refunds(booking_id)}
        intents = [payment.payment_intent_id for payment in await self._store.payments(booking_id)]
        try:
            found = [await self._payments.refunds_of(intent) for intent in intents if intent] if self._payments else []
        except StripeError as error:
            if error.retry:
                raise
            return []
        return [
            facts
            for refunds in found
            for facts in refunds
            if facts.refund_row and facts.refund_row not in rows and facts.status not in REFUND_VOID
        ]

    async def gave_by_terms_since(self, booking: Booking) -> bool:
        """Whether one of them is of an amount that the booking's terms give: its customer had cancelled it. Raises
        StripeError."""
        since = await self.made_since(booking.id)
        moments = [until for until, _ in booking.terms.steps(booking.starts_at)]
        for made in since:
            given = {booking.terms.refund(at=at, starts_at=booking.starts_at).amount for at in (*moments, made.created)}
            if made.amount in given:
                return True
        return False

    # -- what is done in Stripe's dashboard ------------------------------------------------------------------

    async def follow_all(self, payment_intent_id: str | None) -> None:
        """Take in every refund of a payment, no matter who made it. Raises StripeError."""
        if self._payments and payment_intent_id:
            for facts in await self._payments.refunds_of(payment_intent_id):
                await self.follow_refund(facts)

    async def follow_refund(self, facts: RefundFacts) -> bool:
        """Take in a refund as Stripe has it: one of ours, or one made outside Holdfast. Returns whether it was new."""
        payment = await self._store.payment_of_intent(facts.payment_intent_id) if facts.payment_intent_id else None
        if payment is None:
            return False  # not ours: accounts are shared with other software
        for known in await self._store.refunds(payment.booking_id):
            if facts.id == known.stripe_refund_id or facts.refund_row == known.id:
                if known.status == RefundStatus.PAID_ANOTHER_WAY and facts.status in REFUND_VOID:
                    return False
                if facts.status != known.status:
                    await self._record(known, facts)
                return facts.status != known.status
        now = self._now()
        made = Refund(
            id=facts.id,
            booking_id=payment.booking_id,
            payment_id=payment.id,
            amount=Money(facts.amount, facts.currency),
            reason=EndReason.AT_STRIPE,
            status=refund_status(facts.status),
            stripe_refund_id=facts.id,
            first_tried_at=None,
            tries=0,
            next_try_at=now + REFUND_LOOK if facts.status in REFUND_AT_STRIPE else None,
            created_at=now,
            updated_at=now,
            due_at=now,
            cause=facts.id,
        )
        # Where it has failed by now, whoever made it may have said that the money is on its way.
        mails = await self._failed_mails(made) if facts.status in REFUND_VOID else []
        return await self._store.mirror_refund(made, mails=mails)

    async def follow_dispute(self, facts: DisputeFacts) -> bool:
        """Take in a dispute as Stripe has it: the owner is told once, and refunds that waited for it continue. Returns
        whether it was new."""
        payment = await self._store.payment_of_intent(facts.payment_intent_id) if facts.payment_intent_id else None
        if payment is None:
            return False
        booking = await self._store.booking(payment.booking_id)
        mails = []
        # A question that becomes a dispute has taken the money, and has a deadline of its own.
        grave = payment.dispute.startswith("warning_") and facts.status == "needs_response"
        if booking and (grave or not payment.dispute):
            told: dict[str, str | int | bool] = {
                "dispute": facts.status,
                "amount": facts.amount,
                "currency": facts.currency,
                "answer_by": facts.answer_by.isoformat() if facts.answer_by else "",
            }
            about = f"{facts.id}.dispute" if grave else facts.id
            mails = self._notifications.mails_due(booking, MailKind.DISPUTED_OWNER, about=about, detail=told)
        news = await self._store.record_dispute(payment, dispute=facts.status, mails=mails)
        if news and not undecided(facts.status):
            for refund in await self._store.refunds(payment.booking_id):
                if refund.payment_id == payment.id and refund.status == RefundStatus.REQUESTED and refund.next_try_at:
                    await self.pay_soon(refund)
        return news

    def _new_id(self) -> str:
        return f"rf_{self._random.getrandbits(80):020x}"


def _amount(refund: Refund) -> dict[str, str | int]:
    return {"amount": refund.amount.amount, "currency": refund.amount.currency}
