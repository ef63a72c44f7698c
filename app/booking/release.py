"""Releasing times at the scheduler."""

from __future__ import annotations

import structlog

from app.booking.as_there import is_made_anew
from app.booking.at_scheduler import SCHEDULER_LEASE, find_at_scheduler
from app.booking.tools import Tools
from app.domain.booking import Booking, Status
from app.domain.reservation import GIVE_BACK, Reservation
from app.errors import (
    SchedulerError,
    SchedulerNotFound,
    SchedulerRefused,
)
from app.scheduling.port import SchedulerBooking

log = structlog.get_logger()


class Release:
    """Releases what the scheduler holds although no booking needs it."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._store = tools.store
        self._schedulers = tools.schedulers
        self._availability = tools.availability
        self._now = tools.now

    async def booking(self, booking: Booking) -> None:
        """Release the time of an ended or lost booking at the scheduler; one that was confirmed stays there as
        cancelled, for its history. If the booking still stands, delete a second copy there. Safe to repeat; raises
        SchedulerError."""
        reservation = booking.reservation
        if booking.status is Status.CONFIRMED and reservation.unsure:
            await self._delete_doubles(reservation)
            return
        if booking.status not in {Status.EXPIRED, Status.OFFERED, Status.CANCELED}:
            return
        if booking.canceled_at and reservation.reference:
            await self._cancel_at_scheduler(reservation, reservation.reference)
            return
        await self._let_go(reservation)

    async def soon(self, booking: Booking) -> None:
        try:
            await self.booking(booking)
        except SchedulerError as error:
            log.warning("release put off", booking=booking.id, error=type(error).__name__)

    async def due(self, reservation: Reservation) -> None:
        """Do what is due about a reservation that is over, whether of an ended booking, of an ended move, or the time
        that a finished one has left. Safe to repeat; raises SchedulerError."""
        booking = await self._tools.booking(reservation.booking_id)
        if booking.reservation.id == reservation.id:
            await self.booking(booking)
        elif reservation.due in {None, *GIVE_BACK}:
            await self._let_go(reservation)

    async def reservation_soon(self, reservation_id: str) -> None:
        """The same for a time that the booking does not have, at once if the scheduler answers. Where a call that was
        never answered may still book it, the worker looks once that call must have arrived: a look before would find
        nothing, and take that for certain."""
        reservation = await self._store.reservation(reservation_id)
        if reservation is None or reservation.unsure:
            return
        try:
            await self.due(reservation)
        except SchedulerError as error:
            log.warning("release put off", reservation=reservation.id, error=type(error).__name__)

    async def _let_go(self, reservation: Reservation) -> None:
        if reservation.reference:
            await self._schedulers.of(reservation.scheduler).release(reservation.reference)
        if reservation.unsure:
            await self._delete_tagged(reservation)
        await self._store.record_release(reservation)
        self._availability.freed(reservation.interval, reservation.slot, reservation.service_id)

    async def _delete_tagged(self, reservation: Reservation, *, but: str = "") -> None:
        """Delete what the scheduler has under the tag: a call whose answer was lost may have made it."""
        booking = await self._tools.booking(reservation.booking_id)
        own = booking.reservation.id == reservation.id
        has = None if own else booking.reservation.reference
        found = await find_at_scheduler(self._tools, booking, reservation)
        if own and booking.status is Status.CANCELED:
            found += await self._moved_unheard(booking)
        for lost in {one.id: one for one in found}.values():
            if not lost.is_canceled and lost.id not in {but, has}:
                await self._schedulers.of(reservation.scheduler).release(lost.id)

    async def _moved_unheard(self, booking: Booking) -> list[SchedulerBooking]:
        """What a cancelled booking has at another time: its owner has moved what a lost answer had made, or it was
        moved after the copy of the database was made that was put back."""
        if booking.customer is None or not is_made_anew(self._tools, booking):
            return []
        scheduler = self._schedulers.of(booking.reservation.scheduler)
        there = await scheduler.standing(booking.id, booking.customer.email)
        return [there] if there else []

    async def _delete_doubles(self, reservation: Reservation) -> None:
        """The scheduler was asked again while an answer was missing, and both calls may have booked."""
        found = await find_at_scheduler(self._tools, await self._tools.booking(reservation.booking_id), reservation)
        # Read after the look: what a move was making when it was seen is known by now, or the move is still open.
        booking = await self._tools.booking(reservation.booking_id)
        if booking.reservation.id != reservation.id or booking.status is not Status.CONFIRMED:
            return
        if await self._store.open_move(booking.id):
            await self._store.put_off_reservation(reservation.id, until=self._now() + SCHEDULER_LEASE)
            return
        for double in found:
            if not double.is_canceled and double.id != booking.reservation.reference:
                log.warning("booked twice, one given back", booking=booking.id)
                await self._schedulers.of(reservation.scheduler).release(double.id)
        await self._store.record_sure(booking.reservation)

    async def _cancel_at_scheduler(self, reservation: Reservation, reference: str) -> None:
        # For one process alone: a call that lands after the customer has taken the cancellation back would undo that.
        if not await self._store.lease_reservation(reservation, until=self._now() + SCHEDULER_LEASE):
            return
        scheduler = self._schedulers.of(reservation.scheduler)
        if reservation.unsure:
            await self._delete_tagged(reservation, but=reference)
        try:
            await scheduler.cancel(reference)
        except SchedulerNotFound:
            await self._store.record_release(reservation)
        except SchedulerRefused as error:
            # The scheduler's own threshold must not contradict what the customer was told; a deletion asks for none.
            log.error(
                "deleted, since the scheduler refused to cancel",
                booking=reservation.booking_id,
                fields=sorted(error.errors),
            )
            await scheduler.release(reference)
            await self._store.record_release(reservation)
        else:
            await self._store.record_cancel(reservation)
        self._availability.freed(reservation.interval, reservation.slot, reservation.service_id)
