"""One month of one service: the scheduler's answer, what we know beyond it, and what is shown of both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from math import inf

from app.domain.catalogue import Resource, Service, Slot
from app.domain.set_back import is_ahead
from app.scheduling.availability.cached import NEVER, Cached
from app.scheduling.availability.own import OwnBookings, days

_ALWAYS = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class View:
    """What a month offers, of everyone or of one resource, until the first of its times has passed.

    `digest` names the content.
    """

    slots: tuple[Slot, ...]
    digest: str
    until: datetime


class Month:
    """One service at one location from `starts_from` to `ends_to`; until `look_at` it need not be read again.

    `cost` is how many calls the last read took. `returned` and `refused` hold what happened since the scheduler was
    asked, each with the tick of its happening; `suspected` is the tick of a change that only the scheduler knows, 0
    without one; `outdated` the same of a change that we made there ourselves. `doubted_at` is when any of them happened
    last: other processes' readings from before are not taken.
    """

    def __init__(
        self,
        service_id: str,
        first: date,
        starts_from: datetime,
        ends_to: datetime,
        cached: Cached[tuple[Slot, ...]],
    ) -> None:
        self.service_id = service_id
        self._first = first
        self.starts_from = starts_from
        self.ends_to = ends_to
        self.cached = cached
        self.cost = 1
        self.look_at = NEVER
        self.returned: list[tuple[int, Slot]] = []
        self.refused: dict[datetime, int] = {}
        self.suspected = 0
        self.outdated = 0
        self.doubted_at = NEVER
        self._views: dict[str | None, View] = {}
        self._resources: tuple[Resource, ...] = ()

    def is_due(self, now: datetime) -> bool:
        """Whether it has to be looked after."""
        return now >= self.look_at or self.age(now) == inf

    def age(self, now: datetime) -> float:
        """Seconds since the scheduler was asked; infinite where nobody knows, since the clock was set back."""
        asked_at = self.cached.asked_at
        return inf if is_ahead(asked_at, now) else (now - asked_at).total_seconds()

    def distance(self, now: datetime) -> int:
        """How many months away it is; 0 for the current one."""
        today = now.astimezone(UTC).date()
        return max(0, (self._first.year - today.year) * 12 + self._first.month - today.month)

    def changed(self) -> None:
        """Something that is shown may have changed."""
        self._views.clear()

    def give_back(self, slot: Slot, tick: int) -> None:
        """A time that we released, and that the scheduler may have listed as taken when it was asked."""
        self.returned.append((tick, slot))
        self.changed()

    def refuse(self, starts_at: datetime, tick: int, at: datetime) -> None:
        """A time that the scheduler listed, and then refused: it is not shown before the scheduler is asked again."""
        self.refused[starts_at] = tick
        self.doubted_at = at
        self.look_at = NEVER
        self.changed()

    def suspect(self, tick: int, at: datetime) -> None:
        """Something may have changed that we do not know."""
        self.suspected = tick
        self.doubted_at = at
        self.look_at = NEVER

    def outdate(self, tick: int, at: datetime) -> None:
        """The hours that it was read from have changed."""
        self.outdated = tick
        self.doubted_at = at
        self.look_at = NEVER

    def asked(self, tick: int, cost: int) -> None:
        """The scheduler has been asked: what happened before `tick` is in its answer."""
        self.cost = cost
        self.returned = [(happened, slot) for happened, slot in self.returned if happened > tick]
        self.refused = {starts_at: happened for starts_at, happened in self.refused.items() if happened > tick}
        self.suspected = self.suspected if self.suspected > tick else 0
        self.outdated = self.outdated if self.outdated > tick else 0
        self.look_at = NEVER
        self.changed()

    def view(self, service: Service, resource_id: str | None, own: OwnBookings, now: datetime) -> View:
        """What is shown at `now`, given our own bookings; worked out again only if something has changed."""
        self._serve(service)
        view = self._views.get(resource_id)
        if view and now < view.until:
            return view
        if resource_id is None:
            listed = self._listed()
            slots = self._free([listed[starts_at] for starts_at in sorted(listed)], own, now)
        elif service.resource(resource_id) is None:
            # Not remembered: the id may be anything that a visitor made up.
            return View((), _digest(()), _ALWAYS)
        else:
            everyone = self.view(service, None, own, now)
            mine = (slot for slot in everyone.slots if resource_id in slot.resource_ids)
            slots = tuple(replace(slot, resource_ids=(resource_id,)) for slot in mine)
        until = slots[0].starts_at if slots else _ALWAYS
        self._views[resource_id] = view = View(slots, _digest(slots), until)
        return view

    def find(self, service: Service, starts_at: datetime, own: OwnBookings, now: datetime) -> Slot | None:
        """The slot of `view` that starts then, if there is one. A hold changes the view, so that working all of it out
        for the next hold was a fifth of what that one cost."""
        self._serve(service)
        view = self._views.get(None)
        if view and now < view.until:
            return next((slot for slot in view.slots if slot.starts_at == starts_at), None)
        free = self._free([*self._listed(starts_at).values()], own, now)
        return free[0] if free else None

    def _serve(self, service: Service) -> None:
        if self._resources is not service.resources and self._resources != service.resources:
            self._resources = service.resources
            self.changed()

    def _listed(self, starts_at: datetime | None = None) -> dict[datetime, Slot]:
        """The scheduler's slots with our releases since; of one start where it is given."""
        slots = {slot.starts_at: slot for slot in self.cached.value or () if starts_at in (None, slot.starts_at)}
        for _tick, back in self.returned:
            if starts_at in (None, back.starts_at):
                known = slots.get(back.starts_at, replace(back, resource_ids=()))
                missing = tuple(set(back.resource_ids) - set(known.resource_ids))
                slots[back.starts_at] = replace(known, resource_ids=known.resource_ids + missing)
        return slots

    def _free(self, slots: Sequence[Slot], own: OwnBookings, now: datetime) -> tuple[Slot, ...]:
        """Those of the slots that are to come, without our bookings and refused times."""
        capacity = {resource.id: resource.capacity for resource in self._resources}
        offered = []
        for slot in slots:
            if slot.starts_at <= now or slot.starts_at in self.refused:
                continue
            free = tuple(
                resource_id
                for resource_id in slot.resource_ids
                if resource_id in capacity and not _full(resource_id, capacity[resource_id], slot, own)
            )
            if free:
                offered.append(slot if free == slot.resource_ids else replace(slot, resource_ids=free))
        return tuple(offered)


def _full(resource_id: str, capacity: int | None, slot: Slot, own: OwnBookings) -> bool:
    """Whether our own bookings alone fill the resource at some moment of the slot's buffered interval, or it is off."""
    over = {
        row
        for day in days(slot.buffer_starts_at, slot.buffer_ends_at)
        for row in own.on(resource_id, day)
        if row.starts_at < slot.buffer_ends_at and row.ends_at > slot.buffer_starts_at
    }
    if any(row.closed for row in over):
        return True
    if capacity is None or len(over) < capacity:
        return False
    moments = {max(row.starts_at, slot.buffer_starts_at) for row in over}
    return any(sum(row.starts_at <= at < row.ends_at for row in over) >= capacity for at in moments)


def _digest(slots: Iterable[Slot]) -> str:
    digest = hashlib.blake2b(digest_size=12)
    for slot in slots:
        starts_at, ends_at = slot.starts_at.isoformat(), slot.ends_at.isoformat()
        digest.update(f"{starts_at} {ends_at} {' '.join(slot.resource_ids)}\n".encode())
    return digest.hexdigest()
