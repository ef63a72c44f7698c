"""The front desk's calendar of some days: who works when, who is off, and what is booked, held or free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from app.domain.booking import Booking
from app.domain.hours_change import HoursChange
from app.domain.local_days import days_in_utc
from app.domain.move import Move
from app.domain.reservation import Reservation
from app.operations.working_hours import Member, WorkingHours
from app.store import Store


@dataclass(frozen=True, slots=True)
class DeskDays:
    """Some days of everyone's. `bookings` are also unpaid holds; what lies on a day of its own place only at the edge
    of the interval is among them. `moves` are those under way, whose new times are held. `offered` are times that are
    held for customers who paid too late, to choose from. `untold` are changes of hours that a scheduler does not know
    yet."""

    people: Sequence[Member]
    bookings: Sequence[Booking]
    changes: Sequence[HoursChange]
    untold: Sequence[HoursChange]
    moves: Sequence[Move] = ()
    offered: Sequence[Reservation] = ()


class Calendar:
    """Reads; changes nothing."""

    def __init__(self, *, store: Store, working_hours: WorkingHours) -> None:
        self._store = store
        self._working_hours = working_hours

    async def days(self, first: date, last: date) -> DeskDays:
        """From the first day to the last, on any place's calendar."""
        starts_from, ends_to = days_in_utc(first, last)
        return DeskDays(
            people=await self._working_hours.people(),
            bookings=await self._store.on_the_desk(starts_from, ends_to),
            changes=await self._working_hours.changes(ends_after=starts_from, starts_before=ends_to),
            untold=await self._working_hours.untold(),
            moves=await self._store.moving_to(starts_from, ends_to),
            offered=await self._store.offered_between(starts_from, ends_to),
        )
