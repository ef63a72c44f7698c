"""Bookings as the scheduler's own users change them, and how far the looks into the providers' lists have come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from anyio.lowlevel import checkpoint

from app.domain.booking import Actor, Booking, Status
from app.domain.history import HistoryWord
from app.domain.move import OPEN_MOVES
from app.domain.outbox import OutboxMail
from app.store.conflicts import set_counter
from app.store.database import Database
from app.store.due import add_mails, remember
from app.store.prepared import NOW, Moment, Prepared, asked
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

#: Bookings that are read at once.
_PAGE = 200


class FollowRows(Database):
    """What is read and written where someone else decides."""

    async def ours_among(self, ids: Collection[str]) -> list[Booking]:
        """The bookings that go by one of these ids, ours or the scheduler's."""
        wanted = list(ids)
        rows = await self._all(select_bookings(sa.or_(bookings.c.id.in_(wanted), reservations.c.reference.in_(wanted))))
        return [to_booking(row) for row in rows]

    async def count_standing(self) -> dict[str, int]:
        """How many of `standing` there are at each scheduler that has any."""
        now = self._now()
        rows = await self._fetch(_COUNT_STANDING, now=now, earliest=now - LONGEST_VISIT)
        return {row["scheduler"]: row["many"] for row in rows}

    async def standing(self, scheduler: str = "") -> AsyncIterator[Booking]:
        """Confirmed bookings whose end is still to come, of one scheduler or of all, in order of their start. Some are
        read at a time, so that thousands keep nobody waiting."""
        now = self._now()
        after, last = now - LONGEST_VISIT, ""
        while page := [
            to_booking(row)
            for row in await self._fetch(_STANDING, now=now, scheduler=scheduler, earliest=after, last=last)
        ]:
            for booking in page:
                yield booking
            after, last = page[-1].starts_at, page[-1].id
            await checkpoint()  # SQLite answers without giving way

    async def standing_among(self, scheduler: str, references: Collection[str]) -> list[Booking]:
        """Those of `standing` that this scheduler knows by one of these ids."""
        now, wanted = self._now(), sorted(references)
        found = []
        for at in range(0, len(wanted), _PAGE):
            named = reservations.c.reference.in_(wanted[at : at + _PAGE])
            there = select_bookings(named, reservations.c.scheduler == scheduler, *_stands(now))
            found += [to_booking(row) for row in await self._all(there)]
        return sorted(found, key=lambda booking: (booking.starts_at, booking.id))

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


def _stands(now: Moment) -> tuple[sa.ColumnElement[bool], ...]:
    return STATUS_IN_SPAN == Status.CONFIRMED, reservations.c.ends_at > now, reservations.c.reference.is_not(None)


def _standing() -> sa.Select[Any]:
    start, place = reservations.c.starts_at, asked("earliest", Instant)
    behind = sa.and_(start >= place, sa.or_(start > place, bookings.c.id > asked("last")))
    of_one = sa.or_(asked("scheduler") == "", reservations.c.scheduler == asked("scheduler"))
    return select_bookings(*_stands(NOW), behind, of_one).order_by(start, bookings.c.id).limit(_PAGE)


def _count_standing() -> sa.Select[Any]:
    wanted: list[Any] = [reservations.c.scheduler, sa.func.count().label("many")]
    late = reservations.c.starts_at > asked("earliest", Instant)
    belong = bookings.c.reservation_id == reservations.c.id
    return (
        sa.select(*wanted)
        .join_from(reservations, bookings, belong)
        .where(*_stands(NOW), late)
        .group_by(reservations.c.scheduler)
    )


_STANDING = Prepared(_standing())
_COUNT_STANDING = Prepared(_count_standing())
_FORGET_MARK = sa.delete(counters).where(counters.c.name == sa.bindparam("mark"))


@cache
def _marks(many: int) -> Prepared:
    names = [asked(f"name_{number}") for number in range(many)]
    return Prepared(sa.select(counters.c.name, counters.c.value).where(counters.c.name.in_(names)))
