"""Bookings as the scheduler's own users change them, and how far the looks into the providers' lists have come."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import sqlalchemy as sa

from app.domain.booking import Actor, Booking, Status
from app.domain.history import HistoryWord
from app.domain.move import OPEN_MOVES
from app.domain.outbox import OutboxMail
from app.store.conflicts import set_counter
from app.store.database import Database
from app.store.due import add_mails, remember
from app.store.prepared import NOW, Prepared, asked
from app.store.reservations import change_reservation, insert_reservation, read_booking
from app.store.rows import select_bookings, to_booking
from app.store.tables import (
    LONGEST_VISIT,
    STATUS_IN_SPAN,
    Instant,
    bookings,
    counters,
    moves,
    reservations,
)


class FollowRows(Database):
    """What is read and written where someone else decides."""

    async def ours_among(self, ids: Collection[str]) -> list[Booking]:
        """The bookings that go by one of these ids, ours or the scheduler's."""
        wanted = list(ids)
        rows = await self._all(select_bookings(sa.or_(bookings.c.id.in_(wanted), reservations.c.reference.in_(wanted))))
        return [to_booking(row) for row in rows]

    async def standing(self) -> list[Booking]:
        """Confirmed bookings whose end is still to come."""
        now = self._now()
        return [to_booking(row) for row in await self._fetch(_STANDING, now=now, earliest=now - LONGEST_VISIT)]

    async def take_time(self, booking: Booking, after: Booking, *, mails: Sequence[OutboxMail]) -> Booking | None:
        """The booking was moved at the scheduler, outside Holdfast: it gets a reservation of that time, which counts in
        the slot guard whether there is room or not, and leaves the old one. None if the booking has changed since it
        was read as `booking`."""
        now, old = self._now(), booking.reservation
        taken = replace(after.reservation, id=f"{booking.id}.{after.revision}", created_at=now, updated_at=now)
        as_read = sa.exists().where(reservations.c.id == old.id, reservations.c.reference == old.reference)
        on_the_move = sa.exists().where(moves.c.booking_id == booking.id, moves.c.state.in_(list(OPEN_MOVES)))
        async with self._write(booking.id) as connection:
            changed = await connection.execute(
                sa.update(bookings)
                .where(
                    bookings.c.id == booking.id,
                    bookings.c.status == booking.status,
                    bookings.c.revision == booking.revision,
                    bookings.c.reservation_id == old.id,
                    as_read,
                    ~on_the_move,
                )
                .values(
                    reservation_id=taken.id,
                    any_resource=booking.any_resource and old.resource_id == taken.resource_id,
                    revision=after.revision,
                    no_show=False,
                    updated_at=now,
                )
            )
            if not changed.rowcount:
                return None
            await insert_reservation(connection, taken)
            # The scheduler has done it already: nothing is due about either.
            await change_reservation(connection, old.id, {"reference": None, "occupies": False}, at=now)
            detail = {
                "from": old.starts_at.isoformat(),
                "to": taken.starts_at.isoformat(),
                "by": Actor.OWNER,
                "in": "scheduler",
            }
            await remember(connection, booking.id, HistoryWord.MOVED, booking.status, at=now, detail=detail)
            await add_mails(connection, mails)
            return await read_booking(connection, booking.id)

    async def mark(self, name: str) -> datetime | None:
        """How far a look through a provider's list has come; None before the first."""
        (at,) = await self.marks(name)
        return at

    async def marks(self, *names: str) -> list[datetime | None]:
        """Several marks, read at once, in the order of their names here."""
        rows = await self._fetch(_marks(len(names)), **{f"name_{number}": name for number, name in enumerate(names)})
        found = {row["name"]: datetime.fromtimestamp(row["value"], UTC) for row in rows}
        return [found.get(name) for name in names]

    async def set_mark(self, name: str, at: datetime) -> None:
        """The list was read as it was then, and what it said is taken in."""
        await self.set_marks({name: at})

    async def set_marks(self, marks: Mapping[str, datetime | None]) -> None:
        """Several marks at once; None takes one away."""
        async with self._write() as connection:
            for name, at in sorted(marks.items()):  # in one order, so that no two wait for each other
                if at is None:
                    await connection.execute(_FORGET_MARK, {"mark": name})
                    continue
                await set_counter(connection, name, int(at.timestamp()))


_STANDING = Prepared(
    select_bookings(
        STATUS_IN_SPAN == Status.CONFIRMED,
        reservations.c.starts_at > asked("earliest", Instant),
        reservations.c.ends_at > NOW,
        reservations.c.reference.is_not(None),
    ).order_by(reservations.c.starts_at)
)
_FORGET_MARK = sa.delete(counters).where(counters.c.name == sa.bindparam("mark"))


@cache
def _marks(many: int) -> Prepared:
    names = [asked(f"name_{number}") for number in range(many)]
    return Prepared(sa.select(counters.c.name, counters.c.value).where(counters.c.name.in_(names)))
