"""Times that are held for a customer whose payment came too late: choosing one, and the end of the offer."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from app.booking.at_scheduler import SCHEDULER_LEASE, find_at_scheduler
from app.booking.confirm import Confirm
from app.booking.offered_times import OfferedTimes
from app.booking.tools import Tools
from app.domain.booking import Booking, EndReason, Status
from app.domain.history import HistoryWord
from app.domain.reservation import Reservation
from app.errors import BookingConflict, SchedulerError, SchedulerNotFound
from app.store.change import Change


class LateMoney:
    """Books the chosen time, or ends the offer. Until then the customer can get a refund through `Cancel`.

    `choosing` are the bookings that were offered times when this process began. A backup may have been put back
    meanwhile, so the scheduler is asked about these before anything is done: see `as_there`.
    """

    def __init__(
        self, tools: Tools, offered_times: OfferedTimes, confirm: Confirm, choosing: Collection[str] = ()
    ) -> None:
        self._tools = tools
        self._store = tools.store
        self._act_limits = tools.act_limits
        self._now = tools.now
        self._locks = tools.locks
        self._offered_times = offered_times
        self._confirm = confirm
        self._choosing = set(choosing)
        self._chosen_since = frozenset(choosing)

    async def choose(self, booking_id: str, offer_id: str) -> Booking:
        """Book one of the times that are offered. The others stay held until it is final; where it cannot be had any
        more, they are offered again, or everything goes back. A second call returns what the first one did.

        Where the scheduler does not answer the booking stays `PAID`, and the worker goes on. Raises BookingConflict
        where this time is not held for the customer any more, and SchedulerError as `as_there` does.
        """
        async with self._locks(booking_id):
            booking = await self.as_there(await self._tools.booking(booking_id))
            if booking.reservation.id == offer_id and booking.status in {Status.PAID, Status.CONFIRMED}:
                return booking
            if booking.status is not Status.OFFERED:
                raise BookingConflict(booking.status)
            await self._act_limits.change(booking_id)
            chosen = await self._store.claim(booking_id, _choice(booking, offer_id))
            if chosen is None:
                raise BookingConflict("not held any more")
            return await self._confirm.finalize_soon(chosen)

    async def as_there(self, booking: Booking) -> Booking:
        """The booking at the offered time that is final at the scheduler: it was chosen after the copy was made that
        was put back. Call it with the booking's lock. Raises SchedulerError."""
        if booking.id not in self._choosing or booking.status is not Status.OFFERED:
            return booking
        for offered in await self._store.offered(booking.id):
            if await self._is_final(booking, offered):
                chosen = await self._store.claim(booking.id, _choice(booking, offered.id, before=True))
                return await self._confirm.finalize_soon(chosen) if chosen else await self._tools.booking(booking.id)
        self._choosing.discard(booking.id)
        return booking

    async def _as_there_in_time(self, booking: Booking) -> Booking:
        """The same. Once all the offered times have begun, waiting for the scheduler no longer helps."""
        try:
            return await self.as_there(booking)
        except SchedulerError:
            offered = await self._store.offered(booking.id)
            if any(one.starts_at > self._now() for one in offered):
                raise
            return booking

    async def _is_final(self, booking: Booking, offered: Reservation) -> bool:
        found = []
        if offered.reference:
            with suppress(SchedulerNotFound):
                found = [await self._tools.schedulers.of(offered.scheduler).read(offered.reference)]
        else:
            found = await find_at_scheduler(self._tools, booking, offered)
        return any(not one.is_temporary and not one.is_canceled for one in found)

    async def lapse(self, booking: Booking) -> Booking:
        """Release the times that were not chosen in time; if none is left, refund. Where the money has gone back
        already, all end. Safe to repeat. Raises StripeError, and SchedulerError as `as_there` does, until all these
        times have begun."""
        async with self._locks(booking.id):
            booking = await self._as_there_in_time(await self._tools.booking(booking.id))
            if booking.status is not Status.OFFERED:
                return booking
            refunded = await self._confirm.end_refunded(booking)
            if refunded or booking.deadline > self._now():
                return refunded or booking
            offered = await self._store.offered(booking.id)
            left = await self._store.lapse_offers(booking)
            if left is None:
                if await self._called_off_since(booking):
                    return await self._stays_called_off(booking)
                payment = await self._store.payment(booking.payment_id) if booking.payment_id else None
                return await self._confirm.cancel_paid(booking, payment, EndReason.NOT_CHOSEN)
            kept = {one.id for one in await self._store.offered(booking.id)}
            await self._offered_times.let_go([one for one in offered if one.id not in kept])
            return left

    async def _called_off_since(self, booking: Booking) -> bool:
        """Whether the customer had chosen a time, and cancelled it, after the copy was made that was put back: Stripe
        has a refund of ours that we do not know, of what the terms give. Raises StripeError."""
        return booking.id in self._chosen_since and await self._tools.refunds.gave_by_terms_since(booking)

    async def _stays_called_off(self, booking: Booking) -> Booking:
        """Both were told then, and what the terms give has gone back."""
        for payment in await self._store.payments(booking.id):
            if payment.session_id:
                await self._tools.look_at_payment(payment)
        now, reason = self._now(), EndReason.BY_CUSTOMER
        change = Change(
            (Status.OFFERED,),
            Status.CANCELED,
            HistoryWord(reason),
            unchanged_since=booking.revision,
            values={"end_reason": reason, "canceled_at": now, "undo_until": now},
            find_out_at=now + SCHEDULER_LEASE,
        )
        return await self._confirm.call_off(booking, change) or await self._tools.booking(booking.id)


def _choice(booking: Booking, offer_id: str, *, before: bool = False) -> Change:
    return Change(
        (Status.OFFERED,),
        Status.PAID,
        HistoryWord.CHOSEN,
        unchanged_since=booking.revision,
        chooses=offer_id,
        chosen_before=before,
        values={"revision": booking.revision + 1},
    )
