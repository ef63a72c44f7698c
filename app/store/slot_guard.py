"""The slot guard's condition: whether a resource is full at some moment of an interval."""

from __future__ import annotations

import sqlalchemy as sa

from app.domain.reservation import Occupied
from app.store.tables import Instant, bookings, moves


def room(wanted: Occupied, capacity: int | None, *, booking_id: str) -> sa.ColumnElement[bool]:
    """Whether the resource has room for `wanted` throughout, whatever the booking itself takes up there.

    `capacity` None is Hapio's "no limit".
    """
    return sa.true() if capacity is None else ~_crowded(wanted, capacity, booking_id)


def _crowded(wanted: Occupied, capacity: int, booking_id: str) -> sa.ColumnElement[bool]:
    """Whether some moment of the interval has `capacity` other bookings on the resource.

    Their number can only rise where one starts, so those moments and the interval's own start are all that need
    looking at.
    """
    other, moving = bookings.alias("other"), moves.alias("moving")
    starts = [sa.select(sa.literal(wanted.starts_at, Instant).label("at"))]
    for table, owner in ((other, other.c.id), (moving, moving.c.booking_id)):
        starts.append(
            sa.select(table.c.buffer_starts_at).where(
                table.c.occupies,
                table.c.resource_id == wanted.resource_id,
                owner != booking_id,
                table.c.buffer_starts_at > wanted.starts_at,
                table.c.buffer_starts_at < wanted.ends_at,
            )
        )
    moment = sa.union_all(*starts).subquery("moment")
    simultaneous = _booked(moment.c.at, wanted.resource_id, booking_id) + _moving(
        moment.c.at, wanted.resource_id, booking_id
    )
    return sa.exists(sa.select(sa.literal(1)).select_from(moment).where(simultaneous >= capacity))


def _booked(at: sa.ColumnElement[object], resource_id: str, booking_id: str) -> sa.ColumnElement[int]:
    live = bookings.alias("live")
    return (
        sa.select(sa.func.count())
        .select_from(live)
        .where(
            live.c.occupies,
            live.c.resource_id == resource_id,
            live.c.id != booking_id,
            live.c.buffer_starts_at <= at,
            live.c.buffer_ends_at > at,
        )
        .scalar_subquery()
    )


def _moving(at: sa.ColumnElement[object], resource_id: str, booking_id: str) -> sa.ColumnElement[int]:
    """What bookings on the move take up beside their own time: one that overlaps itself is one booking, not two."""
    away, itself = moves.alias("away"), bookings.alias("itself")
    return (
        sa.select(sa.func.count())
        .select_from(away)
        .where(
            away.c.occupies,
            away.c.resource_id == resource_id,
            away.c.booking_id != booking_id,
            away.c.buffer_starts_at <= at,
            away.c.buffer_ends_at > at,
            ~sa.exists().where(
                itself.c.id == away.c.booking_id,
                itself.c.occupies,
                itself.c.resource_id == resource_id,
                itself.c.buffer_starts_at <= at,
                itself.c.buffer_ends_at > at,
            ),
        )
        .scalar_subquery()
    )
