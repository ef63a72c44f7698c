"""Everything the Hapio sandbox remembers, and how it looks as JSON.

Records are frozen: a change stores a new record under the same id, so that a failed request leaves nothing behind.
Times are aware UTC; `starts_at` and the like are rendered in the location's zone, the audit stamps in +00:00.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sandbox.faults import Call, Fault
from sandbox.hapio.control import Switches
from sandbox.hapio.fields import php_json
from sandbox.race_gate import RaceGate

Abilities = frozenset[str]
Json = dict[str, Any]

_VERBS: Final = ("view", "create", "update", "delete")
ALL_ABILITIES: Final[Abilities] = frozenset(
    [
        f"{entity}:{verb}"
        for entity in (
            "location",
            "resource",
            "service",
            "schedule_block",
            "recurring_schedule",
            "recurring_schedule_block",
            "booking",
            "booking_group",
        )
        for verb in _VERBS
    ]
    + [f"resource_service:{verb}" for verb in ("view", "create", "delete")]
    + [f"{entity}:protected_metadata" for entity in ("location", "resource", "service", "booking", "booking_group")]
    + ["booking_group:read_protected_metadata", "booking_group:write_protected_metadata"]
    + [
        f"booking:ignore_{rule}"
        for rule in ("schedule", "fully_booked", "bookable_slots", "booking_window", "cancelation_threshold")
    ]
    + ["schedule:view", "bookable_slot:view"]
)


@lru_cache(maxsize=512)
def zone_info(name: str) -> ZoneInfo:
    """Return the zone of an IANA name that was checked before."""
    return ZoneInfo(name)


@dataclass(frozen=True)
class Location:
    """Where things happen; its time zone decides how schedules are read."""

    id: str
    name: str
    time_zone: str
    resource_selection_strategy: Literal["randomize", "prioritize", "equalize"]
    resource_selection_priority: list[str]
    metadata: Json | None
    protected_metadata: Json | None
    enabled: bool
    created_at: datetime
    updated_at: datetime

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which this location's wall clock runs."""
        return zone_info(self.time_zone)


@dataclass(frozen=True)
class Resource:
    """Who or what is booked; `max_simultaneous_bookings` None means without limit."""

    id: str
    name: str
    max_simultaneous_bookings: int | None
    metadata: Json | None
    protected_metadata: Json | None
    enabled: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Service:
    """What is booked; `details` holds the fields of its type (fixed, flexible or day)."""

    id: str
    name: str
    type: Literal["fixed", "flexible", "day"]
    price: str | None
    details: Json
    buffer_time_before: str
    buffer_time_after: str
    booking_window_start: str
    booking_window_end: str | None
    cancelation_threshold: str
    metadata: Json | None
    protected_metadata: Json | None
    enabled: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Association:
    """That a resource offers a service."""

    resource_id: str
    service_id: str
    created_at: datetime


@dataclass(frozen=True)
class RecurringSchedule:
    """Weeks of opening hours for a resource at a location, both dates inclusive."""

    id: str
    resource_id: str
    location_id: str
    start_date: date
    end_date: date | None
    interval: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class RecurringBlock:
    """Opening hours on one weekday of a recurring schedule, in wall time."""

    id: str
    recurring_schedule_id: str
    weekday: str
    start_time: str
    end_time: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class ScheduleBlock:
    """A one-off opening, or a closed period when not available."""

    id: str
    resource_id: str
    location_id: str
    starts_at: datetime
    ends_at: datetime
    is_available: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Booking:
    """A booking in any state; references turn None when their object is deleted."""

    id: str
    resource_id: str | None
    service_id: str | None
    location_id: str | None
    booking_group_id: str | None
    price: str | None
    metadata: Json | None
    protected_metadata: Json | None
    is_temporary: bool
    is_canceled: bool
    starts_at: datetime
    ends_at: datetime
    buffer_starts_at: datetime
    buffer_ends_at: datetime
    created_at: datetime
    updated_at: datetime
    finalized_at: datetime | None
    canceled_at: datetime | None


@dataclass(frozen=True)
class BookingGroup:
    """A container for bookings handled in one request."""

    id: str
    metadata: Json | None
    protected_metadata: Json | None
    created_at: datetime
    updated_at: datetime


class State:
    """One Hapio project: its tables, tokens, switches, faults and calls."""

    def __init__(self, now: Callable[[], datetime], seed: int, token: str) -> None:
        self.now = now
        self.switches = Switches()
        self.hold_limits = RaceGate()
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self._seed = seed
        self._default_token = token
        self.tokens: dict[str, Abilities] = {}
        self.locations: dict[str, Location] = {}
        self.resources: dict[str, Resource] = {}
        self.services: dict[str, Service] = {}
        self.associations: dict[tuple[str, str], Association] = {}  # by (resource id, service id)
        self.recurring_schedules: dict[str, RecurringSchedule] = {}
        self.recurring_blocks: dict[str, RecurringBlock] = {}
        self.schedule_blocks: dict[str, ScheduleBlock] = {}
        self.bookings: dict[str, Booking] = {}
        self.booking_groups: dict[str, BookingGroup] = {}
        self.clear()

    def _tables(self) -> list[dict[Any, Any]]:
        return [
            self.locations,
            self.resources,
            self.services,
            self.associations,
            self.recurring_schedules,
            self.recurring_blocks,
            self.schedule_blocks,
            self.bookings,
            self.booking_groups,
            self.tokens,
        ]

    def clear(self) -> None:
        """Start over as a new project: no objects, default switches, same ids to come."""
        for table in self._tables():
            table.clear()
        self.faults.clear()
        self.calls.clear()
        self.switches.reset()
        self.random = random.Random(self._seed)  # noqa: S311 - repeatable ids are the point
        self.tokens[self._default_token] = ALL_ABILITIES
        self.project_id = self.new_id()
        self.project_created_at = self.stamp()
        self.window_started_at: datetime | None = None
        self.window_used = 0
        self.month: tuple[int, int] | None = None
        self.month_used = 0

    def become(self, other: "State") -> None:
        """Have what another project of the same seed has: its objects, its tokens, the ids and the quota left to it.
        Faults, calls and switches stay one's own."""
        for table, theirs in zip(self._tables(), other._tables(), strict=True):
            table.clear()
            table.update(theirs)
        self.random.setstate(other.random.getstate())
        self.project_id, self.project_created_at = other.project_id, other.project_created_at
        self.window_started_at, self.window_used = other.window_started_at, other.window_used
        self.month, self.month_used = other.month, other.month_used

    def new_id(self) -> str:
        """Return the next UUID of this seed."""
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def stamp(self) -> datetime:
        """Return the time as Hapio stores it: UTC, whole seconds."""
        return self.now().astimezone(UTC).replace(microsecond=0)

    def expire_temporary(self) -> None:
        """Delete the temporary bookings that the switch says are too old."""
        minutes = self.switches.temporary_expiry_minutes
        if minutes is None:
            return
        limit = self.now() - timedelta(minutes=minutes)
        for booking in [b for b in self.bookings.values() if b.is_temporary and b.created_at <= limit]:
            del self.bookings[booking.id]

    def busy(
        self, resource_id: str, low: datetime, high: datetime, besides: str | None = None
    ) -> list[tuple[datetime, datetime]]:
        """Return the buffered intervals between `low` and `high` that occupy a resource, but for that of `besides`."""
        temporary_counts = self.switches.temporary_blocks_capacity
        return [
            (b.buffer_starts_at, b.buffer_ends_at)
            for b in self.bookings.values()
            if b.resource_id == resource_id
            and b.buffer_starts_at <= high
            and b.buffer_ends_at >= low
            and not b.is_canceled
            and (temporary_counts or not b.is_temporary)
            and b.id != besides
        ]

    def providers(self, service_id: str) -> list[Resource]:
        """Return the enabled resources associated with a service, by id."""
        found = [self.resources[r] for r, s in self.associations if s == service_id and self.resources[r].enabled]
        return sorted(found, key=lambda resource: resource.id)

    # JSON of each record; `abilities` decide whether protected metadata is shown

    def render(self, at: datetime, location_id: str | None) -> str:
        """Return an instant as text in the location's zone (or UTC, by switch or for want of a location)."""
        if location_id is None or self.switches.response_offset == "utc":
            return at.isoformat()
        return at.astimezone(self.locations[location_id].zone).isoformat(timespec="seconds")

    def location_json(self, location: Location, abilities: Abilities) -> Json:
        """Return a location as Hapio would."""
        return {
            "id": location.id,
            "name": location.name,
            "time_zone": location.time_zone,
            "resource_selection_strategy": location.resource_selection_strategy,
            "resource_selection_priority": location.resource_selection_priority,
            **_metadata(location, abilities, "location:protected_metadata"),
            "enabled": location.enabled,
            **_stamps(location),
        }

    def resource_json(self, resource: Resource, abilities: Abilities) -> Json:
        """Return a resource as Hapio would."""
        return {
            "id": resource.id,
            "name": resource.name,
            "max_simultaneous_bookings": resource.max_simultaneous_bookings,
            **_metadata(resource, abilities, "resource:protected_metadata"),
            "enabled": resource.enabled,
            **_stamps(resource),
        }

    def service_json(self, service: Service, abilities: Abilities) -> Json:
        """Return a service as Hapio would, with the fields of its type only."""
        return {
            "id": service.id,
            "name": service.name,
            "price": service.price,
            "type": service.type,
            **service.details,
            "buffer_time_before": service.buffer_time_before,
            "buffer_time_after": service.buffer_time_after,
            "booking_window_start": service.booking_window_start,
            "booking_window_end": service.booking_window_end,
            "cancelation_threshold": service.cancelation_threshold,
            **_metadata(service, abilities, "service:protected_metadata"),
            "enabled": service.enabled,
            **_stamps(service),
        }

    def recurring_schedule_json(self, schedule: RecurringSchedule, abilities: Abilities) -> Json:
        """Return a recurring schedule with its location."""
        return {
            "id": schedule.id,
            "location_id": schedule.location_id,
            "location": self.location_json(self.locations[schedule.location_id], abilities),
            "start_date": schedule.start_date.isoformat(),
            "end_date": schedule.end_date.isoformat() if schedule.end_date else None,
            "interval": schedule.interval,
            **_stamps(schedule),
        }

    def recurring_block_json(self, block: RecurringBlock, abilities: Abilities) -> Json:
        """Return a block of a recurring schedule."""
        return {
            "id": block.id,
            "weekday": block.weekday,
            "start_time": block.start_time,
            "end_time": block.end_time,
            **_stamps(block),
        }

    def schedule_block_json(self, block: ScheduleBlock, abilities: Abilities) -> Json:
        """Return a one-off block with its location."""
        return {
            "id": block.id,
            "location_id": block.location_id,
            "location": self.location_json(self.locations[block.location_id], abilities),
            "starts_at": self.render(block.starts_at, block.location_id),
            "ends_at": self.render(block.ends_at, block.location_id),
            "is_available": block.is_available,
            **_stamps(block),
        }

    def association_json(self, association: Association) -> Json:
        """Return a resource-service association."""
        return {
            "resource_id": association.resource_id,
            "service_id": association.service_id,
            "created_at": association.created_at.isoformat(),
        }

    def booking_json(self, booking: Booking, abilities: Abilities, *, in_group: bool = False) -> Json:
        """Return a booking with its embedded objects; inside a group without the group's own keys."""
        resource = self.resources[booking.resource_id] if booking.resource_id else None
        service = self.services[booking.service_id] if booking.service_id else None
        location = self.locations[booking.location_id] if booking.location_id else None
        group = self.booking_groups[booking.booking_group_id] if booking.booking_group_id else None
        zone_of = booking.location_id
        membership: Json = {
            "booking_group_id": booking.booking_group_id,
            "booking_group": group and self.group_json(group, abilities, members=None),
        }
        return {
            "id": booking.id,
            "resource_id": booking.resource_id,
            "resource": resource and self.resource_json(resource, abilities),
            "service_id": booking.service_id,
            "service": service and self.service_json(service, abilities),
            "location_id": booking.location_id,
            "location": location and self.location_json(location, abilities),
            **({} if in_group else membership),
            "price": booking.price,
            **_metadata(booking, abilities, "booking:protected_metadata"),
            "is_temporary": booking.is_temporary,
            "is_canceled": booking.is_canceled,
            "starts_at": self.render(booking.starts_at, zone_of),
            "ends_at": self.render(booking.ends_at, zone_of),
            "buffer_starts_at": self.render(booking.buffer_starts_at, zone_of),
            "buffer_ends_at": self.render(booking.buffer_ends_at, zone_of),
            **_stamps(booking),
            "finalized_at": booking.finalized_at and booking.finalized_at.isoformat(),
            "canceled_at": booking.canceled_at and booking.canceled_at.isoformat(),
        }

    def group_json(self, group: BookingGroup, abilities: Abilities, *, members: Iterable[Booking] | None) -> Json:
        """Return a booking group; without its bookings if `members` is None."""
        bookings = (
            {}
            if members is None
            else {"bookings": [self.booking_json(member, abilities, in_group=True) for member in members]}
        )
        readable = abilities & {"booking_group:protected_metadata", "booking_group:read_protected_metadata"}
        return {
            "id": group.id,
            **bookings,
            "metadata": php_json(group.metadata),
            **({"protected_metadata": php_json(group.protected_metadata)} if readable else {}),
            **_stamps(group),
        }

    # what a delete takes with it, and what it only disconnects

    def delete_location(self, location: Location) -> None:
        """Delete a location and the schedules that point at it; bookings lose their reference."""
        for schedule in [s for s in self.recurring_schedules.values() if s.location_id == location.id]:
            self.delete_recurring_schedule(schedule)
        for block in [b for b in self.schedule_blocks.values() if b.location_id == location.id]:
            del self.schedule_blocks[block.id]
        self._disconnect("location_id", location.id)
        del self.locations[location.id]

    def delete_resource(self, resource: Resource) -> None:
        """Delete a resource with its schedules and associations; bookings lose their reference."""
        for schedule in [s for s in self.recurring_schedules.values() if s.resource_id == resource.id]:
            self.delete_recurring_schedule(schedule)
        for block in [b for b in self.schedule_blocks.values() if b.resource_id == resource.id]:
            del self.schedule_blocks[block.id]
        for pair in [pair for pair in self.associations if pair[0] == resource.id]:
            del self.associations[pair]
        self._disconnect("resource_id", resource.id)
        del self.resources[resource.id]

    def delete_service(self, service: Service) -> None:
        """Delete a service and its associations; bookings lose their reference."""
        for pair in [pair for pair in self.associations if pair[1] == service.id]:
            del self.associations[pair]
        self._disconnect("service_id", service.id)
        del self.services[service.id]

    def delete_recurring_schedule(self, schedule: RecurringSchedule) -> None:
        """Delete a recurring schedule with its blocks."""
        for block in [b for b in self.recurring_blocks.values() if b.recurring_schedule_id == schedule.id]:
            del self.recurring_blocks[block.id]
        del self.recurring_schedules[schedule.id]

    def _disconnect(self, reference: str, gone: str) -> None:
        no_longer: Json = {reference: None}
        for booking in [b for b in self.bookings.values() if getattr(b, reference) == gone]:
            self.bookings[booking.id] = replace(booking, **no_longer)


def _metadata(record: Location | Resource | Service | Booking, abilities: Abilities, protected: str) -> Json:
    shown: Json = {"metadata": php_json(record.metadata)}
    if protected in abilities:
        shown["protected_metadata"] = php_json(record.protected_metadata)
    return shown


def _stamps(record: Any) -> Json:
    return {"created_at": record.created_at.isoformat(), "updated_at": record.updated_at.isoformat()}
