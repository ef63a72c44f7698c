"""Moves of bookings to other times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.booking import Actor, Booking, Status
from app.domain.history import HistoryWord
from app.domain.move import MOVE_TRANSITIONS, OPEN_MOVES, Move, MoveState
from app.domain.outbox import OutboxMail
from app.domain.payment import Payment, PaymentState
from app.domain.refund import Owed
from app.domain.terms import Terms
from app.store.change import MoveChange
from app.store.database import Database
from app.store.due import add_mails, add_refunds, draw, mirror, remember
from app.store.prepared import NOW, Moment, Prepared, asked
from app.store.reservations import change_reservation, read_booking, settle_due
from app.store.rows import (
    move_row,
    payment_row,
    reservation_row,
    select_moves,
    to_move,
)
from app.store.sessions import has_open_session
from app.store.slot_guard import guard_of, room
from app.store.tables import (
    bookings,
    moves,
    payments,
    reservations,
)


class MoveRows(Database):
    """The table `moves`."""

    async def insert_move(self, move: Move, *, unchanged_since: int, capacity: int | None) -> bool:
        """The slot guard for a move: the new time counts from here on, next to the old one.

        False if the resource has no room, or if the booking is no longer confirmed, has changed since that revision,
        or is on the move already.
        """
        row = reservation_row(move.reservation)
        values = [sa.literal(row[column.name], column.type) for column in reservations.c]
        may = sa.exists().where(
            bookings.c.id == move.booking_id,
            bookings.c.status == Status.CONFIRMED,
            bookings.c.revision == unchanged_since,
        )
        alone = ~sa.exists().where(moves.c.booking_id == move.booking_id, moves.c.state.in_(list(OPEN_MOVES)))
        async with self._write(move.booking_id) as connection:
            if capacity is not None:
                await self.backend.lock_name(connection, guard_of(move.resource_id))
            inserted = await connection.execute(
                sa.insert(reservations)
                .from_select(
                    [column.name for column in reservations.c],
                    sa.select(*values).where(may, alone, room(move.interval, capacity, booking_id=move.booking_id)),
                )
                .returning(reservations.c.id)
            )
            if inserted.first() is None:
                return False
            await connection.execute(sa.insert(moves).values(move_row(move)))
            await settle_due(connection, move.booking_id, at=self._now())
            if move.state is MoveState.HELD:
                word = HistoryWord.MOVE_HELD
                await remember(connection, move.booking_id, word, Status.CONFIRMED, at=self._now())
            return True

    async def move(self, move_id: str) -> Move | None:
        """The move with this id."""
        rows = await self._all(select_moves(moves.c.id == move_id))
        return to_move(rows[0]) if rows else None

    async def open_move(self, booking_id: str) -> Move | None:
        """The booking's open move."""
        rows = await self._fetch(_OPEN_MOVE, booking_id=booking_id)
        return to_move(rows[0]) if rows else None

    async def moves_due(self) -> list[Move]:
        """Moves to continue: decided, or past their deadline."""
        rows = await self._fetch(_DUE, now=self._now())
        return [to_move(row) for row in rows]

    async def claim_move(self, move_id: str, change: MoveChange) -> Move | None:
        """Change the state if it is still one of `change.from_`; with `complete_move`, the only place that does. None
        means that another change came first: do nothing outside the database then."""
        for state in change.from_:
            _check(state, change.to)
        now = self._now()
        conditions = [moves.c.id == move_id, moves.c.state.in_(list(change.from_))]
        if change.without_open_session:
            conditions.append(~has_open_session(payments.c.move_id == move_id))
        async with self._write(_booking_of(move_id)) as connection:
            claimed = await connection.execute(
                sa.update(moves)
                .where(*conditions)
                .values(state=change.to, updated_at=now, next_try_at=None, tries=0, **change.values)
                .returning(moves.c.booking_id, moves.c.reservation_id)
            )
            row = claimed.first()
            if row is None:
                return None
            facts = change.reservation if change.to in OPEN_MOVES else {"occupies": False, **change.reservation}
            if facts:
                await change_reservation(connection, row.reservation_id, facts, at=now)
            await settle_due(connection, row.booking_id, at=now, find_out_at=change.find_out_at)
            await remember(connection, row.booking_id, change.what, Status.CONFIRMED, at=now, detail=change.detail)
            if change.seen:
                await mirror(connection, change.seen)
            if change.refund:
                await add_refunds(connection, [change.refund])
            if change.owes:
                await add_refunds(connection, await draw(connection, change.owes))
            await add_mails(connection, change.mails)
            found = await connection.execute(select_moves(moves.c.id == move_id))
            return to_move(found.mappings().one())

    async def complete_move(
        self,
        move: Move,
        *,
        reference: str,
        unsure: bool,
        terms: Terms,
        find_out_at: datetime,
        owes: Owed | None,
        paid: int,
        mails: Sequence[OutboxMail],
    ) -> Booking | None:
        """The booking has the new time, under the scheduler's `reference`, and leaves the old one. If `unsure`,
        an earlier call, whose answer was lost, may have made a second one; that is looked for from `find_out_at` on.

        Where that is another booking at the scheduler, the old time counts in the slot guard until it was let go there.
        `owes` is what comes back, worked out when so much was `paid`, in smallest units. None, and nothing changed, if
        that is another amount now, or the booking or its move has ended.
        """
        now = self._now()
        _check(MoveState.MOVING, MoveState.DONE)
        async with self._write(move.booking_id) as connection:
            old = await read_booking(connection, move.booking_id)
            if old is None or old.status is not Status.CONFIRMED or await _captured(connection, old.id) != paid:
                return None
            done = await connection.execute(
                sa.update(moves)
                .where(moves.c.id == move.id, moves.c.state == MoveState.MOVING)
                .values(state=MoveState.DONE, updated_at=now, next_try_at=None, tries=0)
            )
            if not done.rowcount:
                return None
            await connection.execute(
                sa.update(bookings)
                .where(bookings.c.id == old.id)
                .values(
                    reservation_id=move.reservation.id,
                    any_resource=old.any_resource and old.resource_id == move.resource_id,
                    terms=terms.to_json(),
                    revision=bookings.c.revision + 1,
                    # A move by the owner does not count against the customer's limit.
                    moves=bookings.c.moves + int(move.by is Actor.CUSTOMER),
                    no_show=False,
                    updated_at=now,
                )
            )
            had = old.reservation.reference
            left = had if had != reference else None
            facts = {"reference": left, "occupies": left is not None or old.reservation.unsure}
            await change_reservation(connection, old.reservation.id, facts, at=now)
            facts = {"reference": reference, "unsure": unsure}
            await change_reservation(connection, move.reservation.id, facts, at=now)
            await settle_due(connection, old.id, at=now, find_out_at=find_out_at)
            detail = {"from": old.starts_at.isoformat(), "to": move.starts_at.isoformat(), "by": move.by}
            await remember(connection, old.id, HistoryWord.MOVED, Status.CONFIRMED, at=now, detail=detail)
            if owes:
                await add_refunds(connection, await draw(connection, owes))
            await add_mails(connection, mails)
            return await read_booking(connection, old.id)

    async def add_difference(self, move: Move, payment: Payment) -> bool:
        """The attempt to pay a move's difference. False if the move is no longer held, or has one already."""
        async with self._write(move.booking_id) as connection:
            held = await connection.execute(
                sa.select(moves.c.id).where(
                    moves.c.id == move.id,
                    moves.c.state == MoveState.HELD,
                    ~sa.exists().where(payments.c.move_id == move.id),
                )
            )
            if held.first() is None:
                return False
            await connection.execute(sa.insert(payments).values(payment_row(payment)))
            return True

    async def record_move_lock(self, move: Move, *, reference: str) -> Move | None:
        """Store the scheduler's answer to the lock on the new time, whatever happened to the move: if it has ended, the
        lock has to be released."""
        async with self._write(move.booking_id) as connection:
            found = {"reference": reference, "unsure": False}
            await change_reservation(connection, move.reservation.id, found, at=self._now())
            await settle_due(connection, move.booking_id, at=self._now())
        return await self.move(move.id)

    async def lease_move(self, move_id: str, *, until: datetime) -> bool:
        """Take a move that is being made for this process alone until then; False while another process has it, or
        waits before its next attempt."""
        async with self._write() as connection:
            leased = await connection.execute(
                sa.update(moves)
                .where(
                    moves.c.id == move_id,
                    moves.c.state == MoveState.MOVING,
                    sa.or_(moves.c.next_try_at.is_(None), moves.c.next_try_at <= self._now()),
                )
                .values(next_try_at=until)
            )
            return bool(leased.rowcount)

    async def put_off_move(self, move_id: str, *, until: datetime) -> None:
        """Something about this move failed: try again at `until`."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(moves).where(moves.c.id == move_id).values(next_try_at=until, tries=moves.c.tries + 1)
            )


def _booking_of(move_id: str) -> sa.ScalarSelect[str]:
    return sa.select(moves.c.booking_id).where(moves.c.id == move_id).scalar_subquery()


async def _captured(connection: AsyncConnection, booking_id: str) -> int:
    """What was taken for a booking, as `Funds.paid` counts it."""
    # Not by the state as well: SQLite would read all that was ever captured.
    of_it = sa.select(payments.c.state, payments.c.captured).where(payments.c.booking_id == booking_id)
    rows = await connection.execute(of_it)
    return sum(int(captured) for state, captured in rows if state == PaymentState.CAPTURED)


def _check(from_: MoveState, to: MoveState) -> None:
    if to not in MOVE_TRANSITIONS[from_]:
        raise ValueError(f"{from_} → {to} is not in MOVE_TRANSITIONS")


def move_is_due(now: Moment) -> sa.ColumnElement[bool]:
    """Whether a move has to be continued, and may be tried now."""
    columns = moves.c
    unpaid = sa.and_(columns.state == MoveState.HELD, columns.deadline <= now)
    ready = sa.or_(columns.next_try_at.is_(None), columns.next_try_at <= now)
    return sa.and_(sa.or_(columns.state == MoveState.MOVING, unpaid), ready)


_OPEN_MOVE = Prepared(select_moves(moves.c.booking_id == asked("booking_id"), moves.c.state.in_(list(OPEN_MOVES))))
_DUE = Prepared(select_moves(move_is_due(NOW)).order_by(moves.c.updated_at).limit(100))
