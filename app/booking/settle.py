"""Reads Stripe and the scheduler, and brings a booking into the state that follows from both."""

from __future__ import annotations

import structlog

from app.booking.adopt import Adopt
from app.booking.take_payment import UNPAID, TakePayment
from app.booking.tools import Tools
from app.domain.booking import Booking, EndReason
from app.errors import (
    SchedulerError,
    StripeError,
)

log = structlog.get_logger()


class Settle:
    """Settles a booking, and ends one whose deadline has passed. Safe to repeat."""

    def __init__(self, tools: Tools, take_payment: TakePayment, adopt: Adopt) -> None:
        self._tools = tools
        self._now = tools.now
        self._locks = tools.locks
        self._take_payment = take_payment
        self._adopt = adopt

    async def booking(self, booking_id: str) -> Booking:
        """Read Stripe and the scheduler, and bring the booking into the state that follows. Safe to repeat.

        If a provider does not answer, nothing changes, and the worker tries again.
        """
        try:
            await self._adopt.catch_up(booking_id)
            async with self._locks(booking_id):
                return await self._take_payment.settle(await self._tools.booking(booking_id))
        except (SchedulerError, StripeError) as error:
            log.warning("settle put off", booking=booking_id, error=type(error).__name__, code=error.code)
            return await self._tools.booking(booking_id)

    async def expire(self, booking: Booking) -> Booking:
        """The deadline has passed. Raises StripeError: without Stripe's answer nothing is released. Raises
        SchedulerError for an inherited booking: see `TakePayment.close`."""
        await self._adopt.catch_up(booking.id)
        async with self._locks(booking.id):
            booking = await self._tools.booking(booking.id)
            if booking.status not in UNPAID or booking.deadline > self._now():
                return booking
            return await self._take_payment.end_unpaid(booking, EndReason.DEADLINE)
