"""Times that are free except for the booking that is being moved: half an hour earlier, for example. Pure.

The scheduler lists what a stranger may book, so a booking hides the times that overlap it. Which of them lie within the
hours of its person is read from their other days: what starts at ten on other Thursdays may start at ten on this one.
The scheduler has the last word at the move.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime, time, timedelta, tzinfo

from app.domain.catalogue import Service, Slot
from app.domain.reservation import Occupied, Reservation


def times_around(
    own: Reservation, service: Service, slots: Sequence[Slot], taken: Collection[Occupied], zone: tzinfo, now: datetime
) -> tuple[Slot, ...]:
    """The service's times with the reservation's own person that overlap it, in order. `slots` are what is offered
    around it, `taken` is what our other reservations take up, and `zone` is the place's."""
    person = service.resource(own.resource_id)
    if person is None:
        return ()
    offered = {slot.starts_at for slot in slots if own.resource_id in slot.resource_ids}
    others = [row for row in taken if row.resource_id == own.resource_id and row.reservation_id != own.id]
    first, last = own.buffer_starts_at.astimezone(zone).date(), own.buffer_ends_at.astimezone(zone).date()
    days = {first + timedelta(days=number) for number in range(-1, (last - first).days + 1)}
    found = []
    for day in sorted(days):
        for clock in _usual_starts(day, {moment.astimezone(zone) for moment in offered}, days):
            starts_at = datetime.combine(day, clock, zone).astimezone(own.starts_at.tzinfo)
            slot = Slot(
                starts_at,
                starts_at + service.duration,
                starts_at - service.buffer_before,
                starts_at + service.duration + service.buffer_after,
                (own.resource_id,),
            )
            if starts_at in offered or starts_at == own.starts_at or not _overlap(slot, own.interval):
                continue
            if starts_at < now + service.booking_window_start or starts_at <= now:
                continue
            meeting = [row for row in others if _overlap(slot, row)]
            if any(row.closed for row in meeting):
                continue
            if person.capacity is None or len(meeting) < person.capacity:
                found.append(slot)
    return tuple(found)


def _usual_starts(day: date, starts: Collection[datetime], around: Collection[date]) -> list[time]:
    """When times begin on other days of that weekday; on any other days, where none of those is known."""
    elsewhere = [start for start in starts if start.date() not in around]
    alike = [start for start in elsewhere if start.weekday() == day.weekday()]
    return sorted({start.time() for start in alike or elsewhere})


def _overlap(slot: Slot, row: Occupied) -> bool:
    return slot.buffer_starts_at < row.ends_at and slot.buffer_ends_at > row.starts_at
