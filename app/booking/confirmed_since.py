"""Paid bookings that were confirmed after the copy of the database was made that was put back."""

from __future__ import annotations

from datetime import datetime

from app.booking.as_there import COPY_KNOWN, LISTED_AFTER, follow_there, is_made_anew, may_not_be_listed, there_now
from app.booking.tools import Tools
from app.domain.booking import Booking, Status
from app.domain.payment import Payment
from app.errors import SchedulerFailed


class ConfirmedSince:
    """Asks the scheduler once about each booking that is older than this process, before it is confirmed.

    A copy may have been put back before the process began, and the booking been made, and moved, since the copy.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._schedulers = tools.schedulers
        self._now = tools.now
        self._began = tools.now()
        #: Whether the scheduler had the booking, by the ids of those about which it was asked.
        self._stood: dict[str, bool] = {}

    async def take_in(self, booking: Booking, payment: Payment | None) -> Booking:
        """The booking where a move has made it anew, as moves do where locks do not bind, or where its customer has
        chosen one of the times that were offered for a late payment: made again at the time that the copy knows, it
        would be there twice. Raises SchedulerError, StripeError, and BookingConflict if it was changed meanwhile."""
        if booking.created_at > self._began or booking.id in self._stood:
            return booking
        binds = self._schedulers.lock_binds(booking.reservation.scheduler)
        there = None
        if booking.lost_time:
            scheduler, customer = self._schedulers.of(booking.reservation.scheduler), booking.customer
            there = await scheduler.standing(booking.id, customer.email) if customer else None
        elif not binds:
            there = await there_now(self._tools, booking)
        if there:
            booking = await follow_there(self._tools, booking, there)
        elif not binds and may_not_be_listed(self._tools, booking, await self._made_at(booking, payment)):
            raise SchedulerFailed("what was made just before this process began may not be listed yet")
        self._stood[booking.id] = there is not None
        return booking

    def may_be_elsewhere(self, booking: Booking) -> bool:
        """Whether the scheduler may have a booking under an id that is not in the row: a paid one that was confirmed
        since the copy, or a confirmed one that was moved since. What may have been chosen since from offered times is
        `LateMoney.as_there`'s to ask."""
        if booking.created_at >= self._began or not is_made_anew(self._tools, booking):
            return False
        if booking.status is Status.PAID:
            return self._stood.get(booking.id, True)
        return booking.status is Status.CONFIRMED and self._now() <= self._began + COPY_KNOWN

    async def _made_at(self, booking: Booking, payment: Payment | None) -> datetime | None:
        """When a booking may have been made last before this process began, of whose payment the rows learn only now;
        None if that was long ago, or cannot be. Raises StripeError."""
        soon = self._now() < self._began + LISTED_AFTER
        if not soon or await paid_at(self._tools, booking) < self._began or payment is None or not payment.session_id:
            return None
        if booking.lost_time:  # another time may have been chosen up to the end
            return self._began
        charged_at = (await self._tools.look_at_payment(payment)).charged_at
        return charged_at if charged_at and charged_at < self._began else None


async def paid_at(tools: Tools, booking: Booking) -> datetime:
    """When the row last became paid."""
    history = await tools.store.history(booking.id)
    return max(entry.at for entry in history if entry.status is Status.PAID)
