"""Staff's changes of people's hours, which of them the scheduler does not have yet, and what it last reported."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.domain.booking import Booking, Status
from app.domain.hours_change import ChangeKind, HoursChange
from app.domain.move import OPEN_MOVES, Move
from app.store.conflicts import insert_if_new
from app.store.database import Database
from app.store.hours_tables import hours_change_row, hours_changes, known_hours, to_hours_change
from app.store.prepared import NOW, Moment, Prepared
from app.store.rows import (
    select_bookings,
    select_moves,
    to_booking,
    to_move,
)
from app.store.slot_guard import guard_of
from app.store.tables import (
    LONGEST_VISIT,
    STATUS_IN_SPAN,
    bookings,
    moves,
    reservations,
)

#: Statuses of bookings that the desk's calendar shows: booked, being paid, or held.
_ON_THE_DESK = (Status.HELD, Status.AWAITING_PAYMENT, Status.PAID, Status.CONFIRMED)
#: No more than these are drawn.
_MOST = 2000


def hours_are_due(now: Moment) -> sa.ColumnElement[bool]:
    """Whether a change has to be sent to a scheduler now."""
    return sa.and_(hours_changes.c.due, hours_changes.c.next_try_at <= now)


_DUE = Prepared(sa.select(hours_changes).where(hours_are_due(NOW)).order_by(hours_changes.c.next_try_at).limit(50))


class HoursRows(Database):
    """The tables `hours_changes` and `known_hours`, and what a calendar draws."""

    async def add_hours_change(self, change: HoursChange, *, forget_before: datetime) -> None:
        """A change that stands from here on: nobody books what is off, and the scheduler is to be told. What was over
        before `forget_before` is forgotten."""
        old = sa.and_(hours_changes.c.ends_at < forget_before, ~hours_changes.c.due)
        async with self._write() as connection:
            await connection.execute(sa.delete(hours_changes).where(old))
            # Anyone who looks for room on this resource has looked by then, or finds it off.
            await self.backend.lock_name(connection, guard_of(change.resource_id))
            await connection.execute(sa.insert(hours_changes).values(hours_change_row(change)))

    async def hours_change(self, change_id: str) -> HoursChange | None:
        """The change with this id."""
        rows = await self._all(sa.select(hours_changes).where(hours_changes.c.id == change_id))
        return to_hours_change(rows[0]) if rows else None

    async def hours_changes_of(
        self, resource_id: str = "", *, ends_after: datetime, starts_before: datetime | None = None
    ) -> list[HoursChange]:
        """Time off and extra hours that stand, of one person or of all, in order of their start."""
        conditions = [
            hours_changes.c.kind != ChangeKind.WEEK,
            hours_changes.c.ended_at.is_(None),
            hours_changes.c.ends_at > ends_after,
        ]
        if resource_id:
            conditions.append(hours_changes.c.resource_id == resource_id)
        if starts_before:
            conditions.append(hours_changes.c.starts_at < starts_before)
        return await self._hours_changes(*conditions)

    async def untold_hours(self, scheduler: str = "", resource_id: str = "") -> list[HoursChange]:
        """Changes that a scheduler does not have yet, oldest first, including those that were removed again."""
        conditions: list[sa.ColumnElement[bool]] = [hours_changes.c.due]
        if scheduler:
            conditions += [hours_changes.c.scheduler == scheduler, hours_changes.c.resource_id == resource_id]
        return await self._hours_changes(*conditions)

    async def hours_due(self) -> list[HoursChange]:
        """The changes that have to be sent to a scheduler now."""
        rows = await self._fetch(_DUE, now=self._now())
        return [to_hours_change(row) for row in rows]

    async def end_hours_change(self, change_id: str, *, by: str, try_at: datetime) -> HoursChange | None:
        """It no longer stands, which the scheduler is to be told, by the worker from `try_at` on; None if it was ended
        before."""
        statement = (
            sa.update(hours_changes)
            .where(hours_changes.c.id == change_id, hours_changes.c.ended_at.is_(None))
            .values(
                ended_at=self._now(),
                ended_by=by,
                due=True,
                next_try_at=try_at,
                tries=0,
                problem="",
                version=hours_changes.c.version + 1,
            )
            .returning(*hours_changes.c)
        )
        async with self._write() as connection:
            row = (await connection.execute(statement)).mappings().first()
            return to_hours_change(row) if row else None

    async def record_hours_told(self, told: Collection[HoursChange]) -> None:
        """The scheduler knows, of each as it was read; what has changed since is still due."""
        async with self._write() as connection:
            for one in told:
                await connection.execute(
                    sa.update(hours_changes)
                    .where(hours_changes.c.id == one.id, hours_changes.c.version == one.version)
                    .values(due=False, next_try_at=None, problem="")
                )

    async def put_off_hours(self, changes: Collection[HoursChange], *, until: datetime, problem: str) -> None:
        """The change could not be sent to the scheduler, for this reason: try again at `until`."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(hours_changes)
                .where(hours_changes.c.id.in_([one.id for one in changes]), hours_changes.c.due)
                .values(next_try_at=until, tries=hours_changes.c.tries + 1, problem=problem)
            )

    async def known_hours(self, scheduler: str) -> tuple[datetime, Any] | None:
        """(when it was asked, what it told) of a scheduler's people."""
        rows = await self._all(sa.select(known_hours).where(known_hours.c.scheduler == scheduler))
        return (rows[0]["asked_at"], rows[0]["body"]) if rows else None

    async def keep_hours(self, scheduler: str, body: Any, *, asked_at: datetime | None = None) -> None:
        """What is known of a scheduler's people now; without `asked_at` by what we told it."""
        values = {"body": body, **({"asked_at": asked_at} if asked_at else {})}
        async with self._write() as connection:
            if asked_at:
                await insert_if_new(connection, known_hours, {"scheduler": scheduler, **values})
            await connection.execute(sa.update(known_hours).where(known_hours.c.scheduler == scheduler).values(values))

    # -- what a calendar draws -------------------------------------------------------------------------------

    async def on_the_desk(self, starts_from: datetime, ends_to: datetime, *, resource_id: str = "") -> list[Booking]:
        """Bookings that stand or are being paid for, and holds, that overlap an interval; in order."""
        conditions = [
            reservations.c.starts_at < ends_to,
            # No booking is longer than this; without it, every booking that ever was would be looked at.
            reservations.c.starts_at > starts_from - LONGEST_VISIT,
            reservations.c.ends_at > starts_from,
            STATUS_IN_SPAN.in_(list(_ON_THE_DESK)),
        ]
        if resource_id:
            conditions.append(reservations.c.resource_id == resource_id)
        chosen = select_bookings(*conditions).order_by(reservations.c.starts_at, bookings.c.id)
        return [to_booking(row) for row in await self._all(chosen.limit(_MOST))]

    async def moving_to(self, starts_from: datetime, ends_to: datetime) -> list[Move]:
        """Moves that are not decided yet, by the time that they go to."""
        rows = await self._all(
            select_moves(
                moves.c.state.in_(list(OPEN_MOVES)),
                reservations.c.starts_at < ends_to,
                reservations.c.ends_at > starts_from,
            ).limit(_MOST)
        )
        return [to_move(row) for row in rows]

    async def _hours_changes(self, *conditions: sa.ColumnElement[bool]) -> list[HoursChange]:
        chosen = sa.select(hours_changes).where(*conditions).order_by(hours_changes.c.starts_at, hours_changes.c.id)
        return [to_hours_change(row) for row in await self._all(chosen.limit(_MOST))]
