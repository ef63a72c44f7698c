"""Moves of bookings to other times."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.domain.booking import Actor, Booking, Status
from app.domain.move import MOVE_TRANSITIONS, OPEN_MOVES, Move, MoveState
from app.domain.outbox import OutboxMail
from app.domain.payment import Payment, PaymentSeen
from app.domain.refund import Owed
from app.domain.terms import Terms
from app.store.database import Database
from app.store.due import add_mails, add_refunds, draw, mirror, remember
from app.store.sessions import has_open_session
from app.store.slot_guard import room
from app.store.tables import bookings, move_row, moves, payment_row, payments, to_booking, to_move

_ENDED = (MoveState.DONE, MoveState.REFUSED, MoveState.EXPIRED)


class MoveRows(Database):
    """The table `moves`."""

    async def insert_move(self, move: Move, *, unchanged_since: int, capacity: int | None) -> bool:
        """The slot guard for a move: the new time counts from here on, beside the old one.

        False if the resource has no room, or if the booking is no longer confirmed, has changed since that revision,
        or is on the move already.
        """
        row = move_row(move)
        values = [sa.literal(row[column.name], column.type) for column in moves.c]
        may = sa.exists().where(
            bookings.c.id == move.booking_id,
            bookings.c.status == Status.CONFIRMED,
            bookings.c.revision == unchanged_since,
        )
        under_way = moves.alias("under_way")
        alone = ~sa.exists().where(under_way.c.booking_id == move.booking_id, under_way.c.state.in_(list(OPEN_MOVES)))
        async with self._write() as connection:
            inserted = await connection.execute(
                sa.insert(moves)
                .from_select(
                    [column.name for column in moves.c],
                    sa.select(*values).where(may, alone, room(move.interval, capacity, booking_id=move.booking_id)),
                )
                .returning(moves.c.id)
            )
            if inserted.first() is None:
                return False
            if move.state is MoveState.HELD:
                await remember(connection, move.booking_id, "move_held", Status.CONFIRMED, at=self._now())
            return True

    async def move(self, move_id: str) -> Move | None:
        """The move with this id."""
        rows = await self._all(sa.select(moves).where(moves.c.id == move_id))
        return to_move(rows[0]) if rows else None

    async def open_move(self, booking_id: str) -> Move | None:
        """The move that the booking is on."""
        rows = await self._all(
            sa.select(moves).where(moves.c.booking_id == booking_id, moves.c.state.in_(list(OPEN_MOVES)))
        )
        return to_move(rows[0]) if rows else None

    async def moves_due(self) -> list[Move]:
        """Moves to carry on with: to be made in Hapio, past their deadline, or with something left to give back."""
        columns, now = moves.c, self._now()
        rows = await self._all(
            sa.select(moves)
            .where(
                sa.or_(
                    columns.state == MoveState.MOVING,
                    (columns.state == MoveState.HELD) & (columns.deadline <= now),
                    columns.state.in_(_ENDED) & (columns.hapio_booking_id.is_not(None) | columns.hapio_unsure),
                ),
                sa.or_(columns.next_try_at.is_(None), columns.next_try_at <= now),
            )
            .order_by(columns.updated_at)
            .limit(100)
        )
        return [to_move(row) for row in rows]

    async def claim_move(
        self,
        move_id: str,
        from_: Collection[MoveState],
        to: MoveState,
        *,
        what: str = "",
        values: Mapping[str, Any] | None = None,
        without_open_session: bool = False,
        seen: PaymentSeen | None = None,
        owes: Owed | None = None,
        mails: Sequence[OutboxMail] = (),
    ) -> Move | None:
        """Change the state if it is still one of `from_`; with `complete_move`, the only place that does. None means
        somebody else won: do nothing outside."""
        _check(from_, to)
        now = self._now()
        changes: dict[str, Any] = {"state": to, "updated_at": now, "next_try_at": None, "tries": 0}
        if to not in OPEN_MOVES:
            changes["occupies"] = False
        conditions = [moves.c.id == move_id, moves.c.state.in_(list(from_))]
        if without_open_session:
            conditions.append(~has_open_session(payments.c.move_id == move_id))
        async with self._write() as connection:
            result = await connection.execute(
                sa.update(moves).where(*conditions).values(**changes, **(values or {})).returning(*moves.c)
            )
            row = result.mappings().first()
            if row is None:
                return None
            move = to_move(row)
            if what:
                await remember(connection, move.booking_id, what, Status.CONFIRMED, at=now)
            if seen:
                await mirror(connection, seen)
            if owes:
                await add_refunds(connection, await draw(connection, owes))
            await add_mails(connection, mails)
            return move

    async def complete_move(
        self,
        move: Move,
        *,
        hapio_booking_id: str,
        terms: Terms,
        owes: Owed | None,
        mails: Sequence[OutboxMail],
    ) -> Booking | None:
        """The booking has the new time, in Hapio's booking of that id, and its row the old one.

        The old time counts in the slot guard until Hapio has let go of it, where that is another booking there.
        """
        now = self._now()
        _check([MoveState.MOVING], MoveState.DONE)
        async with self._write() as connection:
            found = await connection.execute(
                sa.select(bookings).where(bookings.c.id == move.booking_id, bookings.c.status == Status.CONFIRMED)
            )
            row = found.mappings().first()
            if row is None:
                return None
            old = to_booking(row)
            left = old.hapio_booking_id if old.hapio_booking_id != hapio_booking_id else None
            done = await connection.execute(
                sa.update(moves)
                .where(moves.c.id == move.id, moves.c.state == MoveState.MOVING)
                .values(
                    **_time_of(old),
                    state=MoveState.DONE,
                    amount=old.terms.price.amount,
                    occupies=left is not None,
                    hapio_booking_id=left,
                    hapio_unsure=False,
                    updated_at=now,
                    next_try_at=None,
                    tries=0,
                )
            )
            if not done.rowcount:
                return None
            changed = await connection.execute(
                sa.update(bookings)
                .where(bookings.c.id == old.id)
                .values(
                    **_time_of(move),
                    any_resource=bookings.c.any_resource & (bookings.c.resource_id == move.resource_id),
                    hapio_booking_id=hapio_booking_id,
                    terms=terms.to_json(),
                    revision=bookings.c.revision + 1,
                    # What the owner asks for is not held against the customer's limit.
                    moves=bookings.c.moves + int(move.by is Actor.CUSTOMER),
                    no_show=False,
                    updated_at=now,
                )
                .returning(*bookings.c)
            )
            booking = to_booking(changed.mappings().one())
            detail = {"from": old.starts_at.isoformat(), "to": booking.starts_at.isoformat(), "by": move.by}
            await remember(connection, old.id, "moved", Status.CONFIRMED, at=now, detail=detail)
            if owes:
                await add_refunds(connection, await draw(connection, owes))
            await add_mails(connection, mails)
            return booking

    async def add_difference(self, move: Move, payment: Payment) -> bool:
        """The attempt to pay a move's difference. False if the move is no longer held, or has one already."""
        async with self._write() as connection:
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

    async def record_move_lock(self, move_id: str, *, hapio_booking_id: str) -> Move | None:
        """Hapio's answer to the lock on the new time. Stored whatever became of the move: an ended one owes a
        release."""
        return await self._update_move(move_id, hapio_booking_id=hapio_booking_id, hapio_unsure=False)

    async def record_move_release(self, move_id: str, *, hapio_booking_id: str | None) -> None:
        """Hapio holds nothing beside the booking for this move any more (unless a late answer named something)."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(moves)
                .where(moves.c.id == move_id, moves.c.hapio_booking_id.is_(hapio_booking_id))
                .values(hapio_booking_id=None, hapio_unsure=False, occupies=False, next_try_at=None, tries=0)
            )

    async def lease_move(self, move_id: str, *, until: datetime) -> bool:
        """Have a move that is being made for this process alone until then; False while another process has it, or
        waits with it."""
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
        await self._update_move(move_id, next_try_at=until, tries=moves.c.tries + 1)

    async def _update_move(self, move_id: str, **values: Any) -> Move | None:
        async with self._write() as connection:
            result = await connection.execute(
                sa.update(moves).where(moves.c.id == move_id).values(**values).returning(*moves.c)
            )
            row = result.mappings().first()
            return to_move(row) if row else None


def _check(from_: Collection[MoveState], to: MoveState) -> None:
    for state in from_:
        if to not in MOVE_TRANSITIONS[state]:
            raise ValueError(f"{state} → {to} is not in MOVE_TRANSITIONS")


def _time_of(thing: Booking | Move) -> dict[str, Any]:
    """What a move exchanges between its own row and the booking's."""
    names = [
        "service_id",
        "service_name",
        "resource_id",
        "resource_name",
        "starts_at",
        "ends_at",
        "buffer_starts_at",
        "buffer_ends_at",
    ]
    return {name: getattr(thing, name) for name in names}
