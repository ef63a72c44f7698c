"""Other times for a customer whose payment came when the booked time was gone: finding, holding and releasing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from app.booking.at_scheduler import LOCK_MARGIN, SCHEDULER_LEASE, UNSURE_PATIENCE, heed_refusal, lock_at_scheduler
from app.booking.new_booking import another_reservation
from app.booking.release import Release
from app.booking.tools import Tools
from app.domain.booking import Booking, Status
from app.domain.catalogue import Resource, Service, Slot
from app.domain.history import HistoryWord
from app.domain.payment import Payment, PaymentState
from app.domain.reservation import Reservation
from app.errors import NotFound, SchedulerRefused
from app.mail import MailKind
from app.store.change import Change
from app.widgets import Widget

log = structlog.get_logger()

#: More would keep too much of the calendar from others, and would be too long for a mail.
MOST_OFFERED = 3
#: A time that cannot be held for this long is not offered: the customer has to find the mail first.
SHORTEST_OFFER = timedelta(minutes=30)
#: Money that is only held on a card lapses after 4 days and 18 hours at the earliest (Stripe docs, "Place a hold on a
#: payment method"), and must be captured before that.
LONGEST_CARD_HOLD = timedelta(days=4)
#: How many of the nearest times are considered; those that overlap one another are one choice.
_NEAREST = 40


class OfferedTimes:
    """Holds up to three other times for a booking that is paid and has lost its own."""

    def __init__(self, tools: Tools, release: Release) -> None:
        self._tools = tools
        self._store = tools.store
        self._schedulers = tools.schedulers
        self._availability = tools.availability
        self._widgets = tools.widgets
        self._notifications = tools.notifications
        self._now = tools.now
        self._release = release

    async def offer(self, booking: Booking, payment: Payment | None) -> Booking | None:
        """Offer the customer other times; None where there are none, so that the money has to go back.

        Of a booking whose hold had expired they are looked for and held. Where one that was chosen could not be had,
        the others still stand. Call it with the booking's lease. Safe to repeat; raises SchedulerError.
        """
        if payment is None or not booking.was_expired:
            return None
        if booking.lost_time:
            await self._hold(booking, payment)
        now = self._now()
        standing = [
            one for one in await self._store.offered(booking.id) if one.offered_until and one.offered_until > now
        ]
        if not standing:
            return None
        after = replace(booking, revision=booking.revision + 1)
        kinds = (MailKind.OFFERED_CUSTOMER, MailKind.OFFERED_OWNER)
        told = {"again": not booking.lost_time, "binds": self._binds(booking)}
        change = Change(
            (Status.PAID,),
            Status.OFFERED,
            HistoryWord.OFFERED,
            unchanged_since=booking.revision,
            values={
                "deadline": min(one.offered_until for one in standing if one.offered_until),
                "revision": after.revision,
            },
            # What was asked of the scheduler without an answer may land yet.
            find_out_at=now + SCHEDULER_LEASE,
            mails=self._notifications.mails_due(after, *kinds, detail=told),
            detail={"times": [one.starts_at.isoformat() for one in standing]},
        )
        offered = await self._store.claim(booking.id, change)
        return offered or await self._tools.booking(booking.id)

    def _binds(self, booking: Booking) -> bool:
        return self._schedulers.lock_binds(booking.reservation.scheduler)

    async def let_go(self, offered: Sequence[Reservation]) -> None:
        """Give back, as far as the scheduler answers, what a change has just ended; else the worker does."""
        for one in offered:
            await self._release.reservation_soon(one.id)

    async def _hold(self, booking: Booking, payment: Payment) -> None:
        held: list[Reservation] = []
        # By an earlier attempt whose process died before it was done.
        for one in await self._store.offered(booking.id):
            if one.unsure:
                await self._store.withdraw_offer(one, unsure=True, find_out_at=self._now() + UNSURE_PATIENCE)
            else:
                held.append(one)
        widget = self._widgets.get(booking.widget)
        until = self._until(booking, payment)
        if widget is None or until is None:
            return
        try:
            service = await self._availability.service(widget, booking.service_id)
        except NotFound:
            return
        if not service.on_offer:
            return
        for slot, person in await self._near(booking, widget, service):
            if len(held) == MOST_OFFERED:
                return
            ends = min(until, slot.starts_at - service.booking_window_start)
            if ends - self._now() < SHORTEST_OFFER or any(_one_choice(slot, person, other) for other in held):
                continue
            taken = await self._take(booking, service, slot, person, ends)
            if taken:
                held.append(taken)

    def _until(self, booking: Booking, payment: Payment) -> datetime | None:
        """Until when times may be held for this customer; None if none are offered."""
        hours = self._widgets.of(booking).choose_hours
        if not hours or booking.customer is None or not booking.customer.email:
            return None
        until = self._now() + timedelta(hours=hours)
        if payment.state is PaymentState.AUTHORIZED:
            until = min(until, payment.created_at + LONGEST_CARD_HOLD)
        return until

    async def _near(self, booking: Booking, widget: Widget, service: Service) -> list[tuple[Slot, Resource]]:
        """Free times around the lost one, nearest first: those with the same person, then with others."""
        lost, own = booking.starts_at, service.resource(booking.resource_id)

        def distance(slot: Slot) -> tuple[timedelta, datetime]:
            return abs(slot.starts_at - lost), slot.starts_at

        found: list[tuple[Slot, Resource]] = []
        if own:
            slots = await self._availability.nearest(widget, service, lost, resource_id=own.id, count=_NEAREST)
            found += [(slot, own) for slot in sorted(slots, key=distance)]
        slots = await self._availability.nearest(widget, service, lost, count=_NEAREST)
        others = [one for one in service.resources if own is None or one.id != own.id]
        found += [(slot, one) for slot in sorted(slots, key=distance) for one in others if one.id in slot.resource_ids]
        return found

    async def _take(
        self, booking: Booking, service: Service, slot: Slot, person: Resource, until: datetime
    ) -> Reservation | None:
        """Hold one time here, and at the scheduler where its locks bind; None where someone else has it. Elsewhere the
        scheduler is asked when it is chosen."""
        now, binds = self._now(), self._binds(booking)
        ident, own = self._tools.new_id("of"), booking.reservation
        offer = another_reservation(own, ident, service, slot, person, now, unsure=binds, offered_until=until)
        if not await self._store.insert_offer(offer, capacity=person.capacity, lease_until=now + SCHEDULER_LEASE):
            return None
        self._availability.took(offer.interval)
        if not binds:
            return offer
        try:
            lock = await lock_at_scheduler(self._tools, offer, until=until + LOCK_MARGIN)
        except SchedulerRefused as error:
            log.info("not offered", booking=booking.id, answer=error.body[:500])
            await self._store.withdraw_offer(offer, unsure=False)
            self._availability.freed(offer.interval, offer.slot, offer.service_id)
            self._availability.distrust(service, offer.starts_at)
            await heed_refusal(self._tools, self._widgets.of(booking), error)
            return None
        await self._store.record_offer_lock(offer, reference=lock.reference)
        return offer


def _one_choice(slot: Slot, person: Resource, held: Reservation) -> bool:
    """Whether the two could not both be held, or are the same to the customer."""
    meets = slot.buffer_starts_at < held.buffer_ends_at and slot.buffer_ends_at > held.buffer_starts_at
    return slot.starts_at == held.starts_at or (meets and person.id == held.resource_id)
