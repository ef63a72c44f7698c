"""The slot guard's condition: whether a resource is full, or off, at some moment of an interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from app.domain.hours_change import ChangeKind
from app.domain.reservation import Occupied
from app.store.hours_tables import hours_changes
from app.store.prepared import asked
from app.store.tables import Instant, reservations

#: Where a value stands: there at once, or named when the statement is run.
_Place = Callable[[str, type[sa.types.TypeEngine[Any]]], sa.ColumnElement[Any]]


def guard_of(resource_id: str) -> str:
    """The name to lock before asking for `room`, so that nobody else asks until the transaction ends."""
    return f"resource {resource_id}"


def room(wanted: Occupied, capacity: int | None, *, booking_id: str) -> sa.ColumnElement[bool]:
    """Whether the resource has room for `wanted` throughout, whatever the booking itself takes up there, and is not
    off at any moment of it.

    `capacity` None is "no limit".
    """
    values = guarded(wanted, capacity or 0, booking_id=booking_id)

    def place(name: str, kind: type[sa.types.TypeEngine[Any]]) -> sa.ColumnElement[Any]:
        return sa.literal(values[name], kind)

    return ~_off(place) if capacity is None else sa.and_(~_off(place), ~_crowded(place))


def room_asked(*, limited: bool) -> sa.ColumnElement[bool]:
    """The same for a statement that is built once, and run with what `guarded` gives."""
    return sa.and_(~_off(asked), ~_crowded(asked)) if limited else ~_off(asked)


def guarded(wanted: Occupied, capacity: int, *, booking_id: str) -> dict[str, object]:
    """What `room_asked` asks about."""
    return {
        "guard_resource": wanted.resource_id,
        "guard_booking": booking_id,
        "guard_from": wanted.starts_at,
        "guard_to": wanted.ends_at,
        "guard_capacity": capacity,
    }


def _off(place: _Place) -> sa.ColumnElement[bool]:
    """Whether staff have taken the resource off at some moment of the interval."""
    return sa.exists().where(
        hours_changes.c.kind == ChangeKind.OFF,
        hours_changes.c.resource_id == place("guard_resource", sa.Text),
        hours_changes.c.ended_at.is_(None),
        hours_changes.c.ends_at > place("guard_from", Instant),
        hours_changes.c.starts_at < place("guard_to", Instant),
    )


def _crowded(place: _Place) -> sa.ColumnElement[bool]:
    """Whether some moment of the interval has `capacity` other bookings on the resource.

    Their number can only rise where a reservation starts, so those moments and the interval's own start are all that
    need looking at.
    """
    other = reservations.alias("other")
    begins, ends = place("guard_from", Instant), place("guard_to", Instant)
    starts = sa.select(other.c.buffer_starts_at).where(
        other.c.occupies,
        other.c.resource_id == place("guard_resource", sa.Text),
        other.c.booking_id != place("guard_booking", sa.Text),
        other.c.buffer_ends_at > begins,  # which follows from the next line, and is what the index goes by
        other.c.buffer_starts_at > begins,
        other.c.buffer_starts_at < ends,
    )
    moment = sa.union_all(sa.select(begins.label("at")), starts).subquery("moment")
    crowd = _simultaneous(place, moment.c.at)
    return sa.exists(sa.select(sa.literal(1)).select_from(moment).where(crowd >= place("guard_capacity", sa.Integer)))


def _simultaneous(place: _Place, at: sa.ColumnElement[object]) -> sa.ColumnElement[int]:
    """How many other bookings have the resource at that moment: one whose old time and new time overlap is one."""
    live = reservations.alias("live")
    return (
        sa.select(sa.func.count(live.c.booking_id.distinct()))
        .where(
            live.c.occupies,
            live.c.resource_id == place("guard_resource", sa.Text),
            live.c.booking_id != place("guard_booking", sa.Text),
            live.c.buffer_starts_at <= at,
            live.c.buffer_ends_at > at,
        )
        .scalar_subquery()
    )
