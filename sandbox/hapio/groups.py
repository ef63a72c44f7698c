"""Booking groups: several bookings in one request, all stored or none (Hapio API v1.7, booking groups)."""

import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from sandbox.hapio import bookings, fields
from sandbox.hapio.errors import Refusal, RuleFailure, forbidden, invalid
from sandbox.hapio.fields import Field
from sandbox.hapio.listing import Lists, MetadataSource, Property, paginate, select
from sandbox.hapio.request import ApiRequest, Operation, Reply
from sandbox.hapio.state import Booking, BookingGroup, Json, State

_READERS: Final = frozenset({"booking_group:protected_metadata", "booking_group:read_protected_metadata"})
_WRITERS: Final = frozenset({"booking_group:protected_metadata", "booking_group:write_protected_metadata"})


def _items(value: object) -> list[Json]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise fields.FieldError("must be an array of objects.")
    if not value:
        raise fields.FieldError("field is required.")
    return value


_FIELDS: Final = {
    "bookings": Field(_items, required=True),
    "metadata": Field(fields.metadata, nullable=True, default=None),
    "protected_metadata": Field(fields.metadata, nullable=True, default=None),
}


def _members(state: State, group: BookingGroup) -> list[Booking]:
    return [booking for booking in state.bookings.values() if booking.booking_group_id == group.id]


def _json(request: ApiRequest, group: BookingGroup) -> Json:
    return request.state.group_json(group, request.abilities, members=_members(request.state, group))


def _read(request: ApiRequest, *, partial: bool) -> Json:
    if "protected_metadata" in request.body and not _WRITERS & request.abilities:
        raise forbidden()
    values = fields.read(request.body, _FIELDS, partial=partial)
    if not _WRITERS & request.abilities:
        values.pop("protected_metadata", None)
    return values


def _store(request: ApiRequest, group: BookingGroup, items: list[Json], *, partial: bool) -> None:
    """Store a group and the members sent; the present members that are not sent are deleted.

    Members count against each other. On any failure nothing at all is stored.
    """
    state = request.state
    bookings_before, groups_before = dict(state.bookings), dict(state.booking_groups)
    present = {booking.id: booking for booking in _members(state, group)}
    sent = {item["id"] for item in items if isinstance(item.get("id"), str)}
    state.booking_groups[group.id] = group
    for id_ in present.keys() - sent:
        del state.bookings[id_]
    failures: dict[str, str] = {}
    errors: dict[str, list[str]] = {}
    for index, item in enumerate(items):
        try:
            _store_member(request, group, present, item, partial=partial)
        except RuleFailure as failure:
            failures[f"bookings.{index}"] = failure.message
        except Refusal as refusal:
            if refusal.status != 422:
                _restore(state, bookings_before, groups_before)
                raise
            errors |= {f"bookings.{index}.{name}": texts for name, texts in refusal.body["errors"].items()}
    if errors or failures:
        _restore(state, bookings_before, groups_before)
        raise invalid(errors) if errors else Refusal(422, {"messages": failures})


def _store_member(
    request: ApiRequest, group: BookingGroup, present: dict[str, Booking], item: Json, *, partial: bool
) -> None:
    state, booking = request.state, None
    if (id_ := item.get("id")) is not None:
        if not isinstance(id_, str) or id_ not in present:
            raise invalid({"id": ["The selected id is invalid."]})
        booking = present[id_]
    planned = bookings.plan(
        state,
        request.abilities,
        item,
        booking,
        partial=partial and booking is not None,
        group_id=group.id,
    )
    state.bookings[planned.booking.id] = planned.booking


def _restore(state: State, bookings_before: dict[str, Booking], groups_before: dict[str, BookingGroup]) -> None:
    state.bookings.clear()
    state.bookings.update(bookings_before)
    state.booking_groups.clear()
    state.booking_groups.update(groups_before)


async def _post(request: ApiRequest) -> Reply:
    values = _read(request, partial=False)
    at = request.state.stamp()
    group = BookingGroup(
        request.state.new_id(), values["metadata"], values.get("protected_metadata"), created_at=at, updated_at=at
    )
    # On POST an item cannot name a booking: nothing is a member yet
    items = [{name: value for name, value in item.items() if name != "id"} for item in values["bookings"]]
    _store(request, group, items, partial=False)
    return 201, _json(request, group)


async def _change(request: ApiRequest, *, partial: bool) -> Reply:
    state = request.state
    group = request.find(state.booking_groups, "booking-group")
    values = _read(request, partial=partial)
    items = values.pop("bookings", None)
    changed = replace(group, **values)
    if changed != group:
        changed = replace(changed, updated_at=state.stamp())
    if items is None:
        state.booking_groups[group.id] = changed
    else:
        _store(request, changed, items, partial=partial)
    return 200, _json(request, changed)


async def _put(request: ApiRequest) -> Reply:
    return await _change(request, partial=False)


async def _patch(request: ApiRequest) -> Reply:
    return await _change(request, partial=True)


async def _get(request: ApiRequest) -> Reply:
    return 200, _json(request, request.find(request.state.booking_groups, "booking-group"))


async def _delete(request: ApiRequest) -> Reply:
    state = request.state
    group = request.find(state.booking_groups, "booking-group")
    for booking in _members(state, group):
        del state.bookings[booking.id]
    del state.booking_groups[group.id]
    return 204, None


def _lists(state: State) -> Lists[Booking]:
    """Return the filters of a group list: those of bookings, which one member must pass, and the group's own."""

    def of_group(name: str) -> Callable[[Booking], Any]:
        return lambda member: getattr(state.booking_groups[member.booking_group_id or ""], name)

    return replace(
        bookings.LISTS,
        properties={
            **bookings.LISTS.properties,
            **{f"group_{name}": Property(fields.timestamp, of_group(name)) for name in ("created_at", "updated_at")},
        },
        metadata={
            **bookings.LISTS.metadata,
            "group_metadata": MetadataSource(of_group("metadata")),
            "group_protected_metadata": MetadataSource(of_group("protected_metadata"), _READERS),
        },
    )


async def _list(request: ApiRequest) -> Reply:
    state = request.state
    bookings.check_period(request.query)
    members = [booking for booking in state.bookings.values() if booking.booking_group_id is not None]
    matching = select(request, members, _lists(state), bookings.list_defaults(state))
    ids = dict.fromkeys(map(operator.attrgetter("booking_group_id"), matching))
    return paginate(request, [state.booking_groups[id_] for id_ in ids], lambda group: _json(request, group))


OPERATIONS: Final = [
    Operation("GET", "/booking-groups", "getBookingGroups", "booking_group:view", _list),
    Operation("POST", "/booking-groups", "postBookingGroup", "booking_group:create", _post),
    Operation("GET", "/booking-groups/{booking-group}", "getBookingGroup", "booking_group:view", _get),
    Operation("PUT", "/booking-groups/{booking-group}", "putBookingGroup", "booking_group:update", _put),
    Operation("PATCH", "/booking-groups/{booking-group}", "patchBookingGroup", "booking_group:update", _patch),
    Operation("DELETE", "/booking-groups/{booking-group}", "deleteBookingGroup", "booking_group:delete", _delete),
]
