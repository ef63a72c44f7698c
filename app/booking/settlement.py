"""Where money and time meet: settle, confirm, release, refund, and the sweeps for what was forgotten.

The order of effects is what keeps the promises (design section 6): claim first, then take away; release only after
Stripe says `expired`; confirm only after reading from Stripe; write what is owed before doing it, so that a crash
anywhere is picked up by the worker's next tick. Doors reach all of this through `app.booking.bookings.Bookings`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

import structlog

from app.booking.cursors import Cursors
from app.booking.keyed_lock import KeyedLock
from app.booking.moves import PAST_START, Moves
from app.booking.notifications import Notifications
from app.booking.refunds import Refunds
from app.booking.stray_payments import Strays
from app.domain.booking import Booking, EndReason, Status
from app.domain.event import Event
from app.domain.history import HistoryEntry
from app.domain.money import Money
from app.domain.move import Move
from app.domain.payment import MAY_STILL_PAY, Payment, PaymentSeen, PaymentState
from app.domain.refund import REFUND_VOID, Funds, Refund
from app.errors import (
    NotFound,
    SchedulerError,
    SchedulerNotFound,
    SchedulerRefused,
    StripeError,
    StripeMisconfigured,
    StripeRefused,
)
from app.mail import MailKind
from app.payments.facts import CheckoutFacts, DisputeFacts, Listed, RefundFacts
from app.payments.stripe_client import RECENT, Payments
from app.protection.act_limits import ActLimits
from app.protection.hold_limits import HoldLimits
from app.protection.signed_links import Links
from app.scheduling.availability import Availability
from app.scheduling.metadata import customer_in, scheduler_metadata
from app.scheduling.port import Scheduler, SchedulerBooking
from app.store import Store
from app.telemetry.metrics import Metrics
from app.widgets import Widget, Widgets

log = structlog.get_logger()

#: How long a payment that Stripe is still processing keeps the time, before it is looked at again.
PROCESSING_PATIENCE = timedelta(minutes=30)
#: A Session this close to its end is not worth sending anyone to.
SESSION_MARGIN = timedelta(minutes=1)
#: How long one process has for making a booking afresh before another one may try. Longer than Hapio's client takes
#: for one booking at the worst; renewed for each.
RESCUE_LEASE = timedelta(minutes=2)
#: When the worker goes on with what got no answer at a door: the lease of this process is over with its call.
AGAIN_SOON = timedelta(seconds=5)
#: A visitor may book for right now; one short failure of Hapio's is no reason to send anybody's money back.
TRIES_PAST_START = 5

#: How far before the last look at Stripe's Sessions one begins: a Session lives for a day, and is listed by when it was
#: made.
LOOK_BACK = timedelta(days=2)
#: Up to when Stripe's lists were read.
_SESSIONS, _REFUNDS, _DISPUTES = "stripe:sessions_read", "stripe:refunds_read", "stripe:disputes_read"
_CATCHING_UP = "catching up"
_NOTHING = timedelta(0)

#: Stripe's objects whose events tell of money that goes back.
_MONEY_BACK = frozenset({"refund", "charge", "dispute"})

UNPAID = (Status.HELD, Status.AWAITING_PAYMENT)


@dataclass(frozen=True, slots=True)
class BookingView:
    """A booking with everything that hangs on it, for showing. `payment` is the one that paid it, else the latest
    attempt; `move` is the move that it is on. `mail_problem` is why the newest mail to the customer was given up, empty
    where it was not."""

    booking: Booking
    widget: Widget
    payment: Payment | None
    payments: Sequence[Payment]
    refunds: Sequence[Refund]
    history: Sequence[HistoryEntry]
    move: Move | None
    mail_problem: str = ""

    @property
    def funds(self) -> Funds:
        """The money, and what became of it."""
        return Funds(self.payments, self.refunds)

    @property
    def left(self) -> int:
        """What of the money is still here, in smallest units."""
        return self.funds.left


class Settlement:
    """The acts. `payments` is None where no Stripe key is set: then only free services can be booked.

    `inherited` are the unpaid bookings that were in the database when this process began. A backup may have been put
    back meanwhile, so what the rows say of these is not believed before Stripe and Hapio were asked; see `_catch_up`.
    """

    def __init__(
        self,
        *,
        store: Store,
        scheduler: Scheduler,
        payments: Payments | None,
        availability: Availability,
        widgets: Widgets,
        links: Links,
        notifications: Notifications,
        refunds: Refunds,
        strays: Strays,
        cursors: Cursors,
        moves: Moves,
        hold_limits: HoldLimits,
        acts: ActLimits,
        metrics: Metrics,
        public_url: str,
        now: Callable[[], datetime],
        random: Random,
        inherited: Collection[str] = (),
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._payments = payments
        self._availability = availability
        self._widgets = widgets
        self._links = links
        self._notifications = notifications
        self._refunds = refunds
        self._strays = strays
        self._cursors = cursors
        self._moves = moves
        self._hold_limits = hold_limits
        self._acts = acts
        self._metrics = metrics
        self._public_url = public_url
        self._now = now
        self._random = random
        self._turns = KeyedLock()
        self._inherited = set(inherited)
        self._caught_up = False

    # -- looking -----------------------------------------------------------------------------------------

    async def get(self, booking_id: str) -> Booking:
        """The booking, also one whose widget is no longer in the file. Raises NotFound."""
        return await self._booking(booking_id)

    async def _booking(self, booking_id: str) -> Booking:
        booking = await self._store.booking(booking_id)
        if booking is None:
            raise NotFound(booking_id)
        return booking

    async def by_reference(self, hapio_booking_id: str) -> Booking:
        """The booking that Hapio has under this id now. Raises NotFound."""
        booking = await self._store.booking_by_reference(hapio_booking_id)
        if booking is None:
            raise NotFound(hapio_booking_id)
        return booking

    async def payment_by_session(self, session_id: str) -> Payment:
        """The attempt to pay that this Checkout Session is of. Raises NotFound."""
        payment = await self._store.payment_of_session(session_id)
        if payment is None:
            raise NotFound(session_id)
        return payment

    async def receipt_url(self, payment: Payment) -> str | None:
        """Stripe's receipt for a payment that has come; None without one, or while Stripe does not tell."""
        if payment.payment_intent_id is None or payment.state is not PaymentState.CAPTURED:
            return None
        try:
            return await self._stripe.receipt_url(payment.payment_intent_id)
        except StripeError as error:
            log.info("no receipt", payment=payment.id, error=type(error).__name__)
            return None

    def widget_of(self, booking: Booking) -> Widget:
        """The widget that the booking was made in; a stand-in where it is no longer in the file."""
        return self._widgets.of(booking)

    async def view(self, booking_id: str) -> BookingView:
        """The booking with its payments, refunds, history and move. Raises NotFound."""
        booking = await self.get(booking_id)
        payments = await self._store.payments(booking_id)
        return BookingView(
            booking=booking,
            widget=self._widgets.of(booking),
            payment=next((payment for payment in payments if payment.id == booking.payment_id), None)
            or (payments[-1] if payments else None),
            payments=payments,
            refunds=await self._store.refunds(booking_id),
            history=await self._store.history(booking_id),
            move=await self._store.open_move(booking_id),
            mail_problem=await self._store.mail_problem(booking_id),
        )

    # -- settle ------------------------------------------------------------------------------------------

    async def settle(self, booking_id: str) -> Booking:
        """Look at Stripe and Hapio and bring the booking to the state the facts demand. Safe to repeat.

        A provider that does not answer changes nothing: the worker carries on.
        """
        try:
            await self._catch_up(booking_id)
            async with self._turns(booking_id):
                return await self._settle(await self._booking(booking_id))
        except (SchedulerError, StripeError) as error:
            log.warning("settle put off", booking=booking_id, error=type(error).__name__, code=error.code)
            return await self._booking(booking_id)

    async def _settle(self, booking: Booking) -> Booking:
        """As `settle`, raising SchedulerError and StripeError."""
        just_read = False
        for payment in await self._store.payments(booking.id):
            if payment.session_id and payment.state in MAY_STILL_PAY:
                facts = await self._stripe.look_at_session(payment.session_id)
                if facts.state is not payment.state:
                    booking, just_read = await self._apply(payment, facts), True
        if booking.status is Status.PAID:
            booking = await self._finalize(booking, just_read=just_read)
        return booking

    async def _apply(self, payment: Payment, facts: CheckoutFacts) -> Booking:
        """Take in what Stripe says of one attempt, and let the booking follow."""
        seen = PaymentSeen(payment.id, facts.state, facts.id, facts.payment_intent_id, facts.received)
        if payment.move_id:
            await self._moves.take_difference(payment, facts, seen)
            return await self._booking(payment.booking_id)
        if facts.state in {PaymentState.AUTHORIZED, PaymentState.CAPTURED}:
            return await self._take_payment(await self._booking(payment.booking_id), payment, facts, seen)
        await self._store.record_payment(seen)
        booking = await self._booking(payment.booking_id)
        match facts.state:
            case PaymentState.OPEN:
                return booking
            case PaymentState.PROCESSING:
                return await self._wait_for_processing(booking)
            case PaymentState.EXPIRED:
                return await self._close(booking, EndReason.DEADLINE)
            case _:
                return await self._close(booking, EndReason.PAYMENT_FAILED)

    async def _wait_for_processing(self, booking: Booking) -> Booking:
        """A delayed method: keep the time while Stripe works, though not beyond the visit itself."""
        until = self._now() + PROCESSING_PATIENCE
        if booking.status is Status.AWAITING_PAYMENT and until < booking.starts_at and until > booking.deadline:
            return await self._store.postpone(booking.id, deadline=until) or booking
        return booking

    async def _take_payment(
        self, booking: Booking, payment: Payment, facts: CheckoutFacts, seen: PaymentSeen
    ) -> Booking:
        """Money is here, or held for us: the booking is paid, or the money goes back."""
        if not facts.pays(payment, livemode=self._stripe.livemode):
            log.error("payment does not match the order", booking=booking.id, session=facts.id)
            amount = Money(max(facts.received, facts.capturable), facts.currency)
            if amount:
                await self._refunds.owe(booking, payment, amount, EndReason.PAYMENT_MISMATCH, seen)
            else:
                await self._store.record_payment(seen)
            return await self._close(booking, EndReason.PAYMENT_MISMATCH)
        mine = {"payment_id": payment.id}
        late = {**mine, "was_expired": True}
        if self._in_time(booking, payment, facts):
            paid = await self._store.claim(booking.id, UNPAID, Status.PAID, what="paid", values=mine, seen=seen)
        else:
            paid = await self._store.claim(booking.id, UNPAID, Status.PAID, what="paid_late", values=late, seen=seen)
        paid = paid or await self._store.claim(
            booking.id, (Status.EXPIRED,), Status.PAID, what="paid_late", values=late, seen=seen
        )
        if paid:
            if facts.refunded:
                await self._refunds.follow_all(facts.payment_intent_id)
            return paid
        booking = await self._booking(booking.id)
        if booking.payment_id != payment.id:
            # Already paid by another attempt, or called off: this money has nothing to buy.
            await self._refunds.owe(booking, payment, payment.price, EndReason.PAID_TWICE, seen)
        return booking

    def _in_time(self, booking: Booking, payment: Payment, facts: CheckoutFacts) -> bool:
        """Whether the customer paid for a visit that was still to come. Money of a delayed method comes when it comes,
        however early it was promised."""
        if self._now() < booking.starts_at:
            return True
        promised = payment.state is PaymentState.PROCESSING or facts.charged_at is None
        return not promised and facts.charged_at is not None and facts.charged_at < booking.starts_at

    # -- paid → confirmed ----------------------------------------------------------------------------------

    async def confirm(self, booking: Booking) -> Booking:
        """Carry a paid booking on to confirmed, or to its refund. Raises SchedulerError, StripeError.

        Once the visit would have begun and Hapio has failed repeatedly, waiting helps nobody: the money goes back.
        """
        async with self._turns(booking.id):
            booking = await self._booking(booking.id)
            if booking.status is not Status.PAID:
                return booking
            try:
                return await self._finalize(booking)
            except SchedulerError:
                if booking.starts_at > self._now() or booking.tries < TRIES_PAST_START:
                    raise
            if booking.canceled_at:
                return await self._leave_canceled(booking, sure=False)
            payment = await self._store.payment(booking.payment_id) if booking.payment_id else None
            return await self._cancel_paid(booking, payment, EndReason.NO_ANSWER)

    async def _finalize_soon(self, booking: Booking) -> Booking:
        try:
            return await self._finalize(booking)
        except (SchedulerError, StripeError) as error:
            log.warning("confirm put off", booking=booking.id, error=type(error).__name__)
            await self._store.put_off(booking.id, until=self._now() + AGAIN_SOON)
            return booking

    async def _finalize(self, booking: Booking, *, just_read: bool = False) -> Booking:
        """Make the time final in Hapio, capture held money, confirm; or give the money back. Safe to repeat.

        `just_read` says that the payment was read at its source in this very act.
        """
        if booking.canceled_at:
            if self._too_late(booking):
                return await self._leave_canceled(booking, sure=False)
            return await self._restore(booking)
        payment = await self._store.payment(booking.payment_id) if booking.payment_id else None
        if self._too_late(booking):
            reason = EndReason.BEGUN if booking.was_expired else EndReason.NO_ANSWER
            return await self._cancel_paid(booking, payment, reason)
        if payment and await self._gone_back(booking, payment, just_read=just_read):
            return await self._cancel_refunded(booking)
        rescued = False
        if booking.was_expired or not await self._make_final(booking, payment):
            rescued = True
            leased = await self._store.lease(booking, until=self._now() + RESCUE_LEASE)
            if leased is None:  # another process is at it: two would make two bookings
                return await self._booking(booking.id)
            found = await self._rescue(leased, payment)
            if found is None:
                # Whoever had nothing to pay is not told of a payment.
                reason = EndReason.REFUSED if booking.terms.free else EndReason.SLOT_GONE
                return await self._cancel_paid(booking, payment, reason)
            booking = found
        if payment and payment.state is not PaymentState.CAPTURED:
            payment = await self._capture(payment)
            if payment.state is PaymentState.PROCESSING:
                raise StripeRefused("the capture is still processing")
            if payment.state is not PaymentState.CAPTURED:
                still_held = payment if payment.state is PaymentState.AUTHORIZED else None
                return await self._cancel_paid(booking, still_held, EndReason.CAPTURE_FAILED)
        confirmed = await self._store.claim(
            booking.id,
            (Status.PAID,),
            Status.CONFIRMED,
            what="rescued" if rescued else "confirmed",
            values={"confirmed_at": self._now(), "end_reason": None},
            mails=[
                *self._notifications.owed(
                    booking, MailKind.CONFIRMED_CUSTOMER, MailKind.CONFIRMED_OWNER, detail={"rescued": rescued}
                ),
                *self._notifications.reminder(booking),
            ],
        )
        return confirmed or await self._booking(booking.id)

    def _too_late(self, booking: Booking) -> bool:
        """Whether the visit has begun so long ago that nothing but the money's way back is left. Late money buys
        nothing from the start on."""
        patience = timedelta(0) if booking.was_expired else PAST_START
        return booking.starts_at + patience <= self._now()

    async def _gone_back(self, booking: Booking, payment: Payment, *, just_read: bool) -> bool:
        """Whether nothing is left of the payment: that it was paid once does not mean that it still is."""
        if payment.state is not PaymentState.CAPTURED:
            return False  # held money has its own answer when it is captured
        if payment.session_id and not just_read:
            facts = await self._stripe.look_at_session(payment.session_id)
            if facts.refunded:
                await self._refunds.follow_all(facts.payment_intent_id)
        return await self._refunds.left(booking.id) == 0

    async def _cancel_refunded(self, booking: Booking) -> Booking:
        """All the money went back before the time was final: the booking is off, and its time free."""
        kinds = (MailKind.REFUNDED_CUSTOMER, MailKind.REFUNDED_OWNER)
        canceled = await self._store.claim(
            booking.id,
            (Status.PAID,),
            Status.CANCELED,
            what=EndReason.REFUNDED,
            values={"end_reason": EndReason.REFUNDED},
            mails=self._notifications.owed(
                booking, *kinds, about="all", detail={"reason": EndReason.REFUNDED, "refund": ""}
            ),
        )
        if canceled is None:
            return await self._booking(booking.id)
        await self._release_soon(canceled)
        return canceled

    async def _restore(self, booking: Booking) -> Booking:
        """A cancellation is being taken back: if Hapio gives the time again, the booking stands as it was; if not, it
        stays canceled, and its refund goes out."""
        try:
            hapio_booking_id = await self._restore_at_scheduler(booking)
        except SchedulerRefused as error:
            log.info("not taken back", booking=booking.id, scheduler=error.body[:500])
            return await self._leave_canceled(booking, sure=True)
        if hapio_booking_id is None:  # another process is at it
            return await self._booking(booking.id)
        after = replace(booking, revision=booking.revision + 1)
        mails = self._notifications.owed(after, MailKind.RESTORED_CUSTOMER, MailKind.RESTORED_OWNER)
        back = await self._store.taken_back(
            booking, hapio_booking_id=hapio_booking_id, mails=[*mails, *self._notifications.reminder(after)]
        )
        return back or await self._booking(booking.id)

    async def _restore_at_scheduler(self, booking: Booking) -> str | None:
        """The id of Hapio's booking that has the time again: the canceled one, or, where that was deleted, one made
        afresh. None while another process is at it."""
        # A call that lands after the booking has been called off again would undo that.
        if not await self._store.lease(booking, until=self._now() + 2 * RESCUE_LEASE):
            return None
        if booking.hapio_booking_id:
            with suppress(SchedulerNotFound):
                return (await self._scheduler.restore_booking(booking.hapio_booking_id)).id
        for made in await self._scheduler.find_bookings(booking.id):
            if not made.is_canceled:
                return made.id  # by an earlier try that did not live to say so
        payment = await self._store.payment(booking.payment_id) if booking.payment_id else None
        afresh = await self._scheduler.create_booking(
            holdfast_id=booking.id,
            service_id=booking.service_id,
            location_id=booking.location_id,
            resource_id=booking.resource_id,
            starts_at=booking.starts_at,
            ends_at=booking.ends_at,
            is_temporary=False,
            metadata=scheduler_metadata(booking, payment),
        )
        return afresh.id

    async def _leave_canceled(self, booking: Booking, *, sure: bool) -> Booking:
        back = sum(
            refund.amount.amount
            for refund in await self._store.refunds(booking.id)
            if (refund.reason, refund.cause) == (booking.end_reason, str(booking.revision))
        )
        told: dict[str, str | int | bool] = {"by": booking.end_reason or "", "back": back, "undo_until": ""}
        # Whoever took it back, and left before Hapio's answer, would believe that the booking stands.
        kinds = (MailKind.CANCELED_CUSTOMER, MailKind.CANCELED_OWNER)
        mails = self._notifications.owed(booking, *kinds, about="kept", detail=told)
        left = await self._store.not_taken_back(booking, sure=sure, mails=mails)
        if left is None:
            return await self._booking(booking.id)
        await self._refunds.pay_due(booking.id)
        if sure:
            await self._release_soon(left)
        else:  # a call that has not landed yet would undo the release
            await self._store.put_off(booking.id, until=self._now() + 2 * RESCUE_LEASE)
        return left

    async def _make_final(self, booking: Booking, payment: Payment | None) -> bool:
        """Whether the lock is a final booking in Hapio now; False if it is gone, or was canceled there."""
        if booking.hapio_booking_id is None:
            return False
        try:
            try:
                final = await self._scheduler.finalize_booking(
                    booking.hapio_booking_id, metadata=scheduler_metadata(booking, payment)
                )
            except SchedulerRefused as error:
                # Room is not checked again for this (Hapio API v1.7, patchBooking), so it is the texts that Hapio
                # minds, whose limits are not documented; they must not cost the time.
                log.error("confirmed without details", booking=booking.id, fields=sorted(error.errors))
                final = await self._scheduler.finalize_booking(
                    booking.hapio_booking_id, metadata={"holdfast_id": booking.id}
                )
        except (SchedulerNotFound, SchedulerRefused):
            return False
        return not final.is_canceled

    async def _rescue(self, booking: Booking, payment: Payment | None) -> Booking | None:
        """Late money: the same time afresh, else the same time with another resource, else None.

        An expired hold is never revived: our own old lock, if it is still there, is deleted first.
        """
        for old in await self._scheduler.find_bookings(booking.id):
            if old.is_canceled:
                continue
            if not old.is_temporary and old.resource_id == booking.resource_id:
                # Made by an earlier try that did not live to say so.
                return await self._store.record_lock(booking.id, hapio_booking_id=old.id, terms=booking.terms)
            await self._scheduler.delete_booking(old.id)
        widget = self._widgets.get(booking.widget)
        if booking.starts_at <= self._now() or widget is None:
            return None
        try:
            service = await self._availability.service(widget, booking.service_id)
        except NotFound:
            return None
        same_first = sorted(service.resources, key=lambda resource: resource.id != booking.resource_id)
        for resource in same_first:
            reserved = await self._store.reserve(
                booking,
                resource_id=resource.id,
                resource_name=resource.name,
                capacity=resource.capacity,
                lease_until=self._now() + RESCUE_LEASE,
            )
            if reserved is None:
                continue
            self._availability.took(reserved.interval)
            try:
                made = await self._scheduler.create_booking(
                    holdfast_id=booking.id,
                    service_id=booking.service_id,
                    location_id=booking.location_id,
                    resource_id=resource.id,
                    starts_at=booking.starts_at,
                    ends_at=booking.ends_at,
                    is_temporary=False,
                    metadata=scheduler_metadata(reserved, payment),
                )
            except SchedulerRefused:
                await self._store.unreserve(booking.id)
                self._availability.freed(reserved.interval, reserved.slot, booking.service_id)
                continue
            return await self._store.record_lock(booking.id, hapio_booking_id=made.id, terms=booking.terms)
        return None

    async def _capture(self, payment: Payment) -> Payment:
        if payment.payment_intent_id is None:
            raise StripeRefused("no payment to capture")
        facts = await self._stripe.capture(payment.payment_intent_id, amount=payment.price.amount)
        await self._store.record_capture(payment.id, state=facts.state, captured=facts.received)
        return replace(payment, state=facts.state, captured=facts.received)

    async def _cancel_paid(self, booking: Booking, payment: Payment | None, reason: EndReason) -> Booking:
        """Paid, but it cannot be: the money goes back, whatever Hapio still holds is released."""
        refund = self._refunds.owed(booking, payment, payment.price, reason) if payment else None
        kinds = [MailKind.REFUNDED_CUSTOMER, MailKind.REFUNDED_OWNER]
        if booking.terms.free:
            kinds = [MailKind.RELEASED_CUSTOMER]
        canceled = await self._store.claim(
            booking.id,
            (Status.PAID,),
            Status.CANCELED,
            what=reason,
            values={"end_reason": reason},
            refund=refund,
            mails=self._notifications.owed(
                booking, *kinds, detail={"reason": reason, "refund": refund.id if refund else ""}
            ),
        )
        if canceled is None:
            return await self._booking(booking.id)
        if refund:
            await self._refunds.pay_soon(refund)
        await self._release_soon(canceled)
        return canceled

    # -- expire and release --------------------------------------------------------------------------------

    async def expire(self, booking: Booking) -> Booking:
        """The deadline has passed. Raises StripeError: without Stripe's word nothing is released. Raises SchedulerError
        for an inherited booking: see `_close`."""
        await self._catch_up(booking.id)
        async with self._turns(booking.id):
            booking = await self._booking(booking.id)
            if booking.status not in UNPAID or booking.deadline > self._now():
                return booking
            return await self._end_unpaid(booking, EndReason.DEADLINE)

    async def _end_unpaid(self, booking: Booking, reason: EndReason) -> Booking:
        """Expire every Session that somebody may have, and only then claim the end. Stripe may say: paid."""
        booking = await self._expire_sessions(booking)
        if booking.status is Status.PAID:
            return await self._finalize(booking, just_read=True)
        return await self._close(booking, reason) if booking.status in UNPAID else booking

    async def _expire_sessions(self, booking: Booking) -> Booking:
        for payment in await self._store.payments(booking.id):
            if payment.session_id and payment.state in {PaymentState.OPEN, PaymentState.PROCESSING}:
                facts = await self._stripe.expire_session(payment.session_id)
                if facts.state is PaymentState.EXPIRED:
                    await self._store.record_payment(PaymentSeen(payment.id, facts.state, facts.id, None, 0))
                else:
                    booking = await self._apply(payment, facts)
        return booking

    async def _close(self, booking: Booking, reason: EndReason) -> Booking:
        """Claim the end of an unpaid booking, unless another Session is still open, and release its time.

        Raises SchedulerError for an inherited booking, of which Hapio is asked first.
        """
        if booking.id in self._inherited:
            there = await self._there_now(booking)
            if there and not there.is_temporary and not there.is_canceled:
                return await self._keep_final(booking, there)
            self._inherited.discard(booking.id)
        told = reason in {EndReason.GIVEN_UP, EndReason.PAYMENT_MISMATCH}
        mails = () if told else self._notifications.owed(booking, MailKind.RELEASED_CUSTOMER, detail={"reason": reason})
        ended = await self._store.claim(
            booking.id,
            UNPAID,
            Status.EXPIRED,
            what=reason,
            values={"end_reason": reason},
            # A page that ended early, such as one with old details on it, is not the end of the booking.
            due_by=self._now() + SESSION_MARGIN if reason is EndReason.DEADLINE else None,
            without_open_session=True,
            mails=mails,
        )
        if ended is None:
            return await self._booking(booking.id)
        await self._release_soon(ended)
        return ended

    async def _release_soon(self, booking: Booking) -> None:
        try:
            await self.release(booking)
        except SchedulerError as error:
            log.warning("release put off", booking=booking.id, error=type(error).__name__)

    async def release(self, booking: Booking) -> None:
        """Give an ended booking's time back in Hapio: one that was confirmed stays there as canceled, for its history.
        Safe to repeat; raises SchedulerError."""
        if booking.status not in {Status.EXPIRED, Status.CANCELED}:
            return
        if booking.canceled_at and booking.hapio_booking_id:
            await self._cancel_at_scheduler(booking, booking.hapio_booking_id)
            return
        if booking.hapio_booking_id:
            await self._scheduler.delete_booking(booking.hapio_booking_id)
        if booking.hapio_unsure:
            await self._delete_tagged(booking)
        await self._store.record_release(booking.id, hapio_booking_id=booking.hapio_booking_id)
        self._availability.freed(booking.interval, booking.slot, booking.service_id)

    async def _delete_tagged(self, booking: Booking, *, but: str = "") -> None:
        """Delete what Hapio has under our booking's tag: a create whose answer was lost may have made it."""
        for lost in await self._scheduler.find_bookings(booking.id):
            if not lost.is_canceled and lost.id != but:
                await self._scheduler.delete_booking(lost.id)

    async def _cancel_at_scheduler(self, booking: Booking, hapio_booking_id: str) -> None:
        # For one process alone: a call that lands after the customer has taken the cancellation back would undo that.
        if booking.hapio_canceled or not await self._store.lease(booking, until=self._now() + RESCUE_LEASE):
            return
        if booking.hapio_unsure:
            await self._delete_tagged(booking, but=hapio_booking_id)
        try:
            await self._scheduler.cancel_booking(hapio_booking_id)
        except SchedulerNotFound:
            await self._store.record_release(booking.id, hapio_booking_id=hapio_booking_id)
        except SchedulerRefused as error:
            # Hapio's own threshold must not contradict what the customer was told; a deletion asks for none.
            log.error("deleted, since Hapio refused to cancel", booking=booking.id, fields=sorted(error.errors))
            await self._scheduler.delete_booking(hapio_booking_id)
            await self._store.record_release(booking.id, hapio_booking_id=hapio_booking_id)
        else:
            await self._store.record_cancel(booking.id, hapio_booking_id=hapio_booking_id)
        self._availability.freed(booking.interval, booking.slot, booking.service_id)

    async def follow_move(self, move: Move) -> None:
        """Go on with a move that is due. Raises SchedulerError, StripeError."""
        async with self._turns(move.booking_id):
            current = await self._store.move(move.id)
            if current:
                await self._moves.follow(current)

    # -- events and sweeps ---------------------------------------------------------------------------------

    async def take_event(self, event: Event) -> None:
        """A stored webhook event: a hint to look. Raises SchedulerError, StripeError; the worker repeats it then."""
        if self._payments is None or event.livemode != self._stripe.livemode:
            return
        if event.object_type in _MONEY_BACK:
            await self._follow_money_back(event)
            return
        booking = await self._store.booking(event.booking_id) if event.booking_id else None
        if event.object_type == "payment_intent":
            await self._strays.follow_hold(event.object_id)
        if event.object_type == "checkout.session" and await self._is_unknown(event):
            await self.take_session(await self._stripe.look_at_session(event.object_id))
        if booking is None:
            return  # not ours: accounts are shared with other software
        await self._catch_up(booking.id)
        async with self._turns(booking.id):
            await self._settle(await self._booking(booking.id))

    async def _follow_money_back(self, event: Event) -> None:
        """What was done in Stripe's dashboard lacks our metadata; its PaymentIntent tells whose it is."""
        intent = event.payment_intent_id
        if intent is None:
            return
        if await self._store.payment_of_intent(intent) is None:
            await self._strays.follow(intent)
            return
        if event.object_type == "dispute":
            await self._refunds.follow_dispute(await self._stripe.dispute(event.object_id))
        elif event.object_type == "refund":
            await self._refunds.follow_refund(await self._stripe.read_refund(event.object_id))
        else:
            await self._refunds.follow_all(intent)

    async def sweep_scheduler(self, created_before: datetime) -> int:
        """Delete temporary bookings of ours that no live booking stands behind. Returns how many."""
        swept = 0
        for stray in await self._scheduler.temporary_bookings(created_before=created_before):
            tag = stray.metadata.get("holdfast_id", "")
            holder: Booking | Move | None = await self._store.booking(tag) or await self._store.move(tag)
            # A tag that our database does not know belongs to another program: its booking is left alone.
            if holder is None or (holder.occupies and holder.hapio_booking_id in {stray.id, None}):
                continue
            log.warning("swept a temporary booking", holder=tag)
            self._metrics.swept("lock")
            await self._scheduler.delete_booking(stray.id)
            swept += 1
        return swept

    async def sweep_stripe(self, created_after: datetime, *, most: int = RECENT) -> int:
        """Take in payments, refunds and disputes that nobody told us about. Returns how many.

        Looked at is what was made since `created_after`, and, where the last look is longer ago, for as long before
        that. About `most` refunds and disputes are read; the next look goes on.
        """
        swept = 0
        if self._payments is None:
            return swept
        overlap = self._now() - created_after
        swept += await self._take_sessions(overlap)
        refunds, _ = await self._cursors.take(
            _REFUNDS, self._stripe.recent_refunds, self._take_refunds, overlap=overlap, first=_NOTHING, most=most
        )
        disputes, _ = await self._cursors.take(
            _DISPUTES, self._stripe.recent_disputes, self._take_disputes, overlap=overlap, first=_NOTHING, most=most
        )
        return swept + refunds + disputes

    async def _take_sessions(self, overlap: timedelta) -> int:
        """Take in every complete Session since the last look; paid ones are confirmed by the worker's next step."""

        async def read(after: datetime, *, created_before: datetime | None, most: int | None) -> Listed[CheckoutFacts]:
            return await self._stripe.completed_sessions(created_after=after, created_before=created_before, most=most)

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

        taken, _ = await self._cursors.take(_SESSIONS, read, take, overlap=overlap, first=_NOTHING, most=None)
        return taken

    async def _take_refunds(self, listed: Sequence[RefundFacts]) -> int:
        swept = 0
        for facts in listed:
            if await self._refunds.follow_refund(facts) or await self._strays.follow(facts.payment_intent_id):
                self._metrics.swept("refund")
                swept += 1
        return swept

    async def _take_disputes(self, listed: Sequence[DisputeFacts]) -> int:
        swept = 0
        for facts in listed:
            if await self._refunds.follow_dispute(facts):
                self._metrics.swept("dispute")
                swept += 1
        return swept

    # -- what a restored database does not know --------------------------------------------------------------

    async def _catch_up(self, booking_id: str) -> None:
        """Before an inherited booking is ended, or sent to pay, in this process for the first time: read every Session
        that Stripe has made since the database last read them, and take in those that it does not know.

        Call it without the booking's turn, since it takes the turns of others. Raises StripeError: without Stripe's
        word nothing is released.
        """
        if self._caught_up or self._payments is None or booking_id not in self._inherited:
            return
        if (await self._booking(booking_id)).terms.free:
            return
        async with self._turns(_CATCHING_UP):
            if self._caught_up:
                return
            since = (await self._store.mark(_SESSIONS) or self._now()) - LOOK_BACK
            await self._take_sessions(LOOK_BACK)
            for facts in reversed(await self._stripe.open_sessions(created_after=since)):
                await self.take_session(facts)
            self._caught_up = True

    async def take_session(self, facts: CheckoutFacts) -> bool:
        """Take in a Checkout Session as Stripe has it: of an attempt to pay that we know, or of one that we do not,
        because the database was put back as it was before. Whether it was news. Raises SchedulerError, StripeError."""
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
        async with self._turns(payment.booking_id):
            await self._apply(payment, facts)
        return True

    async def _is_unknown(self, event: Event) -> bool:
        ours = (event.booking_id or "").startswith("bk_")
        return ours and await self._store.payment_of_session(event.object_id) is None

    async def _adopt(self, booking: Booking, facts: CheckoutFacts) -> bool:
        """Make the row of an attempt to pay that Stripe knows and we do not, and let the booking follow."""
        if facts.state is PaymentState.EXPIRED:
            return False
        async with self._turns(booking.id):
            there = await self._there_now(booking)
            customer = customer_in(there.metadata) if there and booking.customer is None else None
            if customer:
                await self._store.fill_in_customer(booking.id, customer)
            payment = await self._store.adopt_payment(await self._found(booking, facts))
            if payment is None:
                return False
            log.warning("found a payment that was not known", booking=booking.id, session=facts.id)
            self._metrics.swept("payment")
            await self._take_found(await self._booking(booking.id), payment, facts, there)
        return True

    async def _found(self, booking: Booking, facts: CheckoutFacts) -> Payment:
        """The payment's row, from what the Session says."""
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
        """Settle a found attempt as any other, except where the rows show that more than it is missing here."""
        if facts.state is PaymentState.OPEN:
            await self._await_found(booking, payment, facts)
            return
        seen = PaymentSeen(payment.id, facts.state, facts.id, facts.payment_intent_id, facts.received)
        refunds = await self._stripe.refunds_of(facts.payment_intent_id) if facts.payment_intent_id else []
        for refund in refunds:
            await self._refunds.follow_refund(refund)
        returned = sum(refund.amount for refund in refunds if refund.status not in REFUND_VOID)
        if facts.state is PaymentState.CAPTURED and returned >= facts.received:
            await self._store.record_payment(seen)
            return
        unpaid = booking.status in {*UNPAID, Status.EXPIRED}
        if unpaid and payment.move_id is None and payment.price != booking.terms.price:
            amount = Money(max(facts.received, facts.capturable), facts.currency)
            if amount:
                await self._refunds.owe(booking, payment, amount, EndReason.PAYMENT_MISMATCH, seen)
            return
        booking = await self._apply(payment, facts)
        if booking.status is Status.PAID and there and there.is_canceled:
            await self._called_off_since(booking, payment, any(refund.refund_row for refund in refunds))

    async def _await_found(self, booking: Booking, payment: Payment, facts: CheckoutFacts) -> None:
        """Somebody is on Stripe's page: the booking awaits their payment, as it did."""
        payment_time = self._widgets.of(booking).payment_time
        until = min(payment.created_at + payment_time, payment.expires_at, booking.starts_at)
        await self._store.claim(
            booking.id,
            (Status.HELD,),
            Status.AWAITING_PAYMENT,
            what="payment_started",
            values={"deadline": max(until, booking.deadline)},
        )
        await self._remember_page(payment, facts)

    async def _remember_page(self, payment: Payment, facts: CheckoutFacts) -> None:
        """An attempt that awaits its payment has this page at Stripe; it is closed before the time is released."""
        soon = self._now() + timedelta(minutes=1)
        await self._store.record_session(payment, session_id=facts.id, url=facts.url or "", look_at=soon)

    async def _called_off_since(self, booking: Booking, payment: Payment, by_terms: bool) -> None:
        """Hapio says that the booking was canceled. Where we had refunded a part, that was all that the terms gave;
        else what it was to be is lost, and everything goes back."""
        if not by_terms:
            await self._cancel_paid(booking, payment, EndReason.SLOT_GONE)
            return
        now = self._now()
        reason = EndReason.BY_CUSTOMER
        values = {"end_reason": reason, "canceled_at": now, "undo_until": now, "hapio_canceled": True}
        await self._store.claim(booking.id, (Status.PAID,), Status.CANCELED, what=reason, values=values)

    async def _there_now(self, booking: Booking) -> SchedulerBooking | None:
        """The booking as Hapio has it; None if it is gone, or was never there."""
        if booking.hapio_booking_id is None:
            return None
        try:
            return await self._scheduler.get_booking(booking.hapio_booking_id)
        except SchedulerNotFound:
            return None

    async def _keep_final(self, booking: Booking, there: SchedulerBooking) -> Booking:
        """An unpaid booking is final in Hapio. A free one was confirmed after the backup was made. One with a price,
        for which Stripe has no money, was made final by somebody else: it ends here, and stays there."""
        self._inherited.discard(booking.id)
        if not booking.terms.free:
            log.error("final in Hapio and not paid", booking=booking.id)
            values = {"end_reason": EndReason.DEADLINE, "hapio_booking_id": None, "hapio_unsure": False}
            ended = await self._store.claim(
                booking.id, UNPAID, Status.EXPIRED, what=EndReason.DEADLINE, values=values, without_open_session=True
            )
            return ended or await self._booking(booking.id)
        customer = customer_in(there.metadata) if booking.customer is None else None
        if customer:
            await self._store.fill_in_customer(booking.id, customer)
        stands = await self._store.claim(booking.id, (Status.HELD,), Status.PAID, what="nothing_due")
        return await self._finalize_soon(stands) if stands else await self._booking(booking.id)

    # -- small things --------------------------------------------------------------------------------------

    @property
    def _stripe(self) -> Payments:
        if self._payments is None:
            raise StripeMisconfigured("no Stripe key is configured")
        return self._payments

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}_{self._random.getrandbits(80):020x}"
