"""From paid to confirmed: the time becomes final at the scheduler, or the payment is refunded."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, auto

import structlog

from app.booking.as_there import final_at
from app.booking.at_scheduler import SCHEDULER_LEASE, confirm_at_scheduler, find_at_scheduler
from app.booking.confirmed_since import ConfirmedSince, paid_at
from app.booking.moves import PAST_START
from app.booking.offered_times import OfferedTimes
from app.booking.own_page import was_booked_there
from app.booking.release import Release
from app.booking.tools import Tools
from app.domain.booking import Booking, EndReason, Status
from app.domain.history import HistoryWord
from app.domain.payment import Payment, PaymentState
from app.domain.refund import Refund
from app.errors import (
    BookingConflict,
    NotFound,
    SchedulerError,
    SchedulerNotFound,
    SchedulerRefused,
    StripeError,
    StripeRefused,
)
from app.mail import MailKind
from app.payments.stripe_client import MISSING_CODE
from app.scheduling.port import SchedulerBooking
from app.store.change import Change

log = structlog.get_logger()

#: When the worker continues with a call that got no answer in a request; this process's lease has ended by then.
AGAIN_SOON = timedelta(seconds=5)

#: A visitor may book a time that begins now; one short failure of the scheduler is no reason to refund.
TRIES_PAST_START = 5


class _Lock(Enum):
    """The outcome of making a lock final."""

    FINAL = auto()
    #: The scheduler no longer has it; the time may be free.
    GONE = auto()
    #: Someone else has its time, or the scheduler does not book it.
    TAKEN = auto()


class _AtItElsewhere(Exception):
    """Another process is making the booking at the scheduler."""


class Confirm:
    """Takes a paid booking to confirmed, or to its refund."""

    def __init__(
        self, tools: Tools, release: Release, offered_times: OfferedTimes, confirmed_since: ConfirmedSince
    ) -> None:
        self._tools = tools
        self._store = tools.store
        self._schedulers = tools.schedulers
        self._availability = tools.availability
        self._widgets = tools.widgets
        self._notifications = tools.notifications
        self._refunds = tools.refunds
        self._now = tools.now
        self._locks = tools.locks
        self._release = release
        self._offered_times = offered_times
        self._confirmed_since = confirmed_since

    async def confirm(self, booking: Booking) -> Booking:
        """Take a paid booking to confirmed, or to its refund. Raises SchedulerError, StripeError.

        Once the visit should have begun and the scheduler has failed repeatedly, waiting no longer helps: the payment
        is refunded.
        """
        async with self._locks(booking.id):
            booking = await self._tools.booking(booking.id)
            if booking.status is not Status.PAID:
                return booking
            try:
                return await self.finalize(booking)
            except SchedulerError:
                if booking.starts_at > self._now() or booking.tries < TRIES_PAST_START:
                    raise
            if booking.canceled_at:
                return await self.leave_canceled(booking, sure=False, why=EndReason.NO_ANSWER)
            payment = await self._store.payment(booking.payment_id) if booking.payment_id else None
            return await self.cancel_paid(booking, payment, EndReason.NO_ANSWER)

    async def finalize_soon(self, booking: Booking) -> Booking:
        try:
            return await self.finalize(booking)
        except (SchedulerError, StripeError) as error:
            log.warning("confirm put off", booking=booking.id, error=type(error).__name__)
            await self._store.put_off(booking.id, until=self._now() + AGAIN_SOON)
            return booking

    async def finalize(self, booking: Booking, *, just_read: bool = False) -> Booking:
        """Make the time final at the scheduler, capture held money and confirm; or else refund. Safe to repeat.

        `just_read`: this call has just read the payment from Stripe.
        """
        if booking.canceled_at:
            if self._too_late(booking):
                return await self.leave_canceled(booking, sure=False, why=EndReason.NO_ANSWER)
            return await self._restore(booking)
        payment = await self._store.payment(booking.payment_id) if booking.payment_id else None
        try:
            booking = await self._confirmed_since.take_in(booking, payment)
        except BookingConflict:  # another process is at it
            return await self._tools.booking(booking.id)
        there = None
        if self._too_late(booking):
            there = await self._final_before(booking)
            if there is None:
                reason = EndReason.BEGUN if booking.lost_time else EndReason.NO_ANSWER
                return await self.cancel_paid(booking, payment, reason)
        if payment and await self._gone_back(booking, payment, just_read=just_read):
            return await self._cancel_refunded(booking)
        try:
            secured, word = await self._secure(booking, payment, there)
        except _AtItElsewhere:
            return await self._tools.booking(booking.id)
        if secured is None:
            offered = await self._offered_times.offer(booking, payment)
            return offered or await self.cancel_paid(booking, payment, await self._why_gone(booking))
        booking = secured
        if payment and payment.state is not PaymentState.CAPTURED:
            payment = await self._capture(payment)
            if payment.state is PaymentState.PROCESSING:
                raise StripeRefused("the capture is still processing")
            if payment.state is not PaymentState.CAPTURED:
                still_held = payment if payment.state is PaymentState.AUTHORIZED else None
                return await self.cancel_paid(booking, still_held, EndReason.CAPTURE_FAILED)
        change = Change(
            (Status.PAID,),
            Status.CONFIRMED,
            word,
            unchanged_since=booking.revision,  # not one that was confirmed, cancelled, and is being taken back
            values={"confirmed_at": self._now(), "end_reason": None},
            # Where a copy of the database was put back, the time may have been had before the copy lost it.
            reservation={} if booking.reservation.occupies else {"occupies": True},
            # An answer may have been lost: for this time, if it was asked for twice, or for another that was offered.
            find_out_at=self._now() + SCHEDULER_LEASE,
            mails=[
                *self._notifications.mails_due(
                    booking,
                    MailKind.CONFIRMED_CUSTOMER,
                    MailKind.CONFIRMED_OWNER,
                    detail={"rescued": word is HistoryWord.RESCUED},
                ),
                *self._notifications.reminder(booking),
            ],
        )
        others = await self._store.offered(booking.id) if booking.was_expired else []
        confirmed = await self._store.claim(booking.id, change)
        if confirmed:
            if not booking.reservation.occupies:
                self._availability.took(confirmed.interval)
            await self._offered_times.let_go(others)
        return confirmed or await self._tools.booking(booking.id)

    async def _final_before(self, booking: Booking) -> SchedulerBooking | None:
        """The scheduler's booking of a visit that was confirmed before a copy of the database was put back, which knows
        nothing of that. Raises SchedulerError.

        Only where the visit had begun when the row became paid, so that nobody has tried since: any other booking there
        is an answer that was lost, and its customer had no word of it in time.
        """
        if not self._too_late(booking, at=await paid_at(self._tools, booking)):
            return None
        if booking.lost_time and await was_booked_there(self._tools, booking):
            return None  # it is final there before anyone pays, so that says nothing of when that was
        return await final_at(self._tools, booking, booking.reservation)

    async def _secure(
        self, booking: Booking, payment: Payment | None, there: SchedulerBooking | None
    ) -> tuple[Booking | None, HistoryWord]:
        """Make the time final at the scheduler, from its lock or by booking it again, unless it is final `there`; None
        if it is gone. Raises _AtItElsewhere while another process does the same."""
        if there:
            word = HistoryWord.RESCUED if booking.lost_time else HistoryWord.CONFIRMED
            return await self._have(booking, there, other_person=False), word
        makes = booking.lost_time or not self._schedulers.lock_binds(booking.reservation.scheduler)
        if makes:  # a booking, and does not only change one: two processes would make two
            booking = await self._lease(booking)
        lock = _Lock.GONE if booking.lost_time else await self._make_final(booking, payment)
        if lock is _Lock.FINAL:
            return booking, HistoryWord.CONFIRMED
        if lock is _Lock.GONE and not booking.was_expired and await was_booked_there(self._tools, booking):
            # Cancelled there by its customer or its owner, who do not want it made again.
            return None, HistoryWord.RESCUED
        leased = booking if makes else await self._lease(booking)
        chosen = booking.was_expired and not booking.lost_time
        word = HistoryWord.CONFIRMED if chosen else HistoryWord.RESCUED
        return await self._rescue(leased, payment, taken=lock is _Lock.TAKEN), word

    async def _lease(self, booking: Booking) -> Booking:
        leased = await self._store.lease(booking, until=self._now() + SCHEDULER_LEASE)
        if leased is None:
            raise _AtItElsewhere
        return leased

    def _too_late(self, booking: Booking, *, at: datetime | None = None) -> bool:
        """Whether the visit began so long ago, before now or `at`, that only a refund is left. For a late payment that
        is so from the visit's start on."""
        patience = timedelta(0) if booking.lost_time else PAST_START
        return booking.starts_at + patience <= (at or self._now())

    async def _gone_back(self, booking: Booking, payment: Payment, *, just_read: bool) -> bool:
        """Whether the payment has been refunded in full meanwhile."""
        state = payment.state
        if payment.session_id and not just_read:
            facts = await self._tools.look_at_payment(payment)
            state = PaymentState.CAPTURED if facts.state is PaymentState.CAPTURED else state
        if state is not PaymentState.CAPTURED:
            return False  # held money has its own answer when it is captured
        return await self._refunds.money_left(booking.id) == 0

    async def end_refunded(self, booking: Booking) -> Booking | None:
        """Cancel a booking for which times are offered and whose money has all gone back; None while some is left."""
        funds = await self._refunds.funds(booking.id)
        return await self._cancel_refunded(booking) if funds.captured and not funds.left else None

    async def _cancel_refunded(self, booking: Booking) -> Booking:
        """Everything was refunded before the time was final: cancel the booking and free its time."""
        kinds = (MailKind.REFUNDED_CUSTOMER, MailKind.REFUNDED_OWNER)
        change = Change(
            (booking.status,),
            Status.CANCELED,
            HistoryWord.REFUNDED,
            values={"end_reason": EndReason.REFUNDED},
            find_out_at=self._now() + SCHEDULER_LEASE,
            mails=self._notifications.mails_due(
                booking, *kinds, about="all", detail={"reason": EndReason.REFUNDED, "refund": ""}
            ),
        )
        return await self.call_off(booking, change) or await self._tools.booking(booking.id)

    async def _restore(self, booking: Booking) -> Booking:
        """A cancellation is being undone: if the scheduler has the time again, the booking is confirmed as before; if
        not, or if the money has gone back meanwhile, it stays cancelled, and its refund goes out."""
        if await self._gone_since(booking):
            # An earlier try, whose answer was lost, may have had the time again.
            return await self.leave_canceled(booking, sure=False, why=EndReason.REFUNDED)
        try:
            there = await self._restore_at_scheduler(booking)
        except SchedulerRefused as error:
            log.info("not taken back", booking=booking.id, scheduler=error.body[:500])
            return await self.leave_canceled(booking, sure=True)
        if there is None:  # another process is at it
            return await self._tools.booking(booking.id)
        after = replace(booking, revision=booking.revision + 1)
        mails = self._notifications.mails_due(after, MailKind.RESTORED_CUSTOMER, MailKind.RESTORED_OWNER)
        back = await self._store.taken_back(
            booking,
            reference=there.id,
            unsure=booking.reservation.unsure or there.asked_twice,
            find_out_at=self._now() + SCHEDULER_LEASE,
            mails=[*mails, *self._notifications.reminder(after)],
        )
        return back or await self._tools.booking(booking.id)

    async def _gone_since(self, canceled: Booking) -> bool:
        """Whether all the money has gone back since the cancellation, which of each payment Stripe knows best. What it
        refuses to say is no reason to wait: the customer may be at the door."""
        for payment in (await self._refunds.funds(canceled.id)).captured:
            if payment.session_id and self._tools.payments:
                try:
                    await self._tools.look_at_payment(payment)
                except StripeError as error:
                    if error.retry:
                        raise
                    log.warning("not read at Stripe", booking=canceled.id, reason=error.stripe_code or str(error))
        return (await self._refunds.funds(canceled.id)).gone_since(canceled)

    async def _restore_at_scheduler(self, booking: Booking) -> SchedulerBooking | None:
        """The scheduler's booking that has the time again: the cancelled one, or, where that was deleted, one made
        again. None while another process is at it."""
        # A call that arrives after the booking has been cancelled again would undo that.
        if not await self._store.lease(booking, until=self._now() + 2 * SCHEDULER_LEASE):
            return None
        if booking.reservation.reference:
            with suppress(SchedulerNotFound):
                scheduler = self._schedulers.of(booking.reservation.scheduler)
                return await scheduler.restore(booking.reservation.reference)
        for made in await find_at_scheduler(self._tools, booking, booking.reservation):
            if not made.is_canceled:
                return made  # by an earlier attempt whose process died before recording it
        payment = await self._store.payment(booking.payment_id) if booking.payment_id else None
        await self._store.ask(booking.reservation)
        return await confirm_at_scheduler(self._tools, booking, payment, lock=None)

    async def leave_canceled(self, booking: Booking, *, sure: bool, why: EndReason | None = None) -> Booking:
        """Stop undoing a cancellation: because its time is not free, or because of `why`. `sure`: the scheduler has not
        made it again."""
        funds = await self._refunds.funds(booking.id)
        own = sum(refund.amount.amount for refund in funds.refunds if refund.is_of(booking))
        back = funds.sent_since(booking) + min(own, funds.left_without(booking))
        told: dict[str, str | int | bool] = {"by": booking.end_reason or "", "back": back, "undo_until": ""}
        # A customer who left before the scheduler's answer would believe that the booking is restored.
        kinds = (MailKind.CANCELED_CUSTOMER, MailKind.CANCELED_OWNER)
        mails = self._notifications.mails_due(booking, *kinds, about="kept", detail=told)
        sure = sure and not booking.reservation.unsure
        # A call that has not arrived yet would undo the release.
        find_out_at = None if sure else self._now() + 2 * SCHEDULER_LEASE
        left = await self._store.not_taken_back(booking, why=why, mails=mails, find_out_at=find_out_at)
        if left is None:
            return await self._tools.booking(booking.id)
        await self._refunds.pay_due(booking.id)
        if sure:
            await self._release.soon(left)
        return left

    async def _make_final(self, booking: Booking, payment: Payment | None) -> _Lock:
        """Turn the lock into a final booking at the scheduler, or find out why that is not possible."""
        reference = booking.reservation.reference
        if reference is None:
            return _Lock.GONE
        makes = not self._schedulers.lock_binds(booking.reservation.scheduler)
        if makes:
            await self._store.ask(booking.reservation)
        try:
            final = await confirm_at_scheduler(self._tools, booking, payment, lock=reference)
        except SchedulerNotFound:
            return _Lock.GONE
        except SchedulerRefused as error:
            log.info("the time is taken", booking=booking.id, scheduler=error.body[:500])
            return _Lock.TAKEN
        if makes:
            await self._have(booking, final, other_person=False)
        return _Lock.FINAL

    async def _rescue(self, booking: Booking, payment: Payment | None, *, taken: bool) -> Booking | None:
        """Book the same time again, unless the scheduler has just called it `taken`; else the same time with another
        resource, else None. A time that the customer chose from several is had with the person that they chose.

        An expired hold is never revived: our own old lock, if it is still there, is deleted first.
        """
        scheduler = self._schedulers.of(booking.reservation.scheduler)
        booked = await self._booked_with(booking)
        for old in await find_at_scheduler(self._tools, booking, booking.reservation):
            if old.is_canceled:
                continue
            if not old.is_temporary and old.resource_id == booking.resource_id:
                # Made by an earlier attempt whose process died before recording it.
                return await self._have(booking, old, other_person=booking.resource_id != booked)
            await scheduler.release(old.id)
        widget = self._widgets.get(booking.widget)
        if booking.starts_at <= self._now() or widget is None:
            return None
        try:
            service = await self._availability.service(widget, booking.service_id)
        except NotFound:
            return None
        chosen = booking.was_expired and not booking.lost_time
        for resource in sorted(service.resources, key=lambda resource: resource.id != booked):
            if (chosen and resource.id != booked) or (taken and resource.id == booked):
                continue
            reserved = await self._store.reserve(booking, resource, lease_until=self._now() + SCHEDULER_LEASE)
            if reserved is None:
                continue
            self._availability.took(reserved.interval)
            try:
                made = await confirm_at_scheduler(self._tools, reserved, payment, lock=None)
            except SchedulerRefused:
                await self._store.unreserve(booking, service.resource(booked))
                self._availability.freed(reserved.interval, reserved.slot, booking.service_id)
                continue
            return await self._have(booking, made, other_person=resource.id != booked)
        return None

    async def _have(self, booking: Booking, made: SchedulerBooking, *, other_person: bool) -> Booking | None:
        """The scheduler has made the booking. `booking` is the row as it was before that call."""
        return await self._store.record_lock(
            booking,
            reference=made.id,
            terms=booking.terms,
            other_person=other_person,
            unsure=booking.reservation.unsure or made.asked_twice,
        )

    async def _booked_with(self, booking: Booking) -> str:
        """The id of the person whom the customer booked. An earlier attempt with another person, whose process died
        before the answer, may have left that other person in the row."""
        asked = [
            entry for entry in await self._store.history(booking.id) if entry.what is HistoryWord.OTHER_PERSON_ASKED
        ]
        before = asked[0].detail.get("instead_of") if asked and booking.reservation.id == booking.id else None
        return str(before or booking.resource_id)

    async def _why_gone(self, booking: Booking) -> EndReason:
        """Why no time is left to book. A customer who had nothing to pay is not told about a payment."""
        if booking.payment_id is None:
            return EndReason.REFUSED
        if booking.lost_time or await was_booked_there(self._tools, booking):
            return EndReason.SLOT_GONE
        return EndReason.TAKEN

    async def _capture(self, payment: Payment) -> Payment:
        """Take the held money, and return the payment as it is then: as it was, if it was made with another account's
        key, with which alone it could be taken."""
        if payment.payment_intent_id is None:
            raise StripeRefused("no payment to capture")
        try:
            facts = await self._tools.stripe.capture(payment.payment_intent_id, amount=payment.price.amount)
        except StripeRefused as error:
            if error.stripe_code != MISSING_CODE:
                raise
            log.error("capture failed", booking=payment.booking_id, reason=error.stripe_code)
            return payment
        await self._store.record_capture(payment.id, state=facts.state, captured=facts.received)
        return replace(payment, state=facts.state, captured=facts.received)

    async def cancel_paid(self, booking: Booking, payment: Payment | None, reason: EndReason) -> Booking:
        """The booking is paid but cannot be confirmed, or no other time was chosen: refund it, and release what the
        scheduler still holds."""
        refund = self._refunds.new_refund(booking, payment, payment.price, reason) if payment else None
        kinds = [MailKind.REFUNDED_CUSTOMER, MailKind.REFUNDED_OWNER]
        if payment is None:
            kinds = [MailKind.RELEASED_CUSTOMER]
        change = Change(
            (booking.status,),
            Status.CANCELED,
            HistoryWord(reason),
            values={"end_reason": reason},
            # Without a binding lock it may be our own booking that had the time: its answer was lost, and no list shows
            # it yet. The row has been unsure of it since it was asked for.
            find_out_at=self._now() + SCHEDULER_LEASE,
            refund=refund,
            mails=self._notifications.mails_due(
                booking, *kinds, detail={"reason": reason, "refund": refund.id if refund else ""}
            ),
        )
        return await self.call_off(booking, change, pay_first=refund) or await self._tools.booking(booking.id)

    async def call_off(self, booking: Booking, change: Change, *, pay_first: Refund | None = None) -> Booking | None:
        """Claim the end of a paid booking as it was read, and only then pay the refund that is to go out `pay_first`
        and release what the scheduler holds. Returns None if the claim was lost. Where a call without an answer may
        still book the time, the worker releases it once that call must have arrived."""
        offered = await self._store.offered(booking.id) if booking.was_expired else []
        change = replace(change, unchanged_since=booking.revision)
        if self._confirmed_since.may_be_elsewhere(booking):
            change = replace(change, reservation={**change.reservation, "unsure": True})
        canceled = await self._store.claim(booking.id, change)
        if canceled is None:
            return None
        if pay_first:
            await self._refunds.pay_soon(pay_first)
        if not canceled.reservation.unsure:
            await self._release.soon(canceled)
        await self._offered_times.let_go(offered)
        return canceled
