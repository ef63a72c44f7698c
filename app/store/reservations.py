"""Reservations: the slot guard's rows, what the scheduler holds for us, and what we still have to do there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.booking import Booking, Status
from app.domain.catalogue import Resource
from app.domain.history import HistoryWord
from app.domain.move import MoveState
from app.domain.reservation import GIVE_BACK, Due, Reservation
from app.store.database import Database
from app.store.due import remember
from app.store.prepared import NOW, Moment, Prepared, asked
from app.store.rows import (
    reservation_row,
    select_bookings,
    to_booking,
    to_reservation,
)
from app.store.slot_guard import guard_of, room
from app.store.tables import (
    Instant,
    bookings,
    moves,
    reservations,
)

#: One booking by its id, with its reservation.
BOOKING = Prepared(select_bookings(bookings.c.id == asked("id")))
_GIVE_BACK = reservations.c.due.in_(sorted(GIVE_BACK))


class ReservationRows(Database):
    """The table `reservations`."""

    async def reservation(self, reservation_id: str) -> Reservation | None:
        """The reservation with this id."""
        rows = await self._all(sa.select(reservations).where(reservations.c.id == reservation_id))
        return to_reservation(rows[0]) if rows else None

    async def reservations_due(self) -> list[Reservation]:
        """The reservations to release at the scheduler now: of ended bookings, of ended moves, and times that a move
        has left."""
        rows = await self._fetch(_DUE, now=self._now())
        return [to_reservation(row) for row in rows]

    async def record_release(self, reservation: Reservation) -> None:
        """The scheduler holds nothing for it any more, unless it was given something new since it was read, or is
        wanted again."""
        await self._record(
            reservation.booking_id,
            sa.update(reservations)
            .where(_as_read(reservation), _GIVE_BACK)
            .values(reference=None, unsure=False, occupies=False, occupancy_at=self._now()),
        )

    async def record_cancel(self, reservation: Reservation) -> None:
        """The scheduler has cancelled it, and keeps it for its history."""
        await self._record(
            reservation.booking_id,
            sa.update(reservations).where(_as_read(reservation), _GIVE_BACK).values(canceled=True, unsure=False),
        )

    async def record_sure(self, reservation: Reservation) -> None:
        """It is certain that the scheduler has no unknown booking for it."""
        await self._record(
            reservation.booking_id,
            sa.update(reservations).where(_as_read(reservation), _GIVE_BACK).values(unsure=False),
        )

    async def lease_reservation(self, reservation: Reservation, *, until: datetime) -> bool:
        """Have what is due about it for this process alone until then; False while another process has it, or waits
        with it, or where it is due no more."""
        due = reservation_is_due(self._now())
        async with self._write() as connection:
            leased = await connection.execute(
                sa.update(reservations).where(_as_read(reservation), due).values(next_try_at=until)
            )
            return bool(leased.rowcount)

    async def put_off_reservation(self, reservation_id: str, *, until: datetime) -> None:
        """What is due about it failed: try again at `until`."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(reservations)
                .where(reservations.c.id == reservation_id)
                .values(next_try_at=until, tries=reservations.c.tries + 1)
            )

    async def reserve(self, booking: Booking, resource: Resource, *, lease_until: datetime) -> Booking | None:
        """The slot guard for late money: let a paid booking that lost its time occupy it again, with this person.

        The scheduler is asked next, so the row is unsure of it until there is an answer. What is due stays the same.
        """
        wanted = replace(booking.interval, resource_id=resource.id)
        async with self._write(booking.id) as connection:
            if resource.capacity is not None:
                await self.backend.lock_name(connection, guard_of(resource.id))
            reserved = await connection.execute(
                sa.update(reservations)
                .where(
                    reservations.c.id == booking.reservation.id,
                    _is_paid(booking.id),
                    room(wanted, resource.capacity, booking_id=booking.id),
                )
                .values(
                    occupies=True,
                    occupancy_at=self._now(),
                    unsure=True,
                    resource_id=resource.id,
                    resource_name=resource.name,
                )
            )
            if not reserved.rowcount:
                return None
            await connection.execute(
                sa.update(bookings)
                .where(bookings.c.id == booking.id)
                .values(next_try_at=lease_until, updated_at=self._now())
            )
            if resource.id != booking.resource_id:
                now, detail = self._now(), {"instead_of": booking.resource_id}
                await remember(
                    connection, booking.id, HistoryWord.OTHER_PERSON_ASKED, booking.status, at=now, detail=detail
                )
            return await read_booking(connection, booking.id)

    async def ask(self, reservation: Reservation) -> None:
        """The scheduler is asked to make a booking of it next, so the row is unsure of it until there is an answer."""
        async with self._write(reservation.booking_id) as connection:
            await change_reservation(connection, reservation.id, {"unsure": True}, at=self._now())
            await settle_due(connection, reservation.booking_id, at=self._now())

    async def unreserve(self, booking: Booking, booked: Resource | None) -> None:
        """The time that `reserve` took was refused by the scheduler. The booking, as it was before, is with the person
        again who was `booked`, if they still offer the service."""
        with_whom = {"resource_id": booked.id, "resource_name": booked.name} if booked else {}
        await self._record(
            booking.id,
            sa.update(reservations)
            .where(reservations.c.id == booking.reservation.id, _is_paid(booking.id))
            .values(occupies=False, occupancy_at=self._now(), unsure=booking.reservation.unsure, **with_whom),
        )

    async def _record(self, booking_id: str, change: sa.Update) -> None:
        async with self._write(booking_id) as connection:
            if (await connection.execute(change)).rowcount:
                await settle_due(connection, booking_id, at=self._now())


async def settle_due(
    connection: AsyncConnection, booking_id: str, *, at: datetime, find_out_at: datetime | None = None
) -> None:
    """Write what is due to the scheduler about a booking's reservations, as the rows are now: the one place that
    decides it. Every change of a status, of a move's state, of a pointer, and of what the scheduler holds ends with it,
    in the same transaction, unless what is due stays what it was.

    Where something else is due than before, it is due from `at` on, and tried at once; what a call without an answer
    may have made is looked for from `find_out_at` on.
    """
    await connection.execute(_SETTLE, {"of": booking_id, "at": at, "find_out_at": find_out_at})


def _what_is_due() -> sa.ColumnElement[str | None]:
    # The booking's status counts for the time that it has, the move's state for the one that it goes to. What neither
    # of them has is over, unless it is offered.
    status = sa.select(bookings.c.status).where(bookings.c.reservation_id == reservations.c.id).scalar_subquery()
    state = sa.select(moves.c.state).where(moves.c.reservation_id == reservations.c.id).scalar_subquery()
    decided = sa.or_(status == Status.PAID, state == MoveState.MOVING)
    offered = reservations.c.offered_until.is_not(None)
    asked = sa.or_(status.in_([Status.HELD, Status.AWAITING_PAYMENT]), state == MoveState.HELD, offered)
    kept = sa.and_(reservations.c.reference.is_not(None), ~reservations.c.canceled)
    firm_up, make, find_out, let_go = (
        sa.literal(due, sa.Text) for due in (Due.FIRM_UP, Due.MAKE, Due.FIND_OUT, Due.LET_GO)
    )
    return sa.case(
        (decided, firm_up),
        (sa.and_(asked, reservations.c.unsure), make),
        (asked, sa.null()),
        (reservations.c.unsure, find_out),
        (status == Status.CONFIRMED, sa.null()),
        (kept, let_go),
        else_=sa.null(),
    )


def _settle() -> sa.Update:
    due = _what_is_due()
    later = sa.case((due == Due.FIND_OUT, asked("find_out_at", Instant)), else_=sa.null())
    return (
        sa.update(reservations)
        .where(reservations.c.booking_id == asked("of"), reservations.c.due.is_distinct_from(due))
        .values(due=due, updated_at=asked("at", Instant), occupancy_at=asked("at", Instant), next_try_at=later, tries=0)
    )


_SETTLE = _settle()
_INSERT = sa.insert(reservations)
_CHANGE = sa.update(reservations).where(reservations.c.id == asked("of"))


async def change_reservation(
    connection: AsyncConnection, reservation_id: str, values: Mapping[str, Any], *, at: datetime
) -> None:
    """Write facts about a reservation. Call `settle_due` after it."""
    written_at = {"occupancy_at": at} if "occupies" in values else {}
    await connection.execute(_CHANGE, {"of": reservation_id, **values, **written_at})


async def insert_reservation(connection: AsyncConnection, reservation: Reservation) -> None:
    """Insert a row. Call `settle_due` after it."""
    await connection.execute(_INSERT, reservation_row(reservation))


async def read_booking(connection: AsyncConnection, booking_id: str) -> Booking | None:
    """The booking as this transaction has it."""
    row = (await connection.execute(BOOKING.statement, {"id": booking_id})).mappings().first()
    return to_booking(row) if row else None


def reservation_is_due(now: Moment) -> sa.ColumnElement[bool]:
    """Whether a reservation has to be released, and may be tried now."""
    return sa.and_(_GIVE_BACK, sa.or_(reservations.c.next_try_at.is_(None), reservations.c.next_try_at <= now))


def _as_read(reservation: Reservation) -> sa.ColumnElement[bool]:
    return sa.and_(
        reservations.c.id == reservation.id, reservations.c.reference.is_not_distinct_from(reservation.reference)
    )


def _is_paid(booking_id: str) -> sa.ColumnElement[bool]:
    return sa.exists().where(
        bookings.c.id == booking_id,
        bookings.c.status == Status.PAID,
        bookings.c.reservation_id == reservations.c.id,
    )


_DUE = Prepared(sa.select(reservations).where(reservation_is_due(NOW)).order_by(reservations.c.updated_at).limit(100))
