"""Translates our bookings for the scheduler's port: which time, under which tag, and for whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from app.booking.tools import Tools
from app.domain.booking import Booking
from app.domain.catalogue import Service
from app.domain.charge_minimum import chargeable
from app.domain.money import Money
from app.domain.payment import Payment
from app.domain.reservation import Reservation
from app.errors import NotFound, SchedulerFull, SchedulerRefused, StorageError
from app.scheduling.metadata import scheduler_metadata
from app.scheduling.port import SchedulerBooking, SchedulerLock, Visit, Wanted
from app.widgets import Widget

log = structlog.get_logger()

#: The fields of a booking that name what is on offer.
_OFFERED = frozenset({"service_id", "resource_id", "location_id"})

#: A lock that ends by itself is asked for this much longer than the booking needs it, for the worker and for clocks
#: that differ.
LOCK_MARGIN = timedelta(minutes=5)

#: A call whose answer was lost may take effect after our time-out. We look for its result only after the longest time
#: that the scheduler takes to answer.
UNSURE_PATIENCE = timedelta(seconds=60)

#: How long one process has for asking the scheduler for a booking, or to move one, before another one may try. Longer
#: than the scheduler's client takes at the worst, for both calls of a move, too; renewed for each booking.
SCHEDULER_LEASE = timedelta(minutes=2)


def wanted(reservation: Reservation, *, tag: str) -> Wanted:
    """The time of a reservation. A lock is tagged with the reservation's own id, a final booking with the booking's."""
    return Wanted(
        tag=tag,
        service_id=reservation.service_id,
        location_id=reservation.location_id,
        resource_id=reservation.resource_id,
        starts_at=reservation.starts_at,
        ends_at=reservation.ends_at,
        buffer_starts_at=reservation.buffer_starts_at,
        buffer_ends_at=reservation.buffer_ends_at,
        any_time=reservation.any_time,
    )


def visit(booking: Booking, payment: Payment | None) -> Visit:
    """Who comes, and what is stored with the booking at the scheduler."""
    return Visit(
        customer=booking.customer,
        time_zone=booking.visitor.time_zone,
        language=booking.visitor.language,
        metadata=scheduler_metadata(booking, payment),
    )


async def must_be_confirmable(tools: Tools, scheduler: str) -> None:
    """Where a scheduler rations bookings, what is held already has its share: nobody pays for what cannot be confirmed
    today. Raises SchedulerFull."""
    creates = tools.schedulers.creates.get(scheduler)
    if creates is None:
        return
    # Asked before the creates are: what another process makes in between counts twice, and not never.
    promised = await tools.store.unconfirmed(scheduler)
    await creates.save(tools.store.add_to_counter)
    if wait := creates.wait(promised):
        raise SchedulerFull("no more bookings can be made today", retry_after=wait).at(scheduler)


@asynccontextmanager
async def creating(tools: Tools, scheduler: str) -> AsyncIterator[None]:
    """Around what may book at the scheduler: other processes learn of the creates before the booking stops counting as
    promised."""
    creates = tools.schedulers.creates.get(scheduler)
    try:
        yield
    finally:
        if creates is not None:
            with suppress(StorageError):  # what was not saved is kept for the next time
                await creates.save(tools.store.add_to_counter)


async def lock_at_scheduler(tools: Tools, reservation: Reservation, *, until: datetime) -> SchedulerLock:
    """Lock a reservation's time under its own tag. Raises SchedulerError; `outcome_unknown` says whether the lock may
    have come about all the same."""
    asked = wanted(reservation, tag=reservation.id)
    return await tools.schedulers.of(reservation.scheduler).lock(asked, until=until)


async def heed_refusal(tools: Tools, widget: Widget, error: SchedulerRefused) -> None:
    """A lock or a move was refused: where that is for what is on offer, and not for the time, the offer is read
    again."""
    if _names_offer(error):
        await tools.availability.contradicted(widget)


def _names_offer(error: SchedulerRefused) -> bool:
    """Whether the scheduler refuses the service, the person or the place itself, not only the time. Only its errors
    about fields (`errors`) are documented; its other rules answer with a sentence, and one about a time may name the
    person who has none."""
    said = str(error).lower()
    named = "resource" in said or "location" in said
    return not _OFFERED.isdisjoint(error.errors) or "service" in said or (named and "time" not in said)


async def price_at_scheduler(tools: Tools, widget: Widget, service: Service, scheduler_price: Decimal | None) -> Money:
    """The price that the scheduler put on a booking: the owner may have changed it since we read the service. If the
    new price cannot be charged, the service's price as we know it stays. If the scheduler put no price on the booking
    although the service had one, the service is read again."""
    try:
        price = widget.price(service.id, scheduler_price)
    except ValueError as error:
        log.error("price cannot be charged", service=service.id, reason=str(error))
        return service.price
    if not chargeable(price):
        log.error("price cannot be charged", service=service.id, reason="Stripe charges no such amount")
        return service.price
    if scheduler_price is None and price != service.price:
        await tools.availability.contradicted(widget)
        with suppress(NotFound):
            return (await tools.availability.service(widget, service.id)).price
        return service.price
    return price


async def confirm_at_scheduler(
    tools: Tools, booking: Booking, payment: Payment | None, *, lock: str | None
) -> SchedulerBooking:
    """Make the lock on the booking's time final, or book the time outright where `lock` is None. Raises as the port
    says."""
    scheduler = tools.schedulers.of(booking.reservation.scheduler)
    asked = wanted(booking.reservation, tag=booking.id)
    async with creating(tools, booking.reservation.scheduler):
        return await scheduler.confirm(lock, asked, visit(booking, payment))


async def find_at_scheduler(tools: Tools, booking: Booking, reservation: Reservation) -> list[SchedulerBooking]:
    """What the scheduler has of one of the booking's reservations. What was made for the booking itself is tagged with
    the booking's id, a lock that was made for a move with the move's."""
    scheduler = tools.schedulers.of(reservation.scheduler)
    # Where locks do not bind, a move makes the booking itself again, at another time.
    own = booking.reservation.id == reservation.id or not tools.schedulers.lock_binds(reservation.scheduler)
    tag = booking.id if own else reservation.id
    return await scheduler.find(wanted(reservation, tag=tag), visit(booking, None))
