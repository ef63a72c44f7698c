"""The slot guard's condition: whether a resource is full at some moment of an interval."""

from __future__ import annotations

import sqlalchemy as sa

from app.domain.reservation import Occupied
from app.store.tables import Instant, reservations


def guard_of(resource_id: str) -> str:
    """The name to lock before asking for `room`, so that nobody else asks until the transaction ends."""
    return f"resource {resource_id}"


def room(wanted: Occupied, capacity: int | None, *, booking_id: str) -> sa.ColumnElement[bool]:
    """Whether the resource has room for `wanted` throughout, whatever the booking itself takes up there.

    `capacity` None is "no limit".
    """
    return sa.true() if capacity is None else ~_crowded(wanted, capacity, booking_id)


def _crowded(wanted: Occupied, capacity: int, booking_id: str) -> sa.ColumnElement[bool]:
    """Whether some moment of the interval has `capacity` other bookings on the resource.

    Their number can only rise where a reservation starts, so those moments and the interval's own start are all that
    need looking at.
    """
    other = reservations.alias("other")
    starts = sa.select(other.c.buffer_starts_at).where(
        other.c.occupies,
        other.c.resource_id == wanted.resource_id,
        other.c.booking_id != booking_id,
        other.c.buffer_starts_at > wanted.starts_at,
        other.c.buffer_starts_at < wanted.ends_at,
    )
    moment = sa.union_all(sa.select(sa.literal(wanted.starts_at, Instant).label("at")), starts).subquery("moment")
    simultaneous = _simultaneous(moment.c.at, wanted.resource_id, booking_id)
    return sa.exists(sa.select(sa.literal(1)).select_from(moment).where(simultaneous >= capacity))


def _simultaneous(at: sa.ColumnElement[object], resource_id: str, booking_id: str) -> sa.ColumnElement[int]:
    """How many other bookings have the resource at that moment: one whose old time and new time overlap is one."""
    live = reservations.alias("live")
    return (
        sa.select(sa.func.count(live.c.booking_id.distinct()))
        .where(
            live.c.occupies,
            live.c.resource_id == resource_id,
            live.c.booking_id != booking_id,
            live.c.buffer_starts_at <= at,
            live.c.buffer_ends_at > at,
        )
        .scalar_subquery()
    )
