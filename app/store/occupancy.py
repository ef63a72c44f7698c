"""What takes up time, by us: the open bookings and moves, and who is off."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from app.domain.hours_change import ChangeKind
from app.domain.reservation import Occupied, OccupiedSince
from app.store.database import Database
from app.store.hours_tables import hours_changes
from app.store.prepared import NOW, Prepared, asked
from app.store.tables import Instant, Row, reservations

_RESERVED = (
    reservations.c.id,
    reservations.c.resource_id,
    reservations.c.buffer_starts_at,
    reservations.c.buffer_ends_at,
    sa.false().label("closed"),
    reservations.c.occupies,
    reservations.c.due.is_(None).label("settled"),
)
#: Who is off. A studio has so few of these rows ahead that all of them are read each time.
_OFF = sa.select(
    hours_changes.c.id,
    hours_changes.c.resource_id,
    hours_changes.c.starts_at,
    hours_changes.c.ends_at,
    sa.true(),
    hours_changes.c.ended_at.is_(None),
    sa.false(),
).where(hours_changes.c.kind == sa.literal_column(f"'{ChangeKind.OFF}'"), hours_changes.c.ends_at > NOW)
_OCCUPIED = Prepared(
    sa.union_all(
        sa.select(*_RESERVED).where(reservations.c.occupies, reservations.c.buffer_ends_at > NOW),
        _OFF.where(hours_changes.c.ended_at.is_(None)),
    )
)
_SINCE = Prepared(
    sa.union_all(sa.select(*_RESERVED).where(reservations.c.occupancy_at >= asked("since", Instant)), _OFF)
)
_BEGINNING = Prepared(
    sa.select(reservations.c.resource_id, sa.func.count().label("many"))
    .where(
        reservations.c.occupies,
        reservations.c.starts_at > asked("after", Instant),
        reservations.c.starts_at < asked("before", Instant),
    )
    .group_by(reservations.c.resource_id)
)


class OccupancyRows(Database):
    """What the tables `reservations` and `hours_changes` say of time that is taken up."""

    async def occupied(self) -> list[Occupied]:
        """The times that our open bookings and moves take up from now on, and who is off."""
        return [_to_occupied(row) for row in await self._fetch(_OCCUPIED, now=self._now())]

    async def occupied_since(self, since: datetime) -> OccupiedSince:
        """What has changed in `occupied` from that moment on, by the clocks of those who wrote it."""
        rows = await self._fetch(_SINCE, since=since, now=self._now())
        return OccupiedSince(
            rows=[_to_occupied(row) for row in rows if row["occupies"]],
            gone={row["id"] for row in rows if not row["occupies"]},
            released={row["id"] for row in rows if not row["occupies"] and row["settled"]},
        )

    async def beginning_around(self, moment: datetime, *, within: timedelta) -> dict[str, int]:
        """How many of the open bookings and moves begin less than so far from that moment, by resource; those without
        any are left out."""
        rows = await self._fetch(_BEGINNING, after=moment - within, before=moment + within)
        return {row["resource_id"]: row["many"] for row in rows}


def _to_occupied(row: Row) -> Occupied:
    return Occupied(row["id"], row["resource_id"], row["buffer_starts_at"], row["buffer_ends_at"], row["closed"])
