"""Giving a time back at the scheduler."""

from __future__ import annotations

from datetime import timedelta

import structlog

from app.booking.tools import Tools
from app.domain.booking import Booking, Status
from app.errors import (
    SchedulerError,
    SchedulerNotFound,
    SchedulerRefused,
)

log = structlog.get_logger()

#: How long one process has for making a booking afresh before another one may try. Longer than Hapio's client takes
#: for one booking at the worst; renewed for each.
RESCUE_LEASE = timedelta(minutes=2)


class Release:
    """Gives back what an ended booking still holds."""

    def __init__(self, tools: Tools) -> None:
        self._store = tools.store
        self._scheduler = tools.scheduler
        self._availability = tools.availability
        self._now = tools.now

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
            await self.delete_tagged(booking)
        await self._store.record_release(booking.id, hapio_booking_id=booking.hapio_booking_id)
        self._availability.freed(booking.interval, booking.slot, booking.service_id)

    async def soon(self, booking: Booking) -> None:
        try:
            await self.release(booking)
        except SchedulerError as error:
            log.warning("release put off", booking=booking.id, error=type(error).__name__)

    async def delete_tagged(self, booking: Booking, *, but: str = "") -> None:
        """Delete what Hapio has under our booking's tag: a create whose answer was lost may have made it."""
        for lost in await self._scheduler.find_bookings(booking.id):
            if not lost.is_canceled and lost.id != but:
                await self._scheduler.delete_booking(lost.id)

    async def _cancel_at_scheduler(self, booking: Booking, hapio_booking_id: str) -> None:
        # For one process alone: a call that lands after the customer has taken the cancellation back would undo that.
        if booking.hapio_canceled or not await self._store.lease(booking, until=self._now() + RESCUE_LEASE):
            return
        if booking.hapio_unsure:
            await self.delete_tagged(booking, but=hapio_booking_id)
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
