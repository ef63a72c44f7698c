"""What Stripe and the scheduler have with our tag and this database has not, and what it has and they have not; and
putting that right, one kind at a time, when the owner says so.

After a backup was put back the server does by itself what is safe. What is left for people is shown here: money and
bookings of which nothing here knows any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from app.booking.acts import Acts
from app.booking.tools import Tools
from app.domain.booking import Booking, Status
from app.domain.payment import Payment, PaymentState, StrayPayment
from app.payments.facts import CheckoutFacts
from app.scheduling.port import SchedulerBooking

_TAGS = ("bk_", "mv_")
_PAID = frozenset({PaymentState.AUTHORIZED, PaymentState.CAPTURED})


@dataclass(frozen=True, slots=True)
class Unknown:
    """A booking at a scheduler of which no row of ours has anything, or whose own row says that it is over."""

    scheduler: str
    booking: SchedulerBooking

    @property
    def tag(self) -> str:
        """Our tag on it."""
        return str(self.booking.metadata.get("holdfast_id", ""))


@dataclass(frozen=True, slots=True)
class Differences:
    """What does not fit together.

    `adoptable` are paid Sessions of bookings that we know, `strays` payments of bookings that we do not know. `holds`
    are the scheduler's temporary bookings under a tag of which no row of ours has anything, `finals` its final ones,
    and those whose booking here has ended. `gone` are confirmed bookings that the scheduler does not have, `unheard`
    payments of which Stripe does not have the Session.
    """

    adoptable: Sequence[CheckoutFacts]
    strays: Sequence[StrayPayment]
    holds: Sequence[Unknown]
    finals: Sequence[Unknown]
    gone: Sequence[Booking]
    unheard: Sequence[Payment]

    def __bool__(self) -> bool:
        return any((self.adoptable, self.strays, self.holds, self.finals, self.gone, self.unheard))


class Reconciling:
    """Compares, and acts. All of it raises SchedulerError, StripeError."""

    def __init__(self, tools: Tools, acts: Acts) -> None:
        self._store = tools.store
        self._schedulers = tools.schedulers
        self._payments = tools.payments
        self._acts = acts
        self._strays = tools.strays
        self._now = tools.now

    async def look(self, *, days: int) -> Differences:
        """Compare with Stripe's Sessions of the last `days`, and with the scheduler's bookings that are still to come.
        Nothing is changed, except that payments of unknown bookings are written down, as the server does."""
        since = self._now() - timedelta(days=days)
        sessions = await self._payments.completed_sessions(created_after=since) if self._payments else []
        adoptable = [facts for facts in sessions if await self._is_adoptable(facts)]
        for facts in sessions:
            if facts.is_tagged and await self._store.booking(facts.booking_id or "") is None:
                await self._strays.notice(facts)
        final = {name: await one.coming(self._now()) for name, one in self._schedulers.items()}
        # Whatever the scheduler's clock says: a hold's row is written before the scheduler is asked, so an unknown one
        # is not new.
        soon = self._now() + timedelta(days=1)
        temporary = {name: await one.locks(created_before=soon) for name, one in self._schedulers.items()}
        there = {booking.id for listed in final.values() for booking in listed if not booking.is_canceled}
        complete = {facts.id for facts in sessions}
        return Differences(
            adoptable=adoptable,
            strays=await self._strays.open(),
            holds=await self._unknown(temporary),
            finals=await self._unknown(final),
            gone=[booking async for booking in self._store.standing() if booking.reservation.reference not in there],
            unheard=[
                payment
                for payment in (await self._store.captured_since(since) if self._payments else [])
                if payment.session_id not in complete
            ],
        )

    async def _is_adoptable(self, facts: CheckoutFacts) -> bool:
        if facts.state not in _PAID or not facts.is_tagged:
            return False
        known = await self._store.payment(facts.payment_id or "")
        return known is None and await self._store.booking(facts.booking_id or "") is not None

    async def _unknown(self, listed: Mapping[str, Sequence[SchedulerBooking]]) -> list[Unknown]:
        return [
            Unknown(name, booking)
            for name, bookings in listed.items()
            for booking in bookings
            if await self._is_unknown(booking)
        ]

    async def _is_unknown(self, there: SchedulerBooking) -> bool:
        tag = str(there.metadata.get("holdfast_id", ""))
        if there.is_canceled or not tag.startswith(_TAGS):
            return False
        booking, move = await self._store.booking(tag), await self._store.move(tag)
        if there.is_temporary or booking is None:
            return booking is None and move is None
        called_off = booking.status is Status.CANCELED and booking.reservation.due is None
        return called_off or booking.status is Status.EXPIRED

    # -- putting right ---------------------------------------------------------------------------------------

    async def adopt(self, facts: CheckoutFacts) -> Booking:
        """Take a payment in for its booking, and let that follow."""
        await self._acts.adopt.take_session(facts)
        return await self._acts.settle.booking(facts.booking_id or "")

    async def refund(self, stray: StrayPayment) -> None:
        """Send a payment of an unknown booking back."""
        await self._strays.refund(stray)

    async def settle_by_hand(self, stray: StrayPayment) -> bool:
        """The owner has dealt with such a payment. False if that was noted before."""
        return await self._strays.settle_by_hand(stray)

    async def release(self, unknown: Unknown) -> None:
        """Give the time of an unknown booking back: a temporary one is deleted, a final one cancelled, so that it stays
        in the scheduler's history."""
        scheduler = self._schedulers.of(unknown.scheduler)
        if unknown.booking.is_temporary:
            await scheduler.release(unknown.booking.id)
        else:
            await scheduler.cancel(unknown.booking.id)
