"""Bookings that visitors make on the scheduler's own page and then pay for in Holdfast.

Such a booking is final at the scheduler from the start, but only a hold here. If it is paid in time it is confirmed as
it is there; if it is not paid by the deadline it is cancelled there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import structlog

from app.booking.new_booking import must_be_on_offer, new_booking, new_reservation
from app.booking.tools import Tools
from app.domain.booking import Booking, Customer, Visitor
from app.domain.catalogue import Resource, Service, Slot
from app.domain.history import HistoryWord
from app.domain.mail_addresses import mailbox
from app.errors import NotTakenIn, SchedulerNotFound, SlotTaken
from app.scheduling.port import SchedulerBooking
from app.widgets import Widget

log = structlog.get_logger()


class Unfit(StrEnum):
    """Why a booking is not accepted."""

    #: The scheduler has no such booking.
    UNKNOWN = "unknown"
    #: It was not begun here, or belongs to another customer.
    VISITOR = "visitor"
    SERVICE = "service"
    TIME = "time"
    CANCELED = "canceled"
    BEGUN = "begun"


@dataclass(frozen=True, slots=True)
class BookedThere:
    """What a program reports about a booking on the scheduler's own page: its id there, the service and the start.
    `tag` is what we put into that page's address."""

    reference: str
    service_id: str
    starts_at: datetime
    tag: str


class OwnPage:
    """Takes such bookings in."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._store = tools.store
        self._schedulers = tools.schedulers
        self._availability = tools.availability
        self._now = tools.now
        self._locks = tools.locks

    async def take_in(self, widget: Widget, told: BookedThere, *, visitor: Visitor, customer: Customer) -> Booking:
        """Hold, until it is paid, what the visitor has booked there, once it is clear that it is theirs and stands
        there as told. Safe to repeat: the same booking comes back.

        Raises NotTakenIn, NotFound, SchedulerError, and SlotTaken where another visitor of ours holds the time: then it
        is cancelled there.
        """
        async with self._locks(("there", told.reference)):
            known = await self._known(told, visitor)
            if known:
                return known
            service = await self._availability.service(widget, told.service_id)
            must_be_on_offer(service)
            there = await self._read(widget, told)
            unfit = _unfit(there, told, customer, self._now())
            resource = service.resource(there.resource_id or "")
            if unfit or resource is None:
                raise NotTakenIn(unfit or Unfit.SERVICE)
            booking = await self._as_hold(widget, service, resource, there, visitor, customer)
            if await self._store.insert_hold(booking, capacity=resource.capacity, what=HistoryWord.BOOKED_THERE):
                self._availability.took(booking.interval)
                return booking
            known = await self._known(told, visitor)
            if known:  # by another process
                return known
            await self._schedulers.of(widget.scheduler).release(there.id)
            log.info("canceled there: the time is held here", scheduler=widget.scheduler)
            nearest = await self._availability.nearest(widget, service, there.starts_at)
            raise SlotTaken(there.starts_at, [near.starts_at for near in nearest])

    async def _known(self, told: BookedThere, visitor: Visitor) -> Booking | None:
        """Our booking that already has it. Raises NotTakenIn if that belongs to another visitor."""
        known = await self._store.booking_by_reference(told.reference)
        if known and known.visitor.key != visitor.key:
            raise NotTakenIn(Unfit.VISITOR)
        return known

    async def _read(self, widget: Widget, told: BookedThere) -> SchedulerBooking:
        try:
            return await self._schedulers.of(widget.scheduler).read(told.reference)
        except SchedulerNotFound as error:
            raise NotTakenIn(Unfit.UNKNOWN) from error

    async def _as_hold(
        self,
        widget: Widget,
        service: Service,
        resource: Resource,
        there: SchedulerBooking,
        visitor: Visitor,
        customer: Customer,
    ) -> Booking:
        location = (await self._availability.catalogue(widget)).location
        now, booking_id = self._now(), self._tools.new_id("bk")
        slot = Slot(there.starts_at, there.ends_at, there.buffer_starts_at, there.buffer_ends_at, (resource.id,))
        reservation = new_reservation(booking_id, widget.scheduler, service, slot, resource, location, now)
        return new_booking(
            replace(reservation, reference=there.id, unsure=False),
            widget,
            service,
            visitor=visitor,
            customer=customer,
            any_resource=False,
            deadline=min(now + widget.payment_time, there.starts_at),
        )


def _unfit(there: SchedulerBooking, told: BookedThere, customer: Customer, now: datetime) -> Unfit | None:
    """Why a booking cannot be accepted. Whose it is is checked first: nothing is revealed about another person's."""
    tag = there.metadata.get("holdfast_id", "")
    checks = {
        Unfit.VISITOR: tag != told.tag if tag else mailbox(there.email) != mailbox(customer.email),
        Unfit.SERVICE: there.service_id != told.service_id,
        Unfit.CANCELED: there.is_canceled,
        Unfit.TIME: there.starts_at != told.starts_at,
        Unfit.BEGUN: there.starts_at <= now,
    }
    return next((why for why, holds in checks.items() if holds), None)


async def was_booked_there(tools: Tools, booking: Booking) -> bool:
    """Whether the visitor made the booking on the scheduler's own page: it is final there before it is paid here."""
    history = await tools.store.history(booking.id)
    return any(entry.what is HistoryWord.BOOKED_THERE for entry in history)
