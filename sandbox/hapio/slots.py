"""Bookable slots of fixed, flexible and day services, and the two other availability reads (Hapio API v1.7).

Where Hapio's documentation leaves the grid open, the choices of "Hapio API notes, slot generation" hold: a grid starts
where an open span starts, and buffers must lie within opening hours.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from sandbox.hapio import fields
from sandbox.hapio.errors import invalid, not_found
from sandbox.hapio.fields import WEEKDAYS, Field, Length, length, wall
from sandbox.hapio.listing import PAGE_FIELDS, paginate
from sandbox.hapio.request import ApiRequest, Operation, Reply
from sandbox.hapio.setup import RESOURCES, SERVICES, time_on
from sandbox.hapio.spans import FullTime, open_spans
from sandbox.hapio.state import Json, Location, Resource, Service, State
from sandbox.intervals import Interval, clip, inside, without

_DAY: Final = timedelta(days=1)
_MOST_DAYS: Final = 366  # how far a day service without max_days is looked ahead


class Slot(NamedTuple):
    """One start time with its earliest and latest end; the two are the same for a fixed service."""

    starts_at: datetime
    min_ends_at: datetime
    ends_at: datetime


class Buffers(NamedTuple):
    """A service's buffers as lengths in a location's zone."""

    before: Length
    after: Length
    zone: ZoneInfo

    def around(self, starts_at: datetime, ends_at: datetime) -> Interval:
        """Return the buffered interval."""
        return self.before.before(starts_at, self.zone), self.after.after(ends_at, self.zone)


def buffers_of(service: Service, zone: ZoneInfo) -> Buffers:
    """Return the buffers of a service."""
    return Buffers(length(service.buffer_time_before), length(service.buffer_time_after), zone)


def booking_window(service: Service, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime | None]:
    """Return the earliest and latest start that may be booked now (None: no end)."""
    earliest = length(service.booking_window_start).after(now, zone)
    if service.booking_window_end is None:
        return earliest, None
    return earliest, length(service.booking_window_end).after(now, zone)


def resource_slots(
    state: State,
    service: Service,
    location: Location,
    resource: Resource,
    low: datetime,
    to: datetime,
    wanted: Length | None = None,
) -> Iterator[Slot]:
    """Yield the free slots of one resource that start at or after `low` and can end by `to`.

    `wanted` is the length that a flexible or day slot must be able to hold.
    """
    latest = to + _look_ahead(service)
    full = FullTime(state.busy(resource.id, low - 2 * _DAY, latest + 2 * _DAY), resource.max_simultaneous_bookings)
    spans = open_spans(state, resource.id, location, low, latest)
    buffers = buffers_of(service, location.zone)
    if service.type == "fixed":
        yield from _fixed_slots(service, buffers, spans, full, low, to)
    elif service.type == "flexible":
        yield from _flexible_slots(service, buffers, spans, full, low, to, wanted)
    else:
        yield from _day_slots(service, buffers, spans, full, low, to, wanted)


def _look_ahead(service: Service) -> timedelta:
    if service.type == "day":
        return (service.details["max_days"] or _MOST_DAYS) * _DAY
    longest = service.details.get("max_duration")
    return _DAY + (length(longest).approximate() if longest else timedelta(0))


def _step(service: Service, buffers: Buffers) -> Length:
    own = service.details
    if own["bookable_interval"] is not None:
        return length(own["bookable_interval"])
    if service.type == "flexible":
        return length(own["duration_step"])
    return length(own["duration"]) + buffers.before + buffers.after


def _starts(service: Service, buffers: Buffers, span: Interval, low: datetime) -> Iterator[datetime]:
    """Yield the grid's start times within a span, from `low` on."""
    step = _step(service, buffers)
    starts_at = buffers.before.after(span[0], buffers.zone)
    if starts_at < low and not (step.months or step.days):
        starts_at += -(-(low - starts_at) // step.elapsed) * step.elapsed
    while starts_at < span[1]:
        if starts_at >= low:
            yield starts_at
        starts_at = step.after(starts_at, buffers.zone)


def _fixed_slots(
    service: Service, buffers: Buffers, spans: list[Interval], full: FullTime, low: datetime, to: datetime
) -> Iterator[Slot]:
    takes = length(service.details["duration"])
    for span in spans:
        for starts_at in _starts(service, buffers, span, low):
            ends_at = takes.after(starts_at, buffers.zone)
            if ends_at > to:
                break
            busy_from, busy_to = buffers.around(starts_at, ends_at)
            if busy_to > span[1]:
                break
            if not full.meets(busy_from, busy_to):
                yield Slot(starts_at, ends_at, ends_at)


def _flexible_slots(
    service: Service,
    buffers: Buffers,
    spans: list[Interval],
    full: FullTime,
    low: datetime,
    to: datetime,
    wanted: Length | None,
) -> Iterator[Slot]:
    for span in spans:
        for starts_at in _starts(service, buffers, span, low):
            busy_from = buffers.before.before(starts_at, buffers.zone)
            taken_from = full.next_start(busy_from)
            closes = span[1] if taken_from is None else min(span[1], taken_from)
            needed = starts_at if wanted is None else wanted.after(starts_at, buffers.zone)
            fitting = [
                end
                for end in _flexible_ends(service, starts_at, buffers, closes)
                if buffers.after.after(end, buffers.zone) <= closes and end >= needed
            ]
            if fitting and fitting[0] <= to:
                yield Slot(starts_at, fitting[0], fitting[-1])


def _flexible_ends(service: Service, starts_at: datetime, buffers: Buffers, limit: datetime) -> Iterator[datetime]:
    """Yield the allowed ends up to `limit`: the shortest length, then one step more at a time."""
    own, zone = service.details, buffers.zone
    longest = own["max_duration"] and length(own["max_duration"]).after(starts_at, zone)
    step = length(own["duration_step"])
    ends_at = length(own["min_duration"]).after(starts_at, zone)
    while ends_at <= limit and (longest is None or ends_at <= longest):
        yield ends_at
        ends_at = step.after(ends_at, zone)


def _day_slots(
    service: Service,
    buffers: Buffers,
    spans: list[Interval],
    full: FullTime,
    low: datetime,
    to: datetime,
    wanted: Length | None,
) -> Iterator[Slot]:
    on = low.astimezone(buffers.zone).date()
    last = to.astimezone(buffers.zone).date()
    while on <= last:
        starts_at = wall(on, time_on(service.details["start_time"], WEEKDAYS[on.weekday()]), buffers.zone)
        needed = starts_at if wanted is None else wanted.after(starts_at, buffers.zone)
        fitting = []
        if starts_at >= low and _open_at(spans, starts_at):
            for ends_at in _day_ends(service, starts_at, buffers.zone):
                if full.meets(*buffers.around(starts_at, ends_at)):
                    break
                if _closes_at(spans, ends_at) and ends_at >= needed:
                    fitting.append(ends_at)
        if fitting and fitting[0] <= to:
            yield Slot(starts_at, fitting[0], fitting[-1])
        on += _DAY


def _day_ends(service: Service, starts_at: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the allowed ends of a day booking, from `min_days` on."""
    own, first = service.details, starts_at.astimezone(zone).date()
    for days in range(own["min_days"], (own["max_days"] or _MOST_DAYS) + 1):
        on = first + (days - 1) * _DAY
        yield wall(on, time_on(own["end_time"], WEEKDAYS[on.weekday()]), zone)


def _open_at(spans: list[Interval], at: datetime) -> bool:
    return any(start <= at < end for start, end in spans)


def _closes_at(spans: list[Interval], at: datetime) -> bool:
    return any(start < at <= end for start, end in spans)


# the same rules asked of one booking


def in_schedule(
    state: State, service: Service | None, location: Location, resource: Resource, times: Interval, busy: Interval
) -> bool:
    """Tell whether a booking lies in opening hours: its buffered interval, or for days its first and last moment."""
    spans = open_spans(state, resource.id, location, busy[0] - _DAY, busy[1] + _DAY)
    if service is not None and service.type == "day":
        return _open_at(spans, times[0]) and _closes_at(spans, times[1])
    return inside(spans, *busy)


def is_slot(
    state: State, service: Service, location: Location, resource: Resource, times: Interval, busy: Interval
) -> bool:
    """Tell whether a booking's start, length and buffers are those of a bookable slot, taken or not."""
    buffers = buffers_of(service, location.zone)
    starts_at, ends_at = times
    if busy != buffers.around(starts_at, ends_at):
        return False
    if service.type == "day":
        on = starts_at.astimezone(buffers.zone).date()
        opens = wall(on, time_on(service.details["start_time"], WEEKDAYS[on.weekday()]), buffers.zone)
        return starts_at == opens and ends_at in _day_ends(service, starts_at, buffers.zone)
    for span in open_spans(state, resource.id, location, busy[0], busy[1]):
        if span[0] <= busy[0] and busy[1] <= span[1]:
            if next(_starts(service, buffers, span, starts_at), None) != starts_at:
                return False
            if service.type == "fixed":
                return ends_at == length(service.details["duration"]).after(starts_at, buffers.zone)
            return ends_at in _flexible_ends(service, starts_at, buffers, span[1])
    return False


def price_of(service: Service, zone: ZoneInfo, starts_at: datetime, ends_at: datetime) -> str | None:
    """Return the price of a booking: in total, per hour or per date touched, rounded half up to three decimals."""
    if service.price is None or service.type == "fixed":
        return service.price
    thousandths = int(service.price.replace(".", ""))
    if service.type == "flexible":
        seconds = int((ends_at - starts_at).total_seconds())
        total = (thousandths * seconds * 2 + 3600) // 7200
    else:
        total = thousandths * ((ends_at.astimezone(zone).date() - starts_at.astimezone(zone).date()).days + 1)
    return f"{total // 1000}.{total % 1000:03d}"


# HTTP

_WINDOW_FIELDS: Final = {
    "from": Field(fields.timestamp, required=True),
    "to": Field(fields.timestamp, required=True),
}
_SLOT_FIELDS: Final = {
    **_WINDOW_FIELDS,
    "location": Field(fields.uuid, required=True),
    "resource": Field(fields.uuid, default=None),
    "ignore_booking_window": Field(fields.flag, default=False),
    "duration": Field(fields.positive_duration, default=None),
    "num_resources": Field(fields.integer(1), default=1),
    **PAGE_FIELDS,
}
_SCHEDULE_FIELDS: Final = {
    **_WINDOW_FIELDS,
    "location": Field(fields.uuid, required=True),
    "fully_booked": Field(fields.one_of("exclude", "include"), default="include"),
    **PAGE_FIELDS,
}
# The specification names no `location` here; Hapio's own live test of its JavaScript SDK sends one and is answered.
_FULLY_BOOKED_FIELDS: Final = {**_WINDOW_FIELDS, "location": Field(fields.string, default=None), **PAGE_FIELDS}


def _read_window(request: ApiRequest, known: Mapping[str, Field]) -> Json:
    asked = fields.read(request.query, known)
    if unknown := [name for name in request.query if name not in known]:
        raise invalid({name: [f"The {name} is not a known query parameter."] for name in unknown})
    if asked["from"] >= asked["to"]:
        raise invalid({"from": ["The from must be a date before to."]})
    return asked


def _referenced(table: Mapping[str, Any], id_: str, noun: str) -> Any:
    if id_ not in table:
        raise not_found(noun)
    return table[id_]


async def _bookable_slots(request: ApiRequest) -> Reply:
    state = request.state
    service = SERVICES.find(request)
    asked = _read_window(request, _SLOT_FIELDS)
    location: Location = _referenced(state.locations, asked["location"], "location")
    providers = state.providers(service.id)
    if asked["resource"] is not None:
        only: Resource = _referenced(state.resources, asked["resource"], "resource")
        providers = [resource for resource in providers if resource.id == only.id]
    low, latest = asked["from"], None
    if not asked["ignore_booking_window"]:
        earliest, latest = booking_window(service, location.zone, state.now())
        low = max(low, earliest)
    wanted = asked["duration"] and length(asked["duration"])
    found: dict[datetime, tuple[Slot, list[Resource]]] = {}
    if service.enabled and location.enabled and low < asked["to"]:
        for resource in providers:
            for slot in resource_slots(state, service, location, resource, low, asked["to"], wanted):
                if latest is not None and slot.starts_at > latest:
                    break
                if (known := found.get(slot.starts_at)) is None:
                    found[slot.starts_at] = (slot, [resource])
                else:
                    known[1].append(resource)
                    if slot.ends_at > known[0].ends_at:
                        found[slot.starts_at] = (known[0]._replace(ends_at=slot.ends_at), known[1])
    offered = [found[start] for start in sorted(found) if len(found[start][1]) >= asked["num_resources"]]
    shown = {resource.id: state.resource_json(resource, request.abilities) for resource in providers}
    return paginate(request, offered, lambda entry: _slot_json(state, service, location, shown, *entry))


def _slot_json(
    state: State,
    service: Service,
    location: Location,
    shown_resources: dict[str, Json],
    slot: Slot,
    resources: list[Resource],
) -> Json:
    buffers = buffers_of(service, location.zone)

    def show(at: datetime) -> str:
        return state.render(at, location.id)

    busy_from, busy_to = buffers.around(slot.starts_at, slot.ends_at)
    shown = {"buffer_starts_at": show(busy_from), "starts_at": show(slot.starts_at)}
    if service.type != "fixed":
        shown["min_ends_at"] = show(slot.min_ends_at)
    shown["ends_at"] = show(slot.ends_at)
    if service.type != "fixed":
        shown["min_buffer_ends_at"] = show(buffers.around(slot.starts_at, slot.min_ends_at)[1])
    shown["buffer_ends_at"] = show(busy_to)
    return {**shown, "resources": [shown_resources[resource.id] for resource in resources]}


async def _schedule(request: ApiRequest) -> Reply:
    state, resource = request.state, RESOURCES.find(request)
    asked = _read_window(request, _SCHEDULE_FIELDS)
    location: Location = _referenced(state.locations, asked["location"], "location")
    spans = open_spans(state, resource.id, location, asked["from"], asked["to"])
    if asked["fully_booked"] == "exclude":
        spans = without(spans, _full_time(state, resource, asked).spans)
    return _span_page(request, clip(spans, asked["from"], asked["to"]), location.id)


async def _fully_booked(request: ApiRequest) -> Reply:
    state, resource = request.state, RESOURCES.find(request)
    asked = _read_window(request, _FULLY_BOOKED_FIELDS)
    return _span_page(request, clip(_full_time(state, resource, asked).spans, asked["from"], asked["to"]), None)


def _full_time(state: State, resource: Resource, asked: Json) -> FullTime:
    return FullTime(state.busy(resource.id, asked["from"], asked["to"]), resource.max_simultaneous_bookings)


def _span_page(request: ApiRequest, spans: list[Interval], location_id: str | None) -> Reply:
    render = request.state.render
    return paginate(
        request,
        spans,
        lambda span: {"starts_at": render(span[0], location_id), "ends_at": render(span[1], location_id)},
    )


OPERATIONS: Final = [
    Operation("GET", "/resources/{resource}/schedule", "getResourceSchedule", "schedule:view", _schedule),
    Operation("GET", "/resources/{resource}/fully-booked", "getResourceFullyBooked", "schedule:view", _fully_booked),
    Operation(
        "GET",
        "/services/{service}/bookable-slots",
        "getServiceBookableSlots",
        "bookable_slot:view",
        _bookable_slots,
    ),
]
