"""Follows what the owner does in the scheduler itself: cancelled or deleted there is cancelled here and the money goes
back, moved there has the new time here. Customers are told; nothing of it is written to the scheduler again.

Anyone who tells us that something may have changed, a webhook or a list, gives no more than a hint: the booking is read
from the scheduler, and what it says is compared with our row as it was read before. A change of our own that comes
between the two is seen in the claim, which then does nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from app.booking.as_there import COPY_KNOWN, agrees, moved_to, rename, take_time
from app.booking.at_scheduler import find_at_scheduler
from app.booking.moves import Moves
from app.booking.own_page import was_booked_there
from app.booking.policy import Policy, everything
from app.booking.take_payment import UNPAID, TakePayment
from app.booking.tools import Tools
from app.domain.booking import Actor, Booking, EndReason, Status
from app.domain.history import HistoryWord
from app.domain.move import MoveState
from app.domain.set_back import is_ahead
from app.errors import (
    BookingConflict,
    SchedulerError,
    SchedulerNotFound,
    StripeError,
)
from app.mail import MailKind
from app.scheduling.port import Scheduler, SchedulerBooking
from app.scheduling.successors import with_successors
from app.store.change import Change

log = structlog.get_logger()

#: When a scheduler was last asked what has changed, and for the list of all bookings, in seconds since 1970. The
#: scheduler's name is put before these.
_CHANGED, _WHOLE = "changes_read", "bookings_read"
#: The scheduler's clock and ours may differ, and a list may lag.
_OVERLAP = timedelta(minutes=10)
#: How far back the very first look goes.
_FIRST_LOOK_BACK = timedelta(days=1)
#: Deleted bookings are in no list of changes. They are noticed because they are missing from the list of all, which
#: costs more calls the longer it is.
_WHOLE_EVERY = timedelta(days=1)
#: At most so many bookings are read one by one in one pass; the next pass continues so much later.
_MOST = 50
_GO_ON = timedelta(minutes=1)


class Follow:
    """Follows changes that were made at the scheduler."""

    def __init__(self, tools: Tools, moves: Moves, policy: Policy, take_payment: TakePayment) -> None:
        self._tools = tools
        self._store = tools.store
        self._schedulers = tools.schedulers
        self._availability = tools.availability
        self._notifications = tools.notifications
        self._refunds = tools.refunds
        self._now = tools.now
        self._locks = tools.locks
        self._moves = moves
        self._policy = policy
        self._take_payment = take_payment
        self._began = tools.now()
        #: The schedulers that have been asked since this process began, which may have been with an older copy of the
        #: database: what has changed since the copy is asked at once.
        self._asked: set[str] = set()

    async def booking(self, booking_id: str) -> Booking:
        """Read the booking from the scheduler, and let ours be what it is there. Safe to repeat; costs nothing for a
        booking that is over, or not final there: tidying up old entries refunds nothing.

        An unpaid move is ended first. Raises SchedulerError, StripeError, and BookingConflict where the booking is
        being changed here at the same time; then nothing changed, and the next try decides.
        """
        async with self._locks(booking_id):
            for _ in range(2):  # the second time after a move was ended, whatever became of it
                booking = await self._tools.booking(booking_id)
                if booking.status in UNPAID and await was_booked_there(self._tools, booking):
                    return await self._unpaid(booking)
                over = booking.ends_at <= self._now()
                if booking.status is not Status.CONFIRMED or over or booking.reservation.reference is None:
                    return booking
                there, by = await self._there(booking, booking.reservation.reference)
                if there and agrees(booking, there):
                    return await rename(self._tools, booking, there)
                if not await self._end_move(booking_id):
                    break
            if there is None or there.is_canceled:
                return await self._called_off_there(booking, there, by)
            return await self._moved_there(await rename(self._tools, booking, there), there, by)

    async def _unpaid(self, booking: Booking) -> Booking:
        """A booking that is final there before it is paid: if it is cancelled there, nothing is left to pay for; if it
        is moved there, the customer pays for the new time."""
        there, by = await self._there(booking, booking.reservation.reference or "")
        if there is None or there.is_canceled:
            reason = EndReason.GIVEN_UP if by is Actor.CUSTOMER else EndReason.BY_OWNER
            return await self._take_payment.end_unpaid(booking, reason)
        booking = await rename(self._tools, booking, there)
        if agrees(booking, there):
            return booking
        return await take_time(self._tools, booking, moved_to(there, booking))

    async def _there(self, booking: Booking, reference: str) -> tuple[SchedulerBooking | None, Actor]:
        """The booking as the scheduler has it, under whatever id it has now, and who has changed it (the owner if that
        is not known). None if it is gone."""
        scheduler, by = self._schedulers.of(booking.reservation.scheduler), Actor.OWNER
        try:
            there = await scheduler.read(reference)
        except SchedulerNotFound:
            # With the token of another project everything would be gone, and everyone refunded.
            if booking.location_id not in {location.id for location in await scheduler.locations()}:
                log.error("neither the booking nor its location is in the scheduler", booking=booking.id)
                raise
        else:
            async for one in with_successors(scheduler.read, there):
                # Anyone who has moved a booking has not cancelled what it became.
                there, by = one, one.canceled_by or (Actor.OWNER if one.is_canceled else by)
            return there, by
        # The database may have been put back as it was before the booking had this id.
        for found in await find_at_scheduler(self._tools, booking, booking.reservation):
            if not found.is_canceled and not found.is_temporary:
                return found, by
        return None, by

    async def _end_move(self, booking_id: str) -> bool:
        """End the booking's open move if that is possible. Returns whether there was one."""
        move = await self._store.open_move(booking_id)
        if move and move.state is MoveState.HELD:
            await self._moves.expire(move, EndReason.BY_OWNER)
        elif move:
            await self._moves.follow(move)
        return move is not None

    async def _called_off_there(self, booking: Booking, there: SchedulerBooking | None, by: Actor) -> Booking:
        """Nobody takes it back. A customer who cancelled by the scheduler's own link gets what the terms give; from the
        owner, or where it is not known who it was, everything that is left comes back."""
        now, kept = self._now(), there is not None
        funds = await self._refunds.funds(booking.id)
        back = everything(booking, funds)
        called_off_since = await self._called_off_since(booking)
        if called_off_since:
            by, back = Actor.CUSTOMER, replace(back, amount=0)
        elif by is Actor.CUSTOMER:
            back = self._policy.at(booking, None, now, funds).refund
        after = replace(booking, revision=booking.revision + 1)
        told: dict[str, str | int | bool] = {"by": by, "back": back.amount, "undo_until": ""}
        kinds = (MailKind.CANCELED_CUSTOMER, MailKind.CANCELED_OWNER)
        change = Change(
            (Status.CONFIRMED,),
            Status.CANCELED,
            HistoryWord(by),
            unchanged_since=booking.revision,
            values={"end_reason": by, "canceled_at": now, "undo_until": now, "revision": after.revision},
            reservation={"canceled": True} if kept else {"reference": None},
            owes=self._refunds.due_on_cancellation(after, back, by),
            mails=[] if called_off_since else self._notifications.mails_due(after, *kinds, detail=told),
            detail={"back": back.amount, "in": "scheduler"},
        )
        canceled = await self._store.claim(booking.id, change)
        if canceled is None:
            raise BookingConflict("changed meanwhile")
        log.info("canceled in the scheduler", booking=booking.id, deleted=not kept)
        self._availability.freed(booking.interval, booking.slot, booking.service_id)
        await self._refunds.pay_due(booking.id)
        return await self._tools.booking(booking.id)

    async def _called_off_since(self, booking: Booking) -> bool:
        """Whether the customer has cancelled it after the copy was made that was put back: Stripe has a refund of ours
        that we do not know, of what the terms give. Both were told then. Stripe is asked for some hours after the start
        only."""
        asks = self._now() - self._began <= COPY_KNOWN
        return asks and await self._refunds.gave_by_terms_since(booking)

    async def _moved_there(self, booking: Booking, there: SchedulerBooking, by: Actor) -> Booking:
        """Take over the scheduler's time and person; the price stays as it was booked."""
        after = moved_to(there, booking)
        told: dict[str, str | int | bool] = {
            "from": booking.starts_at.isoformat(),
            "was": booking.service_name,
            "by": by,
            "difference": 0,
        }
        mails = self._notifications.mails_due(after, MailKind.MOVED_CUSTOMER, MailKind.MOVED_OWNER, detail=told)
        mails += self._notifications.reminder(after)
        return await take_time(self._tools, booking, after, mails=mails)

    async def reconcile(self, *, most: int = _MOST) -> datetime:
        """Ask each scheduler, if it is time for that, what has changed and, once a day, what there is, and follow what
        differs: `most` bookings at once; while more differ, the same is asked again soon. Returns when it is time
        again: a small share of the calls goes into this. Raises SchedulerError and StripeError after all were asked;
        the one that failed is asked the same again."""
        standing = await self._store.count_standing()
        again: list[datetime] = []
        failed: SchedulerError | StripeError | None = None
        for name in self._schedulers:
            try:
                again.append(await self._reconcile(name, standing.get(name, 0), most))
            except (SchedulerError, StripeError) as error:  # it must not keep the others waiting
                log.warning("scheduler not read", scheduler=name, error=type(error).__name__)
                failed = error
        if failed:
            raise failed
        return min(again)

    async def _reconcile(self, name: str, standing: int, most: int) -> datetime:
        now = self._now()
        changed_mark, whole_mark = f"{name}:{_CHANGED}", f"{name}:{_WHOLE}"
        changed, whole = await self._store.marks(changed_mark, whole_mark)
        if changed is None or whole is None:
            changed, whole = changed or now - _FIRST_LOOK_BACK, whole or now
            await self._store.set_mark(changed_mark, changed)
            await self._store.set_mark(whole_mark, whole)
        scheduler = self._schedulers.of(name)
        rest_whole = self._availability.rest(name, scheduler.calls_to_list(standing + 1))
        every, every_whole = self._availability.rest(name, 1), max(_WHOLE_EVERY, rest_whole)
        # The clock was set back: nobody knows how long ago it was asked.
        ahead = is_ahead(max(changed, whole), now)
        if ahead or now >= whole + every_whole:
            if standing and not await self._follow_all(name, scheduler, most):
                return now + _GO_ON
            self._asked.add(name)
            await self._store.set_marks({whole_mark: now, changed_mark: now})
            return now + every
        if now >= changed + every or name not in self._asked:
            if standing and not await self._follow_changed(name, scheduler, changed - _OVERLAP, most):
                return now + _GO_ON
            self._asked.add(name)
            await self._store.set_mark(changed_mark, now)
            return min(now + every, whole + every_whole)
        return min(changed + every, whole + every_whole)

    async def _follow_changed(self, name: str, scheduler: Scheduler, since: datetime, most: int) -> bool:
        there = {booking.id: booking for booking in await scheduler.changed(since)}
        known = await self._store.standing_among(name, there)
        return await self._follow_each([ours for ours in known if not agrees(ours, there[_id(ours)])], most)

    async def _follow_all(self, name: str, scheduler: Scheduler, most: int) -> bool:
        there = {booking.id: booking for booking in await scheduler.coming(self._now())}
        known = self._store.standing(name)
        return await self._follow_each([ours async for ours in known if not agrees(ours, there.get(_id(ours)))], most)

    async def _follow_each(self, differing: Sequence[Booking], most: int) -> bool:
        """Follow `most` of them; whether that is all. What cannot be followed now does not count, or it could keep the
        others waiting; the list of all names it again within a day."""
        followed = 0
        for number, booking in enumerate(differing):
            if followed == most:
                log.warning("more bookings differ from the scheduler's", left=len(differing) - number)
                return False
            try:
                await self.booking(booking.id)
            except BookingConflict:
                log.info("changed here at the same time", booking=booking.id)
            else:
                followed += 1
        return True


def _id(booking: Booking) -> str:
    return booking.reservation.reference or ""
