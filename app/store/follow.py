"""Bookings as Hapio's own users change them, and how far the looks into the providers' lists have come."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from app.domain.booking import Booking, Status
from app.domain.move import OPEN_MOVES
from app.domain.outbox import OutboxMail
from app.store.database import Database
from app.store.due import add_mails, remember
from app.store.tables import bookings, counters, moves, to_booking

#: What changes with a booking's time.
_TIME = (
    "service_id",
    "service_name",
    "resource_id",
    "resource_name",
    "location_id",
    "location_name",
    "time_zone",
    "starts_at",
    "ends_at",
    "buffer_starts_at",
    "buffer_ends_at",
)


class FollowRows(Database):
    """What is read and written where somebody else decides."""

    async def ours_among(self, ids: Collection[str]) -> list[Booking]:
        """The bookings that go by one of these ids, ours or Hapio's."""
        wanted = list(ids)
        rows = await self._all(
            sa.select(bookings).where(sa.or_(bookings.c.id.in_(wanted), bookings.c.hapio_booking_id.in_(wanted)))
        )
        return [to_booking(row) for row in rows]

    async def standing(self) -> list[Booking]:
        """Confirmed bookings whose end is still to come."""
        rows = await self._all(
            sa.select(bookings)
            .where(
                bookings.c.status == Status.CONFIRMED,
                bookings.c.ends_at > self._now(),
                bookings.c.hapio_booking_id.is_not(None),
            )
            .order_by(bookings.c.starts_at)
        )
        return [to_booking(row) for row in rows]

    async def take_time(self, booking: Booking, after: Booking, *, mails: Sequence[OutboxMail]) -> Booking | None:
        """The owner has moved the booking in Hapio: the row takes that time, and counts in the slot guard there,
        whether there is room or not. None if the booking has changed since it was read as `booking`."""
        now = self._now()
        on_the_move = sa.exists().where(moves.c.booking_id == booking.id, moves.c.state.in_(list(OPEN_MOVES)))
        async with self._write() as connection:
            changed = await connection.execute(
                sa.update(bookings)
                .where(
                    bookings.c.id == booking.id,
                    bookings.c.status == Status.CONFIRMED,
                    bookings.c.revision == booking.revision,
                    bookings.c.hapio_booking_id == booking.hapio_booking_id,
                    ~on_the_move,
                )
                .values(
                    **{name: getattr(after, name) for name in _TIME},
                    any_resource=bookings.c.any_resource & (bookings.c.resource_id == after.resource_id),
                    revision=after.revision,
                    no_show=False,
                    updated_at=now,
                )
                .returning(*bookings.c)
            )
            row = changed.mappings().first()
            if row is None:
                return None
            moved = to_booking(row)
            detail = {
                "from": booking.starts_at.isoformat(),
                "to": moved.starts_at.isoformat(),
                "by": "by_owner",
                "in": "hapio",
            }
            await remember(connection, moved.id, "moved", moved.status, at=now, detail=detail)
            await add_mails(connection, mails)
            return moved

    async def mark(self, name: str) -> datetime | None:
        """How far a look through a provider's list has come; None before the first."""
        rows = await self._all(sa.select(counters.c.value).where(counters.c.name == name))
        return datetime.fromtimestamp(rows[0]["value"], UTC) if rows else None

    async def set_mark(self, name: str, at: datetime) -> None:
        """The list was read as it was then, and what it said is taken in."""
        await self.set_marks({name: at})

    async def set_marks(self, marks: Mapping[str, datetime | None]) -> None:
        """Several marks at once; None takes one away."""
        async with self._write() as connection:
            for name, at in marks.items():
                if at is None:
                    await connection.execute(sa.delete(counters).where(counters.c.name == name))
                    continue
                value = int(at.timestamp())
                await connection.execute(
                    sqlite.insert(counters)
                    .values(name=name, value=value)
                    .on_conflict_do_update(index_elements=["name"], set_={"value": value})
                )
