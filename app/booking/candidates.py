"""Which persons or rooms could take a time, in which order to try them, and why none can."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.booking.tools import Tools
from app.domain.catalogue import Resource, Service, Slot
from app.errors import SlotTaken, TimePassed, TooSoon

#: Whoever has fewer bookings less than so far from a time is asked for it first.
_AROUND = timedelta(hours=12)


class Candidates:
    """Orders the resources that are free."""

    def __init__(self, tools: Tools) -> None:
        self._store = tools.store
        self._now = tools.now
        self._random = tools.random

    async def of(self, service: Service, slot: Slot, resource_id: str | None) -> list[Resource]:
        """Whom to try, in order: the chosen one, or everyone who is free, the least booked in Holdfast first."""
        if slot.starts_at <= self._now():
            return []
        free = [resource for resource in service.resources if resource.id in slot.resource_ids]
        if resource_id is not None:
            return [resource for resource in free if resource.id == resource_id]
        if len(free) > 1:
            self._random.shuffle(free)
            busy = await self._store.beginning_around(slot.starts_at, within=_AROUND)
            free.sort(key=lambda resource: busy.get(resource.id, 0))
        return free


def why_not(service: Service, starts_at: datetime, now: datetime) -> type[SlotTaken]:
    """Why a time of this service is not offered: it has begun, is within the notice, or is taken."""
    if starts_at <= now:
        return TimePassed
    return TooSoon if starts_at < now + service.booking_window_start else SlotTaken
