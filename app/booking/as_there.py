"""Where the scheduler has a booking: after a move there, or one that is younger than our copy of the database."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from app.booking.at_scheduler import find_at_scheduler
from app.booking.tools import Tools
from app.domain.booking import Booking
from app.domain.outbox import OutboxMail
from app.domain.reservation import Reservation
from app.errors import BookingConflict, SchedulerNotFound
from app.scheduling.port import SchedulerBooking
from app.scheduling.successors import latest

log = structlog.get_logger()

#: How long after its start a process asks what was done before a copy of the database was put back: the first looks,
#: which go back to the copy, come at once.
COPY_KNOWN = timedelta(hours=6)

#: How soon a list shows what was made is documented nowhere; the same patience as after a call without an answer.
LISTED_AFTER = timedelta(minutes=2)


def agrees(booking: Booking, there: SchedulerBooking | None) -> bool:
    """Whether the scheduler has the booking as we have it. If its service or person was deleted there, that does not
    count."""
    if there is None or there.is_canceled:
        return False
    return _with_time_of(there, booking) == booking


def is_made_anew(tools: Tools, booking: Booking) -> bool:
    """Whether the scheduler gives the booking an id that no lock of it had: where locks do not bind, and where a late
    payment buys its time again."""
    return booking.lost_time or not tools.schedulers.lock_binds(booking.reservation.scheduler)


async def final_at(tools: Tools, booking: Booking, reservation: Reservation) -> SchedulerBooking | None:
    """The scheduler's booking that is final at the time of one of the booking's reservations, under whatever id it has
    there; None if there is none. Raises SchedulerError."""
    scheduler = tools.schedulers.of(reservation.scheduler)
    found: list[SchedulerBooking] = []
    # A move may have changed the booking itself.
    for reference in dict.fromkeys((reservation.reference, booking.reservation.reference)):
        if reference:
            with suppress(SchedulerNotFound):
                found.append(await latest(scheduler.read, await scheduler.read(reference)))
    found += await find_at_scheduler(tools, booking, reservation)
    for there in found:
        if there.starts_at == reservation.starts_at and not there.is_temporary and not there.is_canceled:
            return there
    return None


def _with_time_of(there: SchedulerBooking, booking: Booking) -> Booking:
    """Our booking with the scheduler's time, service, person and place. Buffers follow only where something else
    does."""
    same_time = (there.starts_at, there.ends_at) == (booking.starts_at, booking.ends_at)
    same_service = there.service_id in {None, booking.service_id}
    same_resource = there.resource_id in {None, booking.resource_id}
    same_place = there.location_id in {None, booking.location_id}
    if same_time and same_service and same_resource and same_place:
        return booking
    return booking.elsewhere(
        starts_at=there.starts_at,
        ends_at=there.ends_at,
        buffer_starts_at=there.buffer_starts_at,
        buffer_ends_at=there.buffer_ends_at,
        service_id=there.service_id or booking.service_id,
        service_name=booking.service_name if same_service else there.service_name or booking.service_name,
        resource_id=there.resource_id or booking.resource_id,
        resource_name=booking.resource_name if same_resource else there.resource_name or booking.resource_name,
        location_id=there.location_id or booking.location_id,
        location_name=booking.location_name if same_place else there.location_name or booking.location_name,
        time_zone=booking.time_zone if same_place else there.time_zone or booking.time_zone,
    )


async def rename(tools: Tools, booking: Booking, there: SchedulerBooking) -> Booking:
    """Our booking, with the id that it now has at the scheduler. Raises BookingConflict if it was changed meanwhile."""
    if there.id == booking.reservation.reference:
        return booking
    log.warning("the scheduler has the booking under another id", booking=booking.id)
    renamed = await tools.store.replace_reference(booking, there.id)
    if renamed is None:
        raise BookingConflict("changed meanwhile")
    return renamed


def moved_to(there: SchedulerBooking, booking: Booking) -> Booking:
    """Our booking as it will be after `take_time`. Its price stays as it was booked."""
    return replace(_with_time_of(there, booking), revision=booking.revision + 1)


async def take_time(tools: Tools, booking: Booking, after: Booking, *, mails: Sequence[OutboxMail] = ()) -> Booking:
    """Let our booking be at the scheduler's time. Raises BookingConflict if it was changed meanwhile."""
    moved = await tools.store.take_time(booking, after, mails=mails)
    if moved is None:
        raise BookingConflict("changed meanwhile")
    log.info("moved in the scheduler", booking=booking.id)
    tools.availability.freed(booking.interval, booking.slot, booking.service_id)
    tools.availability.took(moved.interval)
    return moved


async def there_now(tools: Tools, booking: Booking) -> SchedulerBooking | None:
    """The booking as the scheduler has it, also at another time; None if it is gone or never existed there.

    A lock is found by the reference in the row. Where nothing was locked, or the lock's answer was not known yet, what
    was booked later is found by its tag.
    """
    reservation = booking.reservation
    scheduler = tools.schedulers.of(reservation.scheduler)
    there = None
    if reservation.reference:
        with suppress(SchedulerNotFound):
            there = await scheduler.read(reservation.reference)
    if there is None:
        found = await find_at_scheduler(tools, booking, reservation)
        standing = [one for one in found if not one.is_canceled]
        there = next(iter(standing or found), None)
        if there and there.is_canceled:  # what became of it, a list does not say
            there = await scheduler.read(there.id)
    return await latest(scheduler.read, there) if there else None


def may_not_be_listed(tools: Tools, booking: Booking, made_at: datetime | None) -> bool:
    """Whether a booking that was made at the scheduler then may be missing from its lists only because it is so young.
    Made again, its own time would be taken."""
    binds = tools.schedulers.lock_binds(booking.reservation.scheduler)
    return not binds and made_at is not None and tools.now() < made_at + LISTED_AFTER


async def follow_there(tools: Tools, booking: Booking, there: SchedulerBooking) -> Booking:
    """A booking at the time at which it is final at the scheduler, where it was moved after the copy was made that was
    put back. Raises BookingConflict if it was changed meanwhile."""
    if agrees(booking, there) or there.is_temporary or there.is_canceled:
        return booking
    booking = await rename(tools, booking, there)
    return await take_time(tools, booking, moved_to(there, booking))
