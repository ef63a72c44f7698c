"""Bookings: the rules of create, replace and patch, and the six operations (Hapio API v1.7, bookings).

A request is first planned, which makes all checks and yields the record to store; then it is stored. Between the two
lies the race gate: Hapio's own check is not atomic, and the switch `race_mode` lets several requests pass at once.
"""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from sandbox.hapio import fields
from sandbox.hapio.errors import RuleFailure, forbidden, invalid
from sandbox.hapio.fields import Field, length, wall
from sandbox.hapio.listing import (
    Lists,
    Property,
    by_attribute,
    equals,
    metadata_of,
    paginate,
    select,
    stamps,
    tri_state,
)
from sandbox.hapio.request import ApiRequest, Operation, Reply
from sandbox.hapio.slots import booking_window, buffers_of, in_schedule, is_slot, price_of
from sandbox.hapio.spans import FullTime
from sandbox.hapio.state import Abilities, Booking, Json, Location, Resource, Service, State
from sandbox.intervals import Interval, clip

IGNORE_FLAGS: Final = (
    "ignore_schedule",
    "ignore_fully_booked",
    "ignore_bookable_slots",
    "ignore_booking_window",
    "ignore_cancelation_threshold",
)
_RECHECKED: Final = (
    "starts_at",
    "ends_at",
    "buffer_starts_at",
    "buffer_ends_at",
    "resource_id",
    "service_id",
    "location_id",
    "is_canceled",
)
_TIMES: Final = ("starts_at", "ends_at", "buffer_starts_at", "buffer_ends_at")


@dataclass(frozen=True)
class Plan:
    """A booking as it will be stored; `checked` tells whether its availability was asked."""

    booking: Booking
    checked: bool


def _request_fields(present: Booking | None, partial: bool) -> dict[str, Field]:
    """Return the fields of POST (nothing present), PUT or PATCH."""

    def reference(attribute: str) -> Field:
        gone = present is not None and not partial and getattr(present, attribute) is None
        return Field(fields.uuid, required=attribute != "resource_id", nullable=gone)

    known = {
        "service_id": reference("service_id"),
        "location_id": reference("location_id"),
        "resource_id": replace(reference("resource_id"), nullable=True)
        if present is None
        else reference("resource_id"),
        "starts_at": Field(fields.timestamp, required=True),
        "ends_at": Field(fields.timestamp, required=True),
        "buffer_starts_at": Field(fields.timestamp),
        "buffer_ends_at": Field(fields.timestamp),
        "price": Field(fields.price, nullable=True),
        "is_temporary": Field(fields.boolean, default=False),
        "booking_group_id": Field(fields.uuid, nullable=True, default=None),
        "metadata": Field(fields.metadata, nullable=True, default=None),
        "protected_metadata": Field(fields.metadata, nullable=True, default=None),
        **{flag: Field(fields.boolean, default=False) for flag in IGNORE_FLAGS},
    }
    if present is None:
        del known["ignore_cancelation_threshold"]
    else:
        known["is_canceled"] = Field(fields.boolean, default=False)
    return known


def plan(
    state: State,
    abilities: Abilities,
    body: Mapping[str, Any],
    present: Booking | None,
    *,
    partial: bool = False,
    group_id: str | None = None,
) -> Plan:
    """Check a POST (nothing `present`), PUT or PATCH and return what to store.

    In a booking group, `group_id` is the membership and the body has none. Raises Refusal 403 and 422, and
    RuleFailure when a booking rule says no. The order of checks is the sandbox's choice; Hapio's is unknown.
    """
    for flag in IGNORE_FLAGS:
        if body.get(flag) is True and f"booking:{flag}" not in abilities:
            raise forbidden()
    if "protected_metadata" in body and "booking:protected_metadata" not in abilities:
        raise forbidden()
    known = _request_fields(present, partial)
    if group_id is not None:
        del known["booking_group_id"]
    values = fields.read(body, known, partial=partial)
    _check_references(state, values)
    if "booking:protected_metadata" not in abilities and present is not None:
        values.pop("protected_metadata", None)
    flags = {flag for flag in IGNORE_FLAGS if values.pop(flag, False)}

    now = state.stamp()
    base = present or _blank(state, values, now)
    service_id = values.get("service_id", base.service_id)
    location_id = values.get("location_id", base.location_id)
    service = state.services[service_id] if service_id else None
    location = state.locations[location_id] if location_id else None
    zone = location.zone if location else ZoneInfo("UTC")

    _derive_buffers(values, base, service, zone, fresh=not (present and partial))
    booking = replace(base, **values)
    if group_id is not None:
        booking = replace(booking, booking_group_id=group_id)
    _check_times(booking)
    if "price" not in values:
        booking = _priced(booking, base, service, zone, fresh=not (present and partial))
    if present and booking.is_canceled and not present.is_canceled:
        _check_cancelation(state, present, "ignore_cancelation_threshold" in flags)

    moved = any(getattr(booking, name) != getattr(base, name) for name in _RECHECKED)
    checked = not booking.is_canceled and (present is None or not partial or moved)
    choose = booking.resource_id is None if present is None else not partial and "resource_id" not in values
    if choose and service and location:
        booking = replace(booking, resource_id=_choose_resource(state, booking, service, location, flags))
    elif checked:
        resource = state.resources[booking.resource_id] if booking.resource_id else None
        _check_enabled(state, service, location, resource)
        _check_window(state, booking, service, zone, flags)
        if resource is not None and (failure := _unavailable(state, booking, service, location, resource, flags)):
            raise failure
    return Plan(_stamped(booking, present, now), checked)


def _blank(state: State, values: Json, now: datetime) -> Booking:
    return Booking(
        id=state.new_id(),
        resource_id=None,
        service_id=None,
        location_id=None,
        booking_group_id=None,
        price=None,
        metadata=None,
        protected_metadata=None,
        is_temporary=False,
        is_canceled=False,
        starts_at=values["starts_at"],
        ends_at=values["ends_at"],
        buffer_starts_at=values["starts_at"],
        buffer_ends_at=values["ends_at"],
        created_at=now,
        updated_at=now,
        finalized_at=None,
        canceled_at=None,
    )


def _check_references(state: State, values: Json) -> None:
    tables: dict[str, Mapping[str, object]] = {
        "service_id": state.services,
        "location_id": state.locations,
        "resource_id": state.resources,
        "booking_group_id": state.booking_groups,
    }
    errors = {
        name: [f"The selected {fields.label(name)} is invalid."]
        for name, table in tables.items()
        if values.get(name) is not None and values[name] not in table
    }
    if errors:
        raise invalid(errors)


def _derive_buffers(values: Json, base: Booking, service: Service | None, zone: ZoneInfo, *, fresh: bool) -> None:
    """Fill in the buffers that the request left out: always when fresh, else next to a time that changed."""
    starts_at, ends_at = values.get("starts_at", base.starts_at), values.get("ends_at", base.ends_at)
    busy = buffers_of(service, zone).around(starts_at, ends_at) if service else (starts_at, ends_at)
    if "buffer_starts_at" not in values and (fresh or starts_at != base.starts_at):
        values["buffer_starts_at"] = busy[0]
    if "buffer_ends_at" not in values and (fresh or ends_at != base.ends_at):
        values["buffer_ends_at"] = busy[1]


def _check_times(booking: Booking) -> None:
    errors = {}
    if booking.ends_at <= booking.starts_at:
        errors["ends_at"] = ["The ends at must be a date after starts at."]
    if booking.buffer_starts_at > booking.starts_at:
        errors["buffer_starts_at"] = ["The buffer starts at must be a date before or equal to starts at."]
    if booking.buffer_ends_at < booking.ends_at:
        errors["buffer_ends_at"] = ["The buffer ends at must be a date after or equal to ends at."]
    if errors:
        raise invalid(errors)


def _priced(booking: Booking, base: Booking, service: Service | None, zone: ZoneInfo, *, fresh: bool) -> Booking:
    changed = any(getattr(booking, n) != getattr(base, n) for n in ("service_id", "starts_at", "ends_at"))
    if service is None:
        return replace(booking, price=None) if fresh else booking
    if fresh or changed:
        return replace(booking, price=price_of(service, zone, booking.starts_at, booking.ends_at))
    return booking


def _check_cancelation(state: State, present: Booking, ignored: bool) -> None:
    if ignored or present.service_id is None:
        return
    zone = state.locations[present.location_id].zone if present.location_id else ZoneInfo("UTC")
    threshold = length(state.services[present.service_id].cancelation_threshold)
    if threshold.after(state.now(), zone) > present.starts_at:
        raise RuleFailure("The booking can no longer be canceled.", "is_canceled")


def _check_enabled(state: State, service: Service | None, location: Location | None, resource: Resource | None) -> None:
    for noun, record in (("service", service), ("location", location), ("resource", resource)):
        if record is not None and not record.enabled:
            raise RuleFailure(f"The {noun} is not enabled.", f"{noun}_id")
    if service and resource and (resource.id, service.id) not in state.associations:
        raise RuleFailure("The resource does not offer the service.", "resource_id")


def _check_window(state: State, booking: Booking, service: Service | None, zone: ZoneInfo, flags: set[str]) -> None:
    if service is None or "ignore_booking_window" in flags:
        return
    earliest, latest = booking_window(service, zone, state.now())
    if booking.starts_at < earliest or (latest is not None and booking.starts_at > latest):
        raise RuleFailure("The booking is outside of the booking window.")


def _unavailable(
    state: State,
    booking: Booking,
    service: Service | None,
    location: Location | None,
    resource: Resource,
    flags: set[str],
) -> RuleFailure | None:
    """Return why a resource cannot take the booking: closed, not a slot, or full."""
    times = (booking.starts_at, booking.ends_at)
    busy = (booking.buffer_starts_at, booking.buffer_ends_at)
    if location and "ignore_schedule" not in flags:
        if not in_schedule(state, service, location, resource, times, busy):
            return RuleFailure("The resource is not available at the requested time.")
        slot_needed = service if "ignore_bookable_slots" not in flags else None
        if slot_needed and not is_slot(state, slot_needed, location, resource, times, busy):
            return RuleFailure("The booking does not match a bookable slot.")
    if "ignore_fully_booked" not in flags:
        taken = state.busy(resource.id, *busy, besides=booking.id)
        if FullTime(taken, resource.max_simultaneous_bookings).meets(*busy):
            return RuleFailure("The resource is fully booked for the requested time.")
    return None


def _choose_resource(state: State, booking: Booking, service: Service, location: Location, flags: set[str]) -> str:
    """Return the resource that the location's strategy selects among the available ones."""
    _check_enabled(state, service, location, None)
    _check_window(state, booking, service, location.zone, flags)
    providers = state.providers(service.id)
    failures = [_unavailable(state, booking, service, location, resource, flags) for resource in providers]
    free = [resource.id for resource, failure in zip(providers, failures, strict=True) if failure is None]
    if not free:
        raise next((f for f in failures if f), RuleFailure("No resource offers the service.", "resource_id"))
    if location.resource_selection_strategy == "prioritize":
        listed = [id_ for id_ in location.resource_selection_priority if id_ in free]
        return listed[0] if listed else free[0]
    if location.resource_selection_strategy == "equalize":
        booked = {id_: _booked_time(state, id_, booking.starts_at, location) for id_ in free}
        free = [id_ for id_ in free if booked[id_] == min(booked.values())]
    return state.random.choice(free)


def _booked_time(state: State, resource_id: str, at: datetime, location: Location) -> timedelta:
    """Return how long a resource is booked on the local day of `at`, without buffers, temporary ones included."""
    on = at.astimezone(location.zone).date()
    day: Interval = (wall(on, "00:00:00", location.zone), wall(on, "24:00:00", location.zone))
    booked = [
        (b.starts_at, b.ends_at) for b in state.bookings.values() if b.resource_id == resource_id and not b.is_canceled
    ]
    return sum((end - start for start, end in clip(booked, *day)), timedelta(0))


def _stamped(booking: Booking, present: Booking | None, now: datetime) -> Booking:
    if present is None:
        return replace(booking, finalized_at=None if booking.is_temporary else now)
    if booking.is_temporary != present.is_temporary:
        booking = replace(booking, finalized_at=None if booking.is_temporary else now)
    if booking.is_canceled != present.is_canceled:
        booking = replace(booking, canceled_at=now if booking.is_canceled else None)
    return booking if booking == present else replace(booking, updated_at=now)


# HTTP


def _ends_after(text: object) -> Any:
    at = fields.timestamp(text)
    return lambda booking: booking.ends_at > at


def _starts_before(text: object) -> Any:
    at = fields.timestamp(text)
    return lambda booking: booking.starts_at < at


LISTS: Final = Lists[Booking](
    properties={
        "price": Property(lambda text: Decimal(fields.price(text)), lambda b: b.price and Decimal(b.price)),
        **{
            name: Property[Any](fields.timestamp, operator.attrgetter(name))
            for name in (*_TIMES, "finalized_at", "canceled_at")
        },
        **stamps(),
    },
    sorts=by_attribute(*_TIMES, "created_at", "updated_at"),
    plain={
        "from": _ends_after,
        "to": _starts_before,
        "resource": equals(fields.uuid, "resource_id"),
        "service": equals(fields.uuid, "service_id"),
        "location": equals(fields.uuid, "location_id"),
        "temporary": tri_state(lambda booking: booking.is_temporary),
        "canceled": tri_state(lambda booking: booking.is_canceled),
    },
    metadata=metadata_of("booking"),
)


def list_defaults(state: State) -> dict[str, str]:
    """Return the filters that apply when the query does not name them."""
    return {"temporary": "exclude", "canceled": state.switches.canceled_default}


def check_period(query: Mapping[str, str]) -> None:
    """Refuse a list whose `from` is after its `to`."""
    asked = fields.read(query, {"from": Field(fields.timestamp), "to": Field(fields.timestamp)})
    if "from" in asked and "to" in asked and asked["from"] > asked["to"]:
        raise invalid({"from": ["The from must be a date before or equal to to."]})


async def _list(request: ApiRequest) -> Reply:
    state = request.state
    check_period(request.query)
    found = select(request, state.bookings.values(), LISTS, list_defaults(state))
    return paginate(request, found, lambda booking: state.booking_json(booking, request.abilities))


async def _post(request: ApiRequest) -> Reply:
    state = request.state
    planned = plan(state, request.abilities, request.body, None)
    await state.hold_limits.wait(state.switches)
    state.bookings[planned.booking.id] = planned.booking
    return 201, state.booking_json(planned.booking, request.abilities)


async def _get(request: ApiRequest) -> Reply:
    state = request.state
    return 200, state.booking_json(request.find(state.bookings, "booking"), request.abilities)


async def _change(request: ApiRequest, *, partial: bool) -> Reply:
    state = request.state
    present = request.find(state.bookings, "booking")
    planned = plan(state, request.abilities, request.body, present, partial=partial)
    if planned.checked:
        await state.hold_limits.wait(state.switches)
        request.find(state.bookings, "booking")
    state.bookings[present.id] = planned.booking
    return 200, state.booking_json(planned.booking, request.abilities)


async def _put(request: ApiRequest) -> Reply:
    return await _change(request, partial=False)


async def _patch(request: ApiRequest) -> Reply:
    return await _change(request, partial=True)


async def _delete(request: ApiRequest) -> Reply:
    del request.state.bookings[request.find(request.state.bookings, "booking").id]
    return 204, None


OPERATIONS: Final = [
    Operation("GET", "/bookings", "getBookings", "booking:view", _list),
    Operation("POST", "/bookings", "postBooking", "booking:create", _post),
    Operation("GET", "/bookings/{booking}", "getBooking", "booking:view", _get),
    Operation("PUT", "/bookings/{booking}", "putBooking", "booking:update", _put),
    Operation("PATCH", "/bookings/{booking}", "patchBooking", "booking:update", _patch),
    Operation("DELETE", "/bookings/{booking}", "deleteBooking", "booking:delete", _delete),
]
