"""Taking in what Stripe says of an attempt to pay: the booking is paid, or it ends and its time is free."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

import structlog

from app.booking.as_there import follow_there, there_now
from app.booking.confirm import Confirm
from app.booking.moves import Moves
from app.booking.own_page import was_booked_there
from app.booking.release import Release
from app.booking.tools import Tools
from app.domain.booking import Booking, Channel, EndReason, Status
from app.domain.history import HistoryWord
from app.domain.payment import MAY_STILL_PAY, UNDER_WAY, Payment, PaymentSeen, PaymentState
from app.mail import MailKind
from app.payments.facts import CheckoutFacts
from app.scheduling.metadata import customer_of
from app.scheduling.port import SchedulerBooking
from app.store.change import Change

log = structlog.get_logger()

#: How long a payment that Stripe is still processing keeps the time, before it is looked at again.
PROCESSING_PATIENCE = timedelta(minutes=30)

#: A Session this close to its end is not worth sending anyone to.
SESSION_MARGIN = timedelta(minutes=1)

#: The scheduler has heard of a cancellation whose refund went out so long before, if it can be reached at all.
_RELEASED_AFTER = timedelta(hours=1)

UNPAID = (Status.HELD, Status.AWAITING_PAYMENT)


class TakePayment:
    """Changes a booking when its payments change. Call these with the booking's lock.

    `inherited` are the unpaid bookings that were in the database when this process began. A backup may have been put
    back meanwhile, so what the rows say of these is not believed before Stripe and the scheduler were asked: see
    `Adopt`.
    """

    def __init__(
        self, tools: Tools, release: Release, confirm: Confirm, moves: Moves, inherited: Collection[str] = ()
    ) -> None:
        self._tools = tools
        self._store = tools.store
        self._schedulers = tools.schedulers
        self._notifications = tools.notifications
        self._refunds = tools.refunds
        self._now = tools.now
        self._began = tools.now()
        self._release = release
        self._confirm = confirm
        self._moves = moves
        self.inherited = set(inherited)

    async def settle(self, booking: Booking) -> Booking:
        """Read the booking's open attempts to pay from Stripe, act on them, and confirm the booking if it is paid.
        Raises SchedulerError and StripeError."""
        just_read = False
        for payment in await self._store.payments(booking.id):
            if payment.session_id and payment.state in MAY_STILL_PAY:
                facts = await self._tools.stripe.look_at_session(payment.session_id)
                if facts.state is not payment.state:
                    booking, just_read = await self.apply(payment, facts), True
        if booking.status is Status.PAID:
            booking = await self._confirm.finalize(booking, just_read=just_read)
        return booking

    async def apply(self, payment: Payment, facts: CheckoutFacts) -> Booking:
        """Take in what Stripe says about one attempt to pay, and change the booking accordingly."""
        seen = PaymentSeen(payment.id, facts.state, facts.id, facts.payment_intent_id, facts.received)
        if payment.move_id:
            await self._moves.take_difference(payment, facts, seen)
            return await self._tools.booking(payment.booking_id)
        if facts.state in {PaymentState.AUTHORIZED, PaymentState.CAPTURED}:
            return await self._take_payment(await self._tools.booking(payment.booking_id), payment, facts, seen)
        await self._store.record_payment(seen)
        booking = await self._tools.booking(payment.booking_id)
        match facts.state:
            case PaymentState.OPEN:
                return booking
            case PaymentState.PROCESSING:
                return await self._wait_for_processing(booking)
            case PaymentState.EXPIRED:
                return await self.close(booking, EndReason.DEADLINE)
            case _:
                return await self.close(booking, EndReason.PAYMENT_FAILED)

    async def _wait_for_processing(self, booking: Booking) -> Booking:
        """A delayed payment method: keep the time while Stripe is processing it, but not beyond the visit's start."""
        until = self._now() + PROCESSING_PATIENCE
        if booking.status is Status.AWAITING_PAYMENT and until < booking.starts_at and until > booking.deadline:
            return await self._store.postpone(booking.id, deadline=until) or booking
        return booking

    async def _take_payment(
        self, booking: Booking, payment: Payment, facts: CheckoutFacts, seen: PaymentSeen
    ) -> Booking:
        """The payment has arrived, or is held: either the booking is paid now, or the payment is refunded."""
        if not facts.pays(payment, livemode=self._tools.stripe.livemode):
            log.error("payment does not match the order", booking=booking.id, session=facts.id)
            await self._refunds.refund_mismatch(booking, payment, facts, seen)
            return await self.close(booking, EndReason.PAYMENT_MISMATCH)
        mine = {"payment_id": payment.id}
        late = {**mine, "was_expired": True}
        in_time = Change(UNPAID, Status.PAID, HistoryWord.PAID, values=mine, seen=seen)
        too_late = Change(UNPAID, Status.PAID, HistoryWord.PAID_LATE, values=late, seen=seen)
        ended = Change((Status.EXPIRED,), Status.PAID, HistoryWord.PAID_LATE, values=late, seen=seen)
        paid_before = facts.paid_before(booking.starts_at, payment, now=self._now())
        paid = await self._store.claim(booking.id, in_time if paid_before else too_late)
        paid = paid or await self._store.claim(booking.id, ended)
        if paid:
            if facts.refunded:
                await self._refunds.follow_all(facts.payment_intent_id)
            return paid
        booking = await self._tools.booking(booking.id)
        if booking.payment_id != payment.id:
            # Already paid by another attempt, or called off: this money has nothing to buy.
            await self._refunds.owe(booking, payment, payment.price, EndReason.PAID_TWICE, seen)
        return booking

    async def end_unpaid(self, booking: Booking, reason: EndReason, *, who: str = "") -> Booking:
        """Expire every Session that a visitor may have open, and only then claim the end; Stripe may say that it has
        been paid. `who` is the member of staff, if one of them ends it."""
        booking = await self.expire_sessions(booking)
        if booking.status is Status.PAID:
            return await self._confirm.finalize(booking, just_read=True)
        return await self.close(booking, reason, who=who) if booking.status in UNPAID else booking

    async def expire_sessions(self, booking: Booking) -> Booking:
        for payment in await self._store.payments(booking.id):
            if payment.session_id and payment.state in UNDER_WAY:
                facts = await self._tools.stripe.expire_session(payment.session_id)
                if facts.state is PaymentState.EXPIRED:
                    await self._store.record_payment(PaymentSeen(payment.id, facts.state, facts.id, None, 0))
                else:
                    booking = await self.apply(payment, facts)
        return booking

    async def close(self, booking: Booking, reason: EndReason, *, who: str = "") -> Booking:
        """Claim the end of an unpaid booking, unless another Session is still open, and release its time.

        Raises SchedulerError for an inherited booking, because the scheduler is asked about it first.
        """
        if booking.id in self.inherited:
            there = await there_now(self._tools, booking)
            final = there and not there.is_temporary and not there.is_canceled
            if there and final and not await was_booked_there(self._tools, booking):
                return await self._keep_final(await follow_there(self._tools, booking, there), there)
            self.inherited.discard(booking.id)
        told = reason in {EndReason.GIVEN_UP, EndReason.PAYMENT_MISMATCH}
        # What the owner was just booking for someone, and could not, is news to the owner alone.
        unknown = booking.channel is Channel.DESK and not booking.pay_link
        kinds = [] if told or unknown else [MailKind.RELEASED_CUSTOMER]
        if booking.pay_link and reason is not EndReason.BY_OWNER:
            kinds.append(MailKind.NOT_PAID_OWNER)
        mails = self._notifications.mails_due(booking, *kinds, detail={"reason": reason})
        change = Change(
            UNPAID,
            Status.EXPIRED,
            HistoryWord(reason),
            # A page that ended early, such as one with old details on it, is not the end of the booking.
            due_by=self._now() + SESSION_MARGIN if reason is EndReason.DEADLINE else None,
            without_open_session=True,
            values={"end_reason": reason},
            mails=mails,
            detail={"who": who} if who else {},
        )
        ended = await self._store.claim(booking.id, change)
        if ended is None:
            return await self._tools.booking(booking.id)
        await self._release.soon(ended)
        return ended

    async def _keep_final(self, booking: Booking, there: SchedulerBooking) -> Booking:
        """An unpaid booking is final in the scheduler. A free one, and one that the owner made for someone, were
        confirmed after the backup was made. Another one with a price, for which Stripe has no money, was made final by
        someone else: it ends here, and stays there, unless it had just been called off."""
        by_owner = booking.channel is Channel.DESK and not booking.pay_link
        bought = not booking.terms.free and not by_owner
        called_off = bought and await self._just_called_off(booking)
        self.inherited.discard(booking.id)
        if bought:
            if not called_off:
                log.error("final in the scheduler and not paid", booking=booking.id)
            change = Change(
                UNPAID,
                Status.EXPIRED,
                HistoryWord.DEADLINE,
                without_open_session=True,
                values={"end_reason": EndReason.DEADLINE},
                reservation={"reference": there.id if called_off else None, "unsure": False},
            )
            ended = await self._store.claim(booking.id, change)
            if ended:
                await self._release.soon(ended)
            return ended or await self._tools.booking(booking.id)
        customer = customer_of(there) if booking.customer is None else None
        if customer:
            await self._store.fill_in_customer(booking.id, customer)
        # What the owner had noted of the payment is lost, and the visit is where it is asked about.
        word = HistoryWord.NOTHING_DUE if booking.terms.free else HistoryWord.PAYS_AT_VISIT
        change = Change((Status.HELD,), Status.PAID, word, reservation={"reference": there.id})
        stands = await self._store.claim(booking.id, change)
        return await self._confirm.finalize_soon(stands) if stands else await self._tools.booking(booking.id)

    async def _just_called_off(self, booking: Booking) -> bool:
        """Whether it was confirmed and called off after the backup was made, and the scheduler had not heard of that:
        our refund of it is younger than that takes. An older one was goodwill, and the visit stands."""
        since = self._began - _RELEASED_AFTER
        return any(made.created >= since for made in await self._refunds.made_since(booking.id))
