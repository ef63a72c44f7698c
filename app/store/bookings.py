"""Bookings: the slot guard, the one writer of status, and what is due."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.booking import LIVE, TRANSITIONS, Booking, Customer, EndReason, Status
from app.domain.history import HistoryEntry
from app.domain.money import Money
from app.domain.move import OPEN_MOVES, Move, MoveState
from app.domain.outbox import OutboxMail
from app.domain.payment import Payment, PaymentSeen
from app.domain.refund import Owed, Refund
from app.domain.reservation import Occupied
from app.domain.terms import Terms
from app.store.database import Database
from app.store.due import add_mails, add_refunds, draw, mirror, remember
from app.store.sessions import has_open_session
from app.store.slot_guard import room
from app.store.tables import (
    booking_row,
    bookings,
    customer_columns,
    history,
    moves,
    outbox,
    payment_row,
    payments,
    refunds,
    to_booking,
)


class BookingRows(Database):
    """The table `bookings`."""

    async def insert_hold(self, booking: Booking, *, capacity: int | None) -> bool:
        """The slot guard: insert a hold unless the resource would be over `capacity` at any moment of the
        buffered interval. One statement, so two visitors cannot both win. False means somebody else has it."""
        row = booking_row(booking)
        values = [sa.literal(row[column.name], column.type) for column in bookings.c]
        free = room(booking.interval, capacity, booking_id=booking.id)
        async with self._write() as connection:
            inserted = await connection.execute(
                sa.insert(bookings)
                .from_select([column.name for column in bookings.c], sa.select(*values).where(free))
                .returning(bookings.c.id)
            )
            if inserted.first() is None:
                return False
            await remember(connection, booking.id, "held", booking.status, at=self._now())
            return True

    async def reserve(
        self,
        booking: Booking,
        *,
        resource_id: str,
        resource_name: str,
        capacity: int | None,
        lease_until: datetime,
    ) -> Booking | None:
        """The slot guard for late money: let a paid row that lost its time occupy one again, on this resource.

        Hapio is asked next, so the row is unsure of it until there is an answer.
        """
        wanted = replace(booking.interval, resource_id=resource_id)
        return await self._update(
            sa.update(bookings)
            .where(
                bookings.c.id == booking.id,
                bookings.c.status == Status.PAID,
                room(wanted, capacity, booking_id=booking.id),
            )
            .values(
                occupies=True,
                hapio_unsure=True,
                resource_id=resource_id,
                resource_name=resource_name,
                next_try_at=lease_until,
            ),
            what="other_person" if resource_id != booking.resource_id else "",
        )

    async def lease(self, booking: Booking, *, until: datetime) -> Booking | None:
        """Have a booking, in the status it was read in, for this process alone until then; None while another process
        has it, or waits with it."""
        now = self._now()
        return await self._update(
            sa.update(bookings)
            .where(
                bookings.c.id == booking.id,
                bookings.c.status == booking.status,
                sa.or_(bookings.c.next_try_at.is_(None), bookings.c.next_try_at <= now),
            )
            .values(next_try_at=until)
        )

    async def unreserve(self, booking_id: str) -> None:
        """The time that `reserve` took was refused by Hapio."""
        await self._update(
            sa.update(bookings)
            .where(bookings.c.id == booking_id, bookings.c.status == Status.PAID)
            .values(occupies=False, hapio_unsure=False)
        )

    async def booking(self, booking_id: str) -> Booking | None:
        """The booking with this id."""
        rows = await self._all(sa.select(bookings).where(bookings.c.id == booking_id))
        return to_booking(rows[0]) if rows else None

    async def booking_by_reference(self, hapio_booking_id: str) -> Booking | None:
        """The booking that Hapio has under this id."""
        rows = await self._all(sa.select(bookings).where(bookings.c.hapio_booking_id == hapio_booking_id))
        return to_booking(rows[0]) if rows else None

    async def hold_by_key(self, visitor_key: str, service_id: str, starts_at: datetime) -> Booking | None:
        """The unpaid booking that this very page view already made of this time (a doubled click)."""
        rows = await self._all(
            sa.select(bookings).where(
                bookings.c.visitor_key == visitor_key,
                bookings.c.service_id == service_id,
                bookings.c.starts_at == starts_at,
                bookings.c.occupies,
                bookings.c.status.in_([Status.HELD, Status.AWAITING_PAYMENT]),
                bookings.c.deadline > self._now(),
            )
        )
        return to_booking(rows[0]) if rows else None

    async def open_holds(self, widget: str) -> list[Booking]:
        """What is held at a widget and not paid, oldest first."""
        rows = await self._all(
            sa.select(bookings)
            .where(
                bookings.c.widget == widget,
                bookings.c.status.in_([Status.HELD, Status.AWAITING_PAYMENT]),
                bookings.c.deadline > self._now(),
            )
            .order_by(bookings.c.created_at, bookings.c.id)
        )
        return [to_booking(row) for row in rows]

    async def occupied(self) -> list[Occupied]:
        """What our live bookings, and the moves of them, take up from now on."""
        taken = [
            sa.select(table.c.id, table.c.resource_id, table.c.buffer_starts_at, table.c.buffer_ends_at).where(
                table.c.occupies, table.c.buffer_ends_at > self._now()
            )
            for table in (bookings, moves)
        ]
        return [Occupied(*row.values()) for row in await self._all(sa.union_all(*taken))]

    async def record_lock(
        self, booking_id: str, *, hapio_booking_id: str, terms: Terms, shown: Money | None = None
    ) -> Booking | None:
        """Hapio's answer to the lock. Stored whatever became of the row meanwhile: an ended one owes a release.
        `shown` is the price that the visitor saw, where it is another than the one in `terms`."""
        return await self._update(
            sa.update(bookings)
            .where(bookings.c.id == booking_id)
            .values(hapio_booking_id=hapio_booking_id, hapio_unsure=False, terms=terms.to_json()),
            what="" if shown is None else "price_changed",
            detail=None if shown is None else {"shown": shown.amount},
        )

    async def record_release(self, booking_id: str, *, hapio_booking_id: str | None) -> None:
        """Hapio holds nothing for this row any more (unless it was given something new meanwhile)."""
        await self._update(
            sa.update(bookings)
            .where(bookings.c.id == booking_id, bookings.c.hapio_booking_id.is_(hapio_booking_id))
            .values(hapio_booking_id=None, hapio_unsure=False, next_try_at=None, tries=0)
        )

    async def record_cancel(self, booking_id: str, *, hapio_booking_id: str) -> None:
        """Hapio has canceled its booking, and keeps it for its history."""
        await self._update(
            sa.update(bookings)
            .where(
                bookings.c.id == booking_id,
                bookings.c.hapio_booking_id == hapio_booking_id,
                bookings.c.status == Status.CANCELED,
            )
            .values(hapio_canceled=True, hapio_unsure=False, next_try_at=None, tries=0)
        )

    async def set_customer(self, booking_id: str, customer: Customer) -> Booking | None:
        """Store the details of a live hold; None if it is over."""
        return await self._update(
            sa.update(bookings)
            .where(
                bookings.c.id == booking_id,
                bookings.c.status.in_([Status.HELD, Status.AWAITING_PAYMENT]),
                bookings.c.deadline > self._now(),
            )
            .values(**customer_columns(customer))
        )

    async def fill_in_customer(self, booking_id: str, customer: Customer) -> None:
        """Who booked, as another place remembers it, where we do not know."""
        await self._update(
            sa.update(bookings)
            .where(bookings.c.id == booking_id, bookings.c.customer_email == "")
            .values(**customer_columns(customer))
        )

    async def unpaid_ids(self) -> set[str]:
        """The ids of all bookings that are neither paid nor ended."""
        unpaid = bookings.c.status.in_([Status.HELD, Status.AWAITING_PAYMENT])
        return {row["id"] for row in await self._all(sa.select(bookings.c.id).where(unpaid))}

    async def replace_reference(self, booking: Booking, hapio_booking_id: str) -> Booking | None:
        """Hapio has the booking under another id by now. None if the row has changed since it was read."""
        return await self._update(
            sa.update(bookings)
            .where(
                bookings.c.id == booking.id,
                bookings.c.status == booking.status,
                bookings.c.hapio_booking_id == booking.hapio_booking_id,
            )
            .values(hapio_booking_id=hapio_booking_id)
        )

    async def extend(self, booking_id: str, *, deadline: datetime, most: int) -> Booking | None:
        """Move the hold's deadline, at most `most` times; None if it is over or used up."""
        return await self._update(
            sa.update(bookings)
            .where(
                bookings.c.id == booking_id,
                bookings.c.status == Status.HELD,
                bookings.c.deadline > self._now(),
                bookings.c.extensions < most,
            )
            .values(deadline=deadline, extensions=bookings.c.extensions + 1),
            what="extended",
        )

    async def postpone(self, booking_id: str, *, deadline: datetime) -> Booking | None:
        """Move the deadline of a booking whose payment is still processing."""
        return await self._update(
            sa.update(bookings)
            .where(bookings.c.id == booking_id, bookings.c.status == Status.AWAITING_PAYMENT)
            .values(deadline=deadline)
        )

    async def mark_no_show(self, booking_id: str, *, no_show: bool) -> Booking | None:
        """Note that nobody came, or that somebody did; only of a visit that has begun."""
        return await self._update(
            sa.update(bookings)
            .where(
                bookings.c.id == booking_id,
                bookings.c.status == Status.CONFIRMED,
                bookings.c.starts_at <= self._now(),
                bookings.c.no_show != no_show,
            )
            .values(no_show=no_show),
            what="no_show" if no_show else "came_after_all",
        )

    async def renew_link(self, booking: Booking, *, mails: Sequence[OutboxMail], not_since: datetime) -> bool:
        """Retire the manage links mailed so far, and owe a mail with a new one; not if that happened since then."""
        lately = sa.exists().where(
            outbox.c.booking_id == booking.id,
            outbox.c.kind.in_([mail.kind for mail in mails]),
            outbox.c.created_at > not_since,
        )
        async with self._write() as connection:
            renewed = await connection.execute(
                sa.update(bookings)
                .where(bookings.c.id == booking.id, bookings.c.link_version == booking.link_version, ~lately)
                .values(link_version=bookings.c.link_version + 1)
            )
            if renewed.rowcount:
                await add_mails(connection, mails)
            return bool(renewed.rowcount)

    async def use_link(self, booking_id: str, version: int) -> None:
        """A manage link of this version was used: the ones before it no longer open."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(bookings)
                .where(bookings.c.id == booking_id, bookings.c.link_version < version)
                .values(link_version=version)
            )

    async def owe(self, owed: Owed, *, what: str, mails: Sequence[OutboxMail] = ()) -> list[Refund]:
        """Owe money back beside the terms; what is left of the payments bounds it. Returns the new refunds."""
        async with self._write() as connection:
            drawn = await draw(connection, owed)
            rows = await connection.execute(sa.select(bookings.c.status).where(bookings.c.id == owed.booking_id))
            if not drawn or not await add_refunds(connection, drawn):
                return []
            amount = sum(refund.amount.amount for refund in drawn)
            status = Status(rows.scalar_one())
            await remember(connection, owed.booking_id, what, status, at=self._now(), detail={"amount": amount})
            await add_mails(connection, mails)
            return drawn

    async def find(
        self,
        *,
        statuses: Collection[Status] = (),
        starts_from: datetime | None = None,
        starts_to: datetime | None = None,
        email: str = "",
        widget: str = "",
        resource_id: str = "",
        skip: int = 0,
        most: int = 100,
    ) -> list[Booking]:
        """Bookings with a customer, in order of their start, `most` of them after the first `skip`. `email` in any
        case; what is left empty filters nothing."""
        conditions = [bookings.c.customer_email != ""]
        if widget:
            conditions.append(bookings.c.widget == widget)
        if resource_id:
            conditions.append(bookings.c.resource_id == resource_id)
        if statuses:
            conditions.append(bookings.c.status.in_(list(statuses)))
        if starts_from:
            conditions.append(bookings.c.starts_at >= starts_from)
        if starts_to:
            conditions.append(bookings.c.starts_at < starts_to)
        if email:
            conditions.append(bookings.c.customer_email == email.casefold())
        chosen = sa.select(bookings).where(*conditions).order_by(bookings.c.starts_at, bookings.c.id)
        return [to_booking(row) for row in await self._all(chosen.offset(skip).limit(most))]

    async def put_off(self, booking_id: str, *, until: datetime) -> None:
        """Something we owe for this booking failed: try again at `until`."""
        await self._update(
            sa.update(bookings).where(bookings.c.id == booking_id).values(next_try_at=until, tries=bookings.c.tries + 1)
        )

    async def claim(
        self,
        booking_id: str,
        from_: Collection[Status],
        to: Status,
        *,
        what: str,
        values: Mapping[str, Any] | None = None,
        before_deadline: bool = False,
        due_by: datetime | None = None,
        without_open_session: bool = False,
        unchanged_since: int | None = None,
        ends_move: Move | None = None,
        payment: Payment | None = None,
        seen: PaymentSeen | None = None,
        refund: Refund | None = None,
        owes: Owed | None = None,
        mails: Sequence[OutboxMail] = (),
        detail: Mapping[str, Any] | None = None,
    ) -> Booking | None:
        """Change the status if it is still one of `from_`; with `take_back`, the only place that does.

        The conditions hold in the same statement: `unchanged_since` is the revision that was read, and no move may be
        under way but `ends_move`, which ends with it. The winner's `payment`, `seen`, `refund`, `owes` and `mails` are
        written in the same transaction.
        None means somebody else won: do nothing outside.
        """
        conditions: list[sa.ColumnElement[bool]] = []
        if before_deadline:
            conditions.append(bookings.c.deadline > self._now())
        if due_by:
            conditions.append(bookings.c.deadline <= due_by)
        if without_open_session:
            conditions.append(~has_open_session(payments.c.booking_id == booking_id))
        if unchanged_since is not None:
            conditions += [bookings.c.revision == unchanged_since, ~_has_open_move(booking_id, but=ends_move)]
        async with self._write() as connection:
            booking = await self._claim(
                connection, booking_id, from_, to, conditions, values=values or {}, what=what, detail=detail
            )
            if booking is None:
                return None
            if ends_move:
                await connection.execute(
                    sa.update(moves)
                    .where(moves.c.id == ends_move.id, moves.c.state == MoveState.MOVING)
                    .values(state=MoveState.REFUSED, **_ended_move(booking.end_reason, self._now()))
                )
            if payment:
                await connection.execute(sa.insert(payments).values(payment_row(payment)))
            if seen:
                await mirror(connection, seen)
            if refund:
                await add_refunds(connection, [refund])
            if owes:
                await add_refunds(connection, await draw(connection, owes))
            await add_mails(connection, mails)
            return booking

    async def take_back(self, booking: Booking, *, capacity: int | None) -> Booking | None:
        """A cancellation is taken back, if none of its money has gone out and the time has room: its refunds wait
        until Hapio has agreed or refused. None if it is too late for that."""
        conditions = [
            bookings.c.revision == booking.revision,
            bookings.c.undo_until > self._now(),
            sa.or_(bookings.c.hapio_canceled, bookings.c.hapio_booking_id.is_(None)),
            room(booking.interval, capacity, booking_id=booking.id),
            ~sa.exists().where(
                *_refunds_of_cancel(booking), sa.or_(refunds.c.tries > 0, refunds.c.status != "requested")
            ),
        ]
        async with self._write() as connection:
            back = await self._claim(
                connection,
                booking.id,
                [Status.CANCELED],
                Status.PAID,
                conditions,
                values={"occupies": True},
                what="taking_back",
            )
            if back:
                await connection.execute(
                    sa.update(refunds).where(*_refunds_of_cancel(booking)).values(next_try_at=None)
                )
            return back

    async def taken_back(
        self, booking: Booking, *, hapio_booking_id: str, mails: Sequence[OutboxMail]
    ) -> Booking | None:
        """Hapio has agreed: the booking stands again, and what it owed is withdrawn."""
        values = {
            "hapio_booking_id": hapio_booking_id,
            "end_reason": None,
            "canceled_at": None,
            "undo_until": None,
            "hapio_canceled": False,
            "revision": bookings.c.revision + 1,
        }
        async with self._write() as connection:
            back = await self._claim(
                connection, booking.id, [Status.PAID], Status.CONFIRMED, (), values=values, what="taken_back"
            )
            if back:
                await connection.execute(
                    sa.update(refunds)
                    .where(*_refunds_of_cancel(booking))
                    .values(status="withdrawn", next_try_at=None, updated_at=self._now())
                )
                await add_mails(connection, mails)
            return back

    async def not_taken_back(self, booking: Booking, *, sure: bool, mails: Sequence[OutboxMail]) -> Booking | None:
        """Hapio has refused, or, not `sure`, never answered: the booking stays canceled, and its refunds go out."""
        now = self._now()
        values = {"undo_until": now, "hapio_canceled": sure, "hapio_unsure": not sure}
        async with self._write() as connection:
            left = await self._claim(
                connection, booking.id, [Status.PAID], Status.CANCELED, (), values=values, what="not_taken_back"
            )
            if left:
                await connection.execute(
                    sa.update(refunds)
                    .where(*_refunds_of_cancel(booking), refunds.c.status == "requested")
                    .values(next_try_at=now)
                )
                await add_mails(connection, mails)
            return left

    async def _claim(
        self,
        connection: AsyncConnection,
        booking_id: str,
        from_: Collection[Status],
        to: Status,
        conditions: Sequence[sa.ColumnElement[bool]],
        *,
        values: Mapping[str, Any],
        what: str,
        detail: Mapping[str, Any] | None = None,
    ) -> Booking | None:
        for status in from_:
            if to not in TRANSITIONS[status]:
                raise ValueError(f"{status} → {to} is not in TRANSITIONS")
        now = self._now()
        changes: dict[str, Any] = {"status": to, "updated_at": now, "next_try_at": None, "tries": 0}
        if to not in LIVE:
            changes["occupies"] = False
        result = await connection.execute(
            sa.update(bookings)
            .where(bookings.c.id == booking_id, bookings.c.status.in_(list(from_)), *conditions)
            .values(**changes, **values)
            .returning(*bookings.c)
        )
        row = result.mappings().first()
        if row is None:
            return None
        await remember(connection, booking_id, what, to, at=now, detail=detail)
        return to_booking(row)

    async def _update(
        self, statement: sa.Update, *, what: str = "", detail: Mapping[str, Any] | None = None
    ) -> Booking | None:
        async with self._write() as connection:
            statement = statement.values(updated_at=self._now()).returning(*bookings.c)
            row = (await connection.execute(statement)).mappings().first()
            if row is None:
                return None
            booking = to_booking(row)
            if what:
                await remember(connection, booking.id, what, booking.status, at=self._now(), detail=detail)
            return booking

    async def history(self, booking_id: str) -> list[HistoryEntry]:
        """What happened to a booking, oldest first."""
        rows = await self._all(sa.select(history).where(history.c.booking_id == booking_id).order_by(history.c.id))
        return [HistoryEntry(row["at"], row["what"], Status(row["status"]), row["detail"]) for row in rows]

    # -- what is due -------------------------------------------------------------------------------------

    async def free_to_come(self, widget: str) -> list[Booking]:
        """Free bookings of a widget that stand and are not over."""
        rows = await self._all(
            sa.select(bookings).where(
                bookings.c.widget == widget,
                bookings.c.status.in_([Status.PAID, Status.CONFIRMED]),
                bookings.c.ends_at > self._now(),
            )
        )
        return [booking for booking in map(to_booking, rows) if booking.terms.free]

    async def overdue(self) -> list[Booking]:
        """Holds and payments whose deadline has passed."""
        return await self._due(
            bookings.c.status.in_([Status.HELD, Status.AWAITING_PAYMENT]), bookings.c.deadline <= self._now()
        )

    async def paid(self) -> list[Booking]:
        """Bookings whose money is here and whose time is not final yet."""
        return await self._due(bookings.c.status == Status.PAID)

    async def unreleased(self) -> list[Booking]:
        """Ended bookings for which Hapio still holds, or may hold, something."""
        return await self._due(
            bookings.c.status.in_([Status.EXPIRED, Status.CANCELED]),
            sa.or_(
                bookings.c.hapio_booking_id.is_not(None) & ~bookings.c.hapio_canceled,
                bookings.c.hapio_unsure,
            ),
        )

    async def _due(self, *conditions: sa.ColumnElement[bool]) -> list[Booking]:
        ready = sa.or_(bookings.c.next_try_at.is_(None), bookings.c.next_try_at <= self._now())
        rows = await self._all(sa.select(bookings).where(*conditions, ready).order_by(bookings.c.updated_at).limit(100))
        return [to_booking(row) for row in rows]


def _has_open_move(booking_id: str, *, but: Move | None = None) -> sa.ColumnElement[bool]:
    """Whether the booking is on a move, other than one that is being made and may end."""
    ends = sa.and_(moves.c.id == but.id, moves.c.state == MoveState.MOVING) if but else sa.false()
    return sa.exists().where(moves.c.booking_id == booking_id, moves.c.state.in_(list(OPEN_MOVES)), ~ends)


def _ended_move(reason: EndReason | None, now: datetime) -> dict[str, Any]:
    return {"end_reason": reason, "occupies": False, "updated_at": now, "next_try_at": None, "tries": 0}


def _refunds_of_cancel(booking: Booking) -> tuple[sa.ColumnElement[bool], ...]:
    """What this very cancellation owes: an earlier one may have been taken back."""
    return (
        refunds.c.booking_id == booking.id,
        refunds.c.reason == booking.end_reason,
        refunds.c.cause == str(booking.revision),
    )
