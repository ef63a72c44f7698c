"""After a restore: taking in what the database does not know, such as payments at Stripe, and bookings that were
confirmed or cancelled since."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from app.booking.as_there import follow_there, may_not_be_listed, there_now
from app.booking.confirm import Confirm
from app.booking.take_payment import UNPAID, TakePayment
from app.booking.tools import Tools
from app.domain.booking import Booking, EndReason, Status
from app.domain.event import Event
from app.domain.history import HistoryWord
from app.domain.money import Money
from app.domain.payment import MAY_STILL_PAY, Payment, PaymentSeen, PaymentState
from app.domain.refund import REFUND_VOID
from app.errors import (
    SchedulerError,
    SchedulerFailed,
    StripeError,
)
from app.payments.facts import CheckoutFacts, Listed
from app.scheduling.metadata import customer_of
from app.scheduling.port import SchedulerBooking
from app.store.change import Change

log = structlog.get_logger()

#: How far back a look goes for what may still change: a Session lives for a day, and is listed by when it was made.
LOOK_BACK = timedelta(days=2)
#: How far before the last look one at complete Sessions begins. An attempt has its row before it has its Session, and
#: who paid later on an older page is in the list of events; two days of a busy studio would be a hundred pages.
_OVERLAP = timedelta(hours=1)

#: Up to when Stripe's lists were read.
_SESSIONS = "stripe:sessions_read"

_CATCHING_UP = "catching up"


class Adopt:
    """Takes in Checkout Sessions, whether or not there is a row for them."""

    def __init__(self, tools: Tools, take_payment: TakePayment, confirm: Confirm) -> None:
        self._tools = tools
        self._store = tools.store
        self._payments = tools.payments
        self._widgets = tools.widgets
        self._refunds = tools.refunds
        self._strays = tools.strays
        self._cursors = tools.cursors
        self._metrics = tools.metrics
        self._now = tools.now
        self._locks = tools.locks
        self._take_payment = take_payment
        self._confirm = confirm
        self._caught_up = False

    async def catch_up(self, booking_id: str) -> None:
        """Read every Session that Stripe has made since the database last read them, and take in the unknown ones. Call
        it before this process first ends a booking that was in the database at its start, or sends its customer to pay.

        Do not hold the booking's lock meanwhile, since this locks other bookings. Raises StripeError: without Stripe's
        answer nothing is released.
        """
        if self._caught_up or self._payments is None or booking_id not in self._take_payment.inherited:
            return
        if (await self._tools.booking(booking_id)).terms.free:
            return
        async with self._locks(_CATCHING_UP):
            if self._caught_up:
                return
            since = (await self._store.mark(_SESSIONS) or self._now()) - LOOK_BACK
            await self.take_sessions()
            for facts in reversed(await self._tools.stripe.open_sessions(created_after=since)):
                await self.take_session(facts)
            self._caught_up = True

    async def take_session(self, facts: CheckoutFacts) -> bool:
        """Take in a Checkout Session as Stripe has it. Its attempt to pay may be unknown here, because the database was
        restored from a backup. Returns whether anything has changed. Raises SchedulerError, StripeError."""
        payment = await self._store.payment(facts.payment_id) if facts.payment_id else None
        if payment is None:
            booking = await self._store.booking(facts.booking_id or "") if facts.is_tagged else None
            if booking:
                return await self._adopt(booking, facts)
            return await self._strays.notice(facts)
        if facts.state is PaymentState.OPEN and payment.session_id is None:
            await self._remember_page(payment, facts)
        if payment.state is facts.state or payment.state not in MAY_STILL_PAY:
            return False
        log.warning("swept a completed session", booking=payment.booking_id, session=facts.id)
        self._metrics.swept("payment")
        async with self._locks(payment.booking_id):
            await self._take_payment.apply(payment, facts)
        return True

    async def take_sessions(self) -> int:
        """Take in every complete Session since the last look; paid ones are confirmed by the worker's next step."""

        async def read(after: datetime, *, created_before: datetime | None, most: int | None) -> Listed[CheckoutFacts]:
            return await self._tools.stripe.completed_sessions(
                created_after=after, created_before=created_before, most=most
            )

        async def take(listed: Sequence[CheckoutFacts]) -> int:
            taken, failed = 0, None
            # The oldest first: of two payments for one booking, the first is the one that buys it.
            for facts in reversed(listed):
                try:
                    taken += await self.take_session(facts)
                except (SchedulerError, StripeError) as error:  # it must not keep the others waiting
                    log.warning("session put off", session=facts.id, error=type(error).__name__)
                    failed = error
            if failed:
                raise failed
            return taken

        taken, _ = await self._cursors.take(_SESSIONS, read, take, overlap=_OVERLAP, first=LOOK_BACK, most=None)
        return taken

    async def is_unknown(self, event: Event) -> bool:
        ours = (event.booking_id or "").startswith("bk_")
        return ours and await self._store.payment_of_session(event.object_id) is None

    async def _adopt(self, booking: Booking, facts: CheckoutFacts) -> bool:
        """Add the row of an attempt to pay that only Stripe knows, and update the booking."""
        if facts.state is PaymentState.EXPIRED:
            return False
        async with self._locks(booking.id):
            there = await there_now(self._tools, booking)
            # It may have been made for this payment before the restore.
            if there is None and may_not_be_listed(self._tools, booking, facts.charged_at):
                raise SchedulerFailed("what was made just now may not be listed yet")
            customer = customer_of(there) if there and booking.customer is None else None
            if customer:
                await self._store.fill_in_customer(booking.id, customer)
            if there and booking.id in self._take_payment.inherited:
                await follow_there(self._tools, await self._tools.booking(booking.id), there)
            if facts.state is PaymentState.OPEN and not await self._is_of(booking, facts):
                # Nobody knows any more what it would pay for; it may have been paid just now.
                facts = await self._tools.stripe.expire_session(facts.id)
                if facts.state in {PaymentState.EXPIRED, PaymentState.OPEN}:  # the latter where Stripe refuses to close
                    return False
            payment = await self._store.adopt_payment(await self._found(booking, facts))
            if payment is None:
                return False
            log.warning("found a payment that was not known", booking=booking.id, session=facts.id)
            self._metrics.swept("payment")
            await self._take_found(await self._tools.booking(booking.id), payment, facts, there)
        return True

    async def _is_of(self, booking: Booking, facts: CheckoutFacts) -> bool:
        """Whether a Session is of what the rows know: of a move that they have, or else of the booking at its price."""
        if facts.move_id:
            return await self._store.move(facts.move_id) is not None
        return Money(facts.amount_total, facts.currency) == booking.terms.price

    async def _found(self, booking: Booking, facts: CheckoutFacts) -> Payment:
        """The payment's row, made from the Session."""
        known_move = await self._store.move(facts.move_id) if facts.move_id else None
        return Payment(
            id=facts.payment_id or "",
            booking_id=booking.id,
            attempt=facts.attempt,
            state=PaymentState.OPEN,
            price=Money(facts.amount_total, facts.currency),
            capture=facts.capture,
            params={},
            session_id=facts.id,
            session_url=facts.url,
            payment_intent_id=facts.payment_intent_id,
            expires_at=facts.expires_at,
            captured=0,
            looks=0,
            created_at=facts.created,
            move_id=known_move.id if known_move else None,
        )

    async def _take_found(
        self, booking: Booking, payment: Payment, facts: CheckoutFacts, there: SchedulerBooking | None
    ) -> None:
        """Settle a found attempt as any other, unless the rows show that more than this attempt is missing."""
        if facts.state is PaymentState.OPEN:
            await self._await_found(booking, payment, facts)
            return
        seen = PaymentSeen(payment.id, facts.state, facts.id, facts.payment_intent_id, facts.received)
        refunds = await self._tools.stripe.refunds_of(facts.payment_intent_id) if facts.payment_intent_id else []
        for refund in refunds:
            await self._refunds.follow_refund(refund)
        returned = sum(refund.amount for refund in refunds if refund.status not in REFUND_VOID)
        if facts.state is PaymentState.CAPTURED and returned >= facts.received:
            await self._store.record_payment(seen)
            return
        unpaid = booking.status in {*UNPAID, Status.EXPIRED}
        if unpaid and not await self._is_of(booking, facts):
            amount = Money(max(facts.received, facts.capturable), facts.currency)
            if amount:
                await self._refunds.owe(booking, payment, amount, EndReason.PAYMENT_MISMATCH, seen)
            return
        booking = await self._take_payment.apply(payment, facts)
        if booking.status is Status.PAID and there and there.is_canceled:
            await self._called_off_since(booking, payment, any(refund.refund_row for refund in refunds))

    async def _await_found(self, booking: Booking, payment: Payment, facts: CheckoutFacts) -> None:
        """A customer is on Stripe's page: the booking waits for their payment, as it did before the restore."""
        payment_time = self._widgets.of(booking).payment_time
        until = min(payment.created_at + payment_time, payment.expires_at, booking.starts_at)
        change = Change(
            (Status.HELD,),
            Status.AWAITING_PAYMENT,
            HistoryWord.PAYMENT_STARTED,
            values={"deadline": max(until, booking.deadline)},
        )
        await self._store.claim(booking.id, change)
        await self._remember_page(payment, facts)

    async def _remember_page(self, payment: Payment, facts: CheckoutFacts) -> None:
        """Note Stripe's page of an attempt that awaits payment, so that it is closed before the time is released."""
        soon = self._now() + timedelta(minutes=1)
        await self._store.record_session(payment, session_id=facts.id, url=facts.url or "", look_at=soon)

    async def _called_off_since(self, booking: Booking, payment: Payment, by_terms: bool) -> None:
        """The scheduler says that the booking was cancelled. If we have already refunded a part, that was what the
        terms give. If not, we no longer know the amount, so everything is refunded."""
        if not by_terms:
            await self._confirm.cancel_paid(booking, payment, EndReason.SLOT_GONE)
            return
        now = self._now()
        reason = EndReason.BY_CUSTOMER
        change = Change(
            (Status.PAID,),
            Status.CANCELED,
            HistoryWord(reason),
            values={"end_reason": reason, "canceled_at": now, "undo_until": now},
            reservation={"canceled": True},
        )
        await self._store.claim(booking.id, change)
