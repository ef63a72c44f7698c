"""Cancellations that were undone after the copy of the database was made that was put back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from app.booking.as_there import COPY_KNOWN, LISTED_AFTER, follow_there
from app.booking.tools import Tools
from app.domain.booking import Booking, Status
from app.domain.refund import Refund, RefundStatus
from app.mail import MailKind
from app.scheduling.port import SchedulerBooking
from app.store import Store

log = structlog.get_logger()

#: The moment of the copy, in seconds since 1970, while its cancellations are still looked into: a process that dies
#: meanwhile has beaten already.
_COPIED_AT = "cancellations_copied_at"
#: How often a scheduler that does not answer is asked.
_AGAIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Undoable:
    """The bookings whose cancellation could still be undone at `since`, when the database was last worked on."""

    since: datetime | None = None
    ids: frozenset[str] = frozenset()


async def undoable(store: Store) -> Undoable:
    """Read before the worker begins: its first beat is younger than the copy."""
    since = await store.mark(_COPIED_AT) or await store.last_beat()
    return Undoable(since, frozenset(await store.undoable_ids(since))) if since else Undoable()


class UndoneSince:
    """Takes in that a cancellation was undone: the customer has the word, and the time is theirs at the scheduler.

    Nothing of that is in the copy, so the scheduler is asked about every booking whose cancellation could still be
    undone when the copy was made. Their refunds wait for the answer, at most for `COPY_KNOWN`.
    """

    def __init__(self, tools: Tools, undoable: Undoable) -> None:
        self._tools = tools
        self._store = tools.store
        self._notifications = tools.notifications
        self._refunds = tools.refunds
        self._now = tools.now
        self._began = self._look_at = tools.now()
        self._since = undoable.since
        self._unsure = set(undoable.ids)

    async def to_look_at(self) -> Sequence[Booking]:
        """The bookings about which it is time to ask."""
        now = self._now()
        if not self._unsure or now < self._look_at:
            return ()
        await self._store.set_mark(_COPIED_AT, self._since or now)
        self._look_at = now + _AGAIN
        found = [await self._store.booking(booking_id) for booking_id in sorted(self._unsure)]
        return [booking for booking in found if booking]

    async def look(self, booking: Booking) -> None:
        """Let the booking be confirmed again if it stands at the scheduler; else its cancellation stands. Raises
        SchedulerError and StripeError; then it is asked again."""
        async with self._tools.locks(booking.id):
            booking = await self._tools.booking(booking.id)
            if booking.status is Status.CANCELED and self._now() - self._began <= COPY_KNOWN:
                await self._put_off(booking)
                if not self._says_for_sure(booking):
                    return
                there = await self._standing(booking)
                await (self._confirm_again(booking, there) if there else self._stays_canceled(booking))
            self._unsure.discard(booking.id)
        if not self._unsure:
            await self._store.set_marks({_COPIED_AT: None})

    def _says_for_sure(self, booking: Booking) -> bool:
        """Whether what stands at the scheduler has been undone: the scheduler has heard of the cancellation, and its
        lists show what was made before this process began."""
        binds = self._tools.schedulers.lock_binds(booking.reservation.scheduler)
        return booking.reservation.due is None and (binds or self._now() >= self._began + LISTED_AFTER)

    async def _put_off(self, booking: Booking) -> None:
        until = self._look_at + _AGAIN
        for refund in await self._untried(booking):
            if refund.next_try_at and refund.next_try_at < until:
                await self._store.put_off_refund(refund.id, until=until)

    async def _untried(self, booking: Booking) -> list[Refund]:
        """The refunds that the cancellation owes."""
        return [
            refund
            for refund in await self._store.refunds(booking.id)
            if refund.is_of(booking) and refund.status == RefundStatus.REQUESTED and not refund.tries
        ]

    async def _standing(self, booking: Booking) -> SchedulerBooking | None:
        if booking.customer is None:
            return None
        scheduler = self._tools.schedulers.of(booking.reservation.scheduler)
        return await scheduler.standing(booking.id, booking.customer.email)

    async def _confirm_again(self, booking: Booking, there: SchedulerBooking) -> None:
        after = replace(booking, revision=booking.revision + 1)
        # Both were told, but the copy may have the mails about the cancellation still to send.
        mails = self._notifications.mails_due(after, MailKind.RESTORED_CUSTOMER, MailKind.RESTORED_OWNER)
        mails += self._notifications.reminder(after)
        back = await self._store.was_taken_back(booking, reference=there.id, mails=mails)
        if back is None:
            log.error("stands at the scheduler, and is not confirmed again", booking=booking.id)
            return
        log.warning("the cancellation was undone before this copy was put back", booking=booking.id)
        self._tools.availability.took(back.interval)
        await follow_there(self._tools, back, there)

    async def _stays_canceled(self, booking: Booking) -> None:
        """Where it was undone, and cancelled again, Stripe has the refund of the second cancellation: the first one
        gives nothing."""
        if await self._untried(booking) and await self._refunds.gave_by_terms_since(booking):
            for payment in await self._store.payments(booking.id):
                if payment.session_id:
                    await self._tools.look_at_payment(payment)
            for refund in await self._untried(booking):
                await self._store.record_refund(
                    refund.id, status=RefundStatus.WITHDRAWN, stripe_refund_id=None, look_at=None
                )
